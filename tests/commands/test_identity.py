"""What a run is, which code made it, and what the commands say where that has changed."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import maskgit_lab
from copies import copy_of
from maskgit_lab import code
from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.reading import Seeds, find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.decoding.base import named_schedule
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.masking import schedules
from maskgit_lab.metrics import registry
from maskgit_lab.nets.checkpoints import is_intact
from maskgit_lab.nets.files import open_net, save_net
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import LAST
from maskgit_lab.runs.record import Record, _say_once
from maskgit_lab.runs.results import samples_in
from maskgit_lab.sampling.loading import open_trained
from records import change_record, read_record
from refusals import expect_refused

CACHES = (code.module_of, code._is_own, code._source, code._read)
QUIET = ["logger=none", "trainer=cpu"]
TRANSFORMER = ("nets/transformer.py", "nn.init.trunc_normal_", "nn.init.normal_")
DECODING = ("decoding/parallel.py", "MaskGIT(", "MaskGIT (")


def rows(folder):
    """Of samples."""
    return samples_in(json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines())


def forget():
    for each in CACHES:
        each.cache_clear()


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """Edits a copy of the package, which the identity of the code is then taken from, as by a process started anew."""
    package = tmp_path / "edited" / "maskgit_lab"
    shutil.copytree(Path(maskgit_lab.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    of_top = code._source_of_top

    def edited(file: str, text: str, undo: bool = False) -> None:
        source = (package if not undo else Path(maskgit_lab.__file__).parent) / file
        (package / file).write_text(source.read_text() + text)
        forget()

    places = {"maskgit_lab": package / "__init__.py"}
    monkeypatch.setattr(code, "_source_of_top", lambda name: places.get(name) or of_top(name))
    forget()
    yield edited
    forget()


@pytest.fixture
def train(command, run, tiny_cache):
    """Gives the command of the tiny run, or a variation of it."""

    def call(*overrides: str):
        return command("train", *overrides, "debug=tiny", *QUIET, f"cache_dir={tiny_cache}", f"run_dir={run}")

    return call


@pytest.fixture
def weights(run):
    """The bytes of the run's checkpoint."""
    return (run / "checkpoints" / LAST).read_bytes()


@pytest.mark.parametrize(
    ("overrides", "added"),
    [
        (["eval.steps=[2,3]"], {(3, "cosine", "")}),
        (["decode.schedule=linear", "decode.steps=[2]"], {(2, "linear", "")}),
        (["eval.metrics=[nll]", "decode.steps=[4]"], {(4, "cosine", "nll")}),
        (["decode.choice_temperature=1", "decode.steps=[2]"], {(2, "cosine", "")}),
        (["eval.n_samples=20", "eval.metrics=[fid]", "decode.steps=[2]"], {(2, "cosine", "")}),
    ],
)
def test_what_is_measured_belongs_to_the_rows_and_not_to_the_run(train, run, weights, overrides, added):
    before = rows(run)
    said = train(*overrides)
    assert said.code == 0 and "trained already" in said.out and "training" not in said.out, said.out + said.err
    new = rows(run)[len(before) :]
    everything = before[0]["metrics"]
    assert {(r["steps"], r["decode_schedule"], r["metrics"] if r["metrics"] == "nll" else "") for r in new} == added
    assert rows(run)[: len(before)] == before and everything in {r["metrics"] for r in before}
    assert {r["model"] for r in rows(run)} == {before[0]["model"]}
    assert (run / "checkpoints" / LAST).read_bytes() == weights
    assert "the run is complete" in train(*overrides).out


def test_a_metric_of_the_users_own_trains_nothing(train, run, weights, tmp_path, monkeypatch):
    (tmp_path / "my_metrics.py").write_text(
        "from maskgit_lab.metrics.registry import Metric\n\n\n"
        "def mean(samples, reference, choices):\n    return float(samples.features_nF.mean())\n\n\n"
        "MINE = Metric('mean_feature', 'mean', 'max', compute=mean)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "TABLE", dict(registry.TABLE))
    said = train("eval.metrics=[my_metrics.MINE]", "decode.steps=[2]")
    assert said.code == 0 and "trained already" in said.out, said.err
    assert "mean_feature" in rows(run)[-1] and (run / "checkpoints" / LAST).read_bytes() == weights
    files = json.loads((run / "code.json").read_text())[rows(run)[-1]["code"]]
    assert "my_metrics.py" in files


def test_a_run_that_began_with_a_metric_of_the_users_own_can_be_used_in_another_process(
    command, tiny_run, tiny_cache, tmp_path, monkeypatch
):
    (tmp_path / "my_metric.py").write_text(
        "from maskgit_lab.metrics.registry import Metric\n\nMINE = Metric('mine', 'mine', 'max', compute=max)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "TABLE", dict(registry.TABLE))
    own = [
        "debug=tiny",
        *QUIET,
        f"cache_dir={tiny_cache}",
        "run_dir=own",
        "stage=mvtm",
        "eval.metrics=[my_metric.MINE]",
    ]
    assert command("train", *own, "eval.metrics=[my_metric.MINE]").code == 0
    del registry.TABLE["mine"]
    assert (said := command("sample", "checkpoint=own", "n=1", "out=samples")).code == 0, said.err


def test_a_row_says_which_code_made_it(run):
    for row in rows(run):
        codes = json.loads((run / "code.json").read_text())
        assert "maskgit_lab/decoding/parallel.py" in codes[row["code"]]
        assert "maskgit_lab/lit/mvtm.py" in codes[row["training_code"]]
        assert row["debug"] == "tiny" and re.fullmatch("[0-9a-f]{40}", row.get("commit", "0" * 40))


@pytest.mark.parametrize("file", ["nets/transformer.py", "masking/schedules.py", "seeds.py", "lit/base.py"])
def test_an_edit_of_what_trains_is_noticed_by_name(train, run, edit, weights, file):
    edit(file, "\nEDITED = 1\n")
    said = train()
    expect_refused(said, f"trained by other code (changed since: maskgit_lab/{file}): give rerun=true")
    assert (run / "checkpoints" / LAST).read_bytes() == weights


@pytest.mark.parametrize("file", ["decoding/parallel.py", "metrics/scores.py", "metrics/statistics.py"])
def test_an_edit_of_what_measures_is_noticed_by_name(train, command, run, edit, tiny_cache, file):
    edit(file, "\nEDITED = 1\n")
    before = (run / "results.jsonl").read_bytes()
    sentence = f"measured by other code (changed since: maskgit_lab/{file}): give rerun=true"
    expect_refused(train(), sentence)
    said = command("evaluate", f"checkpoint={run}", *QUIET)
    expect_refused(said, sentence)
    assert (run / "results.jsonl").read_bytes() == before


def test_an_edit_that_changes_nothing_is_not_noticed(train, edit):
    edit("nets/transformer.py", "\n# a comment\n")
    edit("decoding/parallel.py", "\n\n\n")
    edit("console.py", "\nPRINTS = 1\n")
    assert "the run is complete" in train().out


def test_reuse_takes_a_checkpoint_and_its_rows_as_they_are_and_they_say_so(train, run, edit, weights):
    before = rows(run)
    edit("nets/transformer.py", "\nEDITED = 1\n")
    said = train("reuse=true")
    assert said.code == 0 and "trained already" in said.out, said.err
    assert (run / "checkpoints" / LAST).read_bytes() == weights
    new = rows(run)[len(before) :]
    assert [row["steps"] for row in new] == [2, 4]
    for old, row in zip(before, new, strict=True):
        assert row["reused_code"] == old["code"] != row["code"]
        assert row["reused_training_code"] == old["training_code"] != row["training_code"]
        assert row["model"] == old["model"] and row["fd_classifier"] == old["fd_classifier"]
    assert "the run is complete" in train().out
    said = train("decode.steps=[3]")
    assert said.code == 0 and rows(run)[-1]["reused_training_code"] == before[0]["training_code"]


def test_rerun_trains_again_beside_the_old_rows_and_keeps_the_old_checkpoint(train, run, edit, weights):
    before = rows(run)
    edit("lit/mvtm.py", "\nEDITED = 1\n")
    said = train("rerun=true", "eval.metrics=[inception_score]")
    assert said.code == 0 and "training on 300 token grids" in said.out, said.out + said.err
    (aside,) = run.glob("checkpoints-*")
    assert (aside / LAST).read_bytes() == weights and aside.name.endswith(before[0]["training_code"])
    assert rows(run)[: len(before)] == before and len(rows(run)) == len(before) + 2
    assert rows(run)[-1]["training_code"] != before[-1]["training_code"]


def test_rerun_measures_again_beside_the_old_rows(command, run, edit):
    before = rows(run)
    edit("decoding/parallel.py", "\nEDITED = 1\n")
    said = command("evaluate", f"checkpoint={run}", "rerun=true", "decode.steps=[2]", *QUIET)
    assert said.code == 0, said.err
    assert rows(run)[: len(before)] == before and len(rows(run)) == len(before) + 1
    old, new = before[0], rows(run)[-1]
    assert new["code"] != old["code"] and new["fd_classifier"] == old["fd_classifier"]


def test_rerun_and_reuse_exclude_each_other(train, command, run):
    expect_refused(train("rerun=true", "reuse=true"), "exclude each other")
    said = command("evaluate", f"checkpoint={run}", "rerun=true", "reuse=true", *QUIET)
    expect_refused(said, "exclude each other")


def test_an_edit_of_a_class_of_the_users_own_is_noticed(command, tiny_cache, tmp_path, monkeypatch):
    mine = tmp_path / "my_schedules.py"
    text = (
        "from maskgit_lab.masking.schedules import Schedule\n\n\nclass Mine(Schedule):\n    name = 'mine'\n\n"
        "    def gamma(self, ratio, n_tokens):\n        return 1 - ratio**1.5\n"
    )
    mine.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    own = ["debug=tiny", "stage=mvtm", "schedule._target_=my_schedules.Mine", "run_dir=mine", f"cache_dir={tiny_cache}"]
    assert (said := command("train", *own, *QUIET)).code == 0, said.err
    mine.write_text(text.replace("1.5", "1.6"))
    forget()
    expect_refused(command("train", *own, *QUIET), "trained by other code (changed since: my_schedules.py)")
    mine.write_text(text.replace("class Mine", "# mine\nclass Mine"))
    forget()
    assert "the run is complete" in command("train", *own, *QUIET).out


def test_a_run_and_its_cache_can_be_moved(command, tiny_run, tiny_cache, tmp_path):
    copy_of(tiny_cache, tmp_path / "place" / "cache")
    run = copy_of(tiny_run, tmp_path / "place" / "runs" / "tiny")
    assert str(tiny_cache) not in (run / "run.json").read_text() and str(tiny_cache) not in str(RunFolder(run).cache)
    assert command("sample", f"checkpoint={run}", "n=1", "out=samples").code == 0
    assert (said := command("evaluate", f"checkpoint={run}", "decode.steps=[3]", *QUIET)).code == 0, said.err
    assert command("export", f"checkpoint={run}", "out=exported").code == 0
    assert command("report", "runs=place/runs", "out=report").code == 0
    (run / "pictures" / "samples.png").unlink()
    again = ["debug=tiny", *QUIET, f"run_dir={run}", "cache_dir=place/cache"]
    assert "trained already" in (said := command("train", *again)).out, said.err


def test_a_cache_elsewhere_is_found_by_its_name_and_a_missing_one_is_a_sentence(
    command, tiny_run, tiny_cache, tmp_path
):
    run = copy_of(tiny_run, tmp_path / "some" / "where" / "alone")
    said = command("sample", f"checkpoint={run}", "n=1", "out=samples")
    expect_refused(said, "is missing: name the cache that has it with cache_dir=FOLDER, or give `python train.py")
    assert "debug=tiny" in said.err and f"run_dir={run}" in said.err and not (tmp_path / "samples").exists()
    copy_of(tiny_cache, tmp_path / "far")
    assert command("sample", f"checkpoint={run}", "n=1", "out=samples", "cache_dir=far").code == 0
    assert command("export", f"checkpoint={run}", "out=exported", "cache_dir=far").code == 0


def test_a_flipped_byte_in_the_checkpoint_is_noticed_wherever_it_is(run, command):
    path = run / "checkpoints" / LAST
    whole = path.read_bytes()
    assert is_intact(path) and torch.load(path, weights_only=True)["state_dict"]
    for place in (0, 30, len(whole) // 2, len(whole) - 100, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert not is_intact(path), place
    expect_refused(command("sample", f"checkpoint={run}", "n=1", "out=s"), "damaged (its checksum differs)")
    expect_refused(
        command("evaluate", f"checkpoint={run}", "decode.steps=[3]", *QUIET), "damaged (its checksum differs)"
    )


def test_a_damaged_checkpoint_does_not_go_into_training(command, run, train):
    path = run / "checkpoints" / LAST
    whole = path.read_bytes()
    replace(RunFolder(run).record, mvtm=None).write(run)
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    expect_refused(train(), "damaged (its checksum differs)")
    assert path.exists()


def test_a_flipped_byte_in_the_config_is_noticed(run, command):
    path = run / "config.yaml"
    path.write_text(path.read_text().replace("nll_draws: 1", "nll_draws: 2"))
    expect_refused(command("evaluate", f"checkpoint={run}", "decode.steps=[3]", *QUIET), "checksum differs")
    expect_refused(command("sample", f"checkpoint={run}", "n=1", "out=s"), "checksum differs")


def test_a_flipped_byte_in_a_row_is_noticed_and_the_point_measured_again(run, train):
    path = run / "results.jsonl"
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace('"inception_score": 1', '"inception_score": 2')  # the first of samples
    path.write_text("\n".join(lines) + "\n")
    said = train()
    assert said.code == 0 and "1 line of" in said.out and "cut short or damaged" in said.out
    assert len(rows(run)) == 3 and "trained already" in said.out


def test_runs_are_called_as_a_person_would(command, tiny_cache, tmp_path):
    common = ["debug=tiny", "stage=tokenizer", f"cache_dir={tiny_cache}", *QUIET]
    for overrides in (["seed=1"], ["seed=1", "eval.splits=2"], ["seed=2"]):
        assert command("train", *common, *overrides).code == 0
    names = {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.glob("outputs/*/*/run.json")}
    assert names == {"outputs/digits/debug_tiny+seed_1", "outputs/digits/debug_tiny+seed_2"}
    assert not any(str(part) in name for name in names for part in tiny_cache.parts[1:])


def test_another_run_never_takes_a_name(command, tiny_cache, tmp_path):
    common = ["debug=tiny", "stage=tokenizer", f"cache_dir={tiny_cache}", *QUIET]
    assert command("train", *common).code == 0
    (path,) = tmp_path.glob("outputs/*/*/run.json")
    replace(Record.read(path.parent), fingerprint="0" * 12).write(path.parent)  # as if made by another YAML
    assert command("train", *common).code == 0
    assert {p.parent.name for p in tmp_path.glob("outputs/*/*/run.json")} == {"debug_tiny", "debug_tiny-2"}


def test_a_run_of_an_earlier_version_is_refused_by_a_sentence_and_its_rows_are_read(command, run, train):
    record = json.loads((run / "run.json").read_text())
    kept = {key: record[key] for key in ("fingerprint", "wandb_id", "data", "tokenizer", "tokens", "mvtm")}
    (run / "run.json").write_text(json.dumps(kept))
    expect_refused(command("sample", f"checkpoint={run}", "n=1", "out=s"), "was made by an earlier version")
    expect_refused(train(), "was made by an earlier version")
    assert command("report", f"runs={run}", "out=report").code == 0


def test_images_that_have_changed_are_noticed_before_anything_is_trained(run, train, weights):
    change_record(run, data=read_record(run)["data"] | {"fingerprint": "of others"})
    expect_refused(train("decode.steps=[3]"), "the images of digits have changed since the run")
    assert (run / "checkpoints" / LAST).read_bytes() == weights


def test_exported_files_are_the_same_model_as_their_run(command, run, tiny_cache, tmp_path):
    assert command("export", f"checkpoint={run}", "out=files").code == 0
    files = ["checkpoint=files"]  # which holds the two
    asked = ["decode.steps=[2]", "eval.metrics=[inception_score]", "eval.n_samples=20", "out=out", *QUIET]
    reference = ["data=digits", "max_images=300", "eval.reference=train", "features=classifier", "classifier=small"]
    said = command("evaluate", *files, *asked, *reference, "classifier.optim.epochs=1", f"cache_dir={tiny_cache}")
    assert said.code == 0, said.err
    of_files, of_run = rows(tmp_path / "out")[0], rows(run)[0]
    for key in ("model", "schedule", "decode_schedule", "choice_temperature", "training_code", "seed", "steps"):
        assert of_files[key] == of_run[key], key
    codes = json.loads((tmp_path / "out" / "code.json").read_text())
    assert codes.keys() == {of_files["code"], of_files["training_code"]}


def test_other_weights_are_another_model(command, run, tiny_cache, tmp_path):
    asked = ["debug=tiny", *QUIET, f"cache_dir={tiny_cache}", "eval.metrics=[nll]", "decode.steps=[2]"]
    assert command("train", *asked, "mvtm.optim.lr=0.1", "run_dir=other").code == 0
    assert rows(tmp_path / "other")[0]["model"] != rows(run)[0]["model"]


def test_sample_and_evaluate_say_that_other_code_trained_the_run(command, run, edit):
    edit("lit/mvtm.py", "\nEDITED = 1\n")
    said = command("sample", f"checkpoint={run}", "n=1", "out=samples")
    assert said.code == 0 and "trained by other code (changed since: maskgit_lab/lit/mvtm.py)" in said.out
    said = command("evaluate", f"checkpoint={run}", *QUIET)
    assert said.code == 0 and "trained by other code (changed since: maskgit_lab/lit/mvtm.py)" in said.out


@pytest.mark.parametrize("file", ["lit/mvtm.py", "decoding/parallel.py"])
def test_a_sweep_names_what_other_code_made_before_it_begins(train, run, edit, file):
    before = (run / "results.jsonl").read_bytes()
    edit(file, "\nEDITED = 1\n")
    said = train("-m", "seed=0")
    assert said.code == 2 and f"1 of the 1 jobs were done by other code (changed since: maskgit_lab/{file})" in said.err
    assert (run / "results.jsonl").read_bytes() == before


def test_the_same_weights_measured_by_three_commands_are_one_point(command, run, tmp_path):
    (tmp_path / "lab").mkdir()
    run = run.rename(tmp_path / "lab" / "run")
    alone = studies(find_runs(tmp_path / "lab"))
    asked = [f"checkpoint={run}", "decode.steps=[2]", *QUIET]
    assert command("evaluate", *asked, "eval.metrics=[fid,nll]").code == 0
    assert command("evaluate", *asked, "eval.metrics=[fid]", "out=lab/other").code == 0
    assert len(rows(run)) == 3 and len(rows(tmp_path / "lab" / "other")) == 1
    together = studies(find_runs(tmp_path / "lab"))
    assert len(alone) == len(together) == 1
    for (study,) in (alone, together):
        assert study.seeds == [Seeds(0)] and sorted(point.steps for point in study.points) == [2, 4]
        (curve,) = curves(study.main, study.distance)
        assert curve.counts_X.tolist() == [1, 1] and not curve.has_band
    said = command("report", "runs=lab", "out=report", "where=data=digits,seed=0")
    assert said.code == 0, said.err
    expect_refused(command("report", "runs=lab", "out=none", "where=data=cifar10"), "data=cifar10")


def test_a_cache_entry_of_other_code_is_made_again_and_the_old_one_stays(command, tiny_run, tiny_cache, edit):
    copy_of(tiny_cache, "cache")
    before = set(Path("cache/tokenizer").iterdir())
    old = "cache/" + json.loads((tiny_run / "run.json").read_text())["tokenizer"]["path"].removeprefix("cache:")
    edit("objectives/quantization.py", "\nEDITED = 1\n")
    said = command("train", "debug=tiny", *QUIET, "cache_dir=cache", "run_dir=new", "stage=tokenizer")
    assert said.code == 0 and "training a VQGAN" in said.out, said.err
    assert "tokenizer: made again, since other code made" in said.out
    assert "(changed since: maskgit_lab/objectives/quantization.py)" in said.out
    (new,) = (path for path in set(Path("cache/tokenizer").iterdir()) - before if path.is_dir())
    assert Path(old).read_bytes() == (new / "model.safetensors").read_bytes()  # since the edit changed nothing


def test_schedules_of_one_name_are_told_apart(tmp_path, monkeypatch):
    (tmp_path / "my_shapes.py").write_text(
        "from maskgit_lab.masking.schedules import Schedule\n\n\n"
        "class Linear(Schedule):\n    def __init__(self, power: float = 5.0):\n        self.power = power\n\n"
        "    def gamma(self, ratio, log2_n):\n        return 1 - ratio**self.power\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import my_shapes

    own, ours = my_shapes.Linear(), schedules.Linear()
    names = {each.name for each in (own, my_shapes.Linear(9.0), ours)}
    assert names == {"my_shapes.linear(power=5.0)", "my_shapes.linear(power=9.0)", "linear"}
    assert named_schedule("linear", own).name == "linear" and named_schedule(None, own) is own
    assert named_schedule("linear", ours) is ours


def test_an_exported_file_knows_the_schedule_of_the_training_and_that_of_the_decoding(command, train, run, tmp_path):
    record = RunFolder(run).record
    config = (run / "config.yaml").read_text().replace("schedule: null", "schedule: linear")
    (run / "config.yaml").write_text(config)  # as if made by `decode.schedule=linear`
    replace(record, config=file_sha256(run / "config.yaml")).write(run)
    assert command("export", f"checkpoint={run}", "out=files").code == 0
    found = open_trained("files/transformer.safetensors", "files/tokenizer.safetensors", {}, torch.device("cpu"))
    settings = found.pipeline.decoder.settings
    assert (found.trained_with, settings["decode_schedule"]) == ("cosine", "linear")
    net = open_net(tmp_path / "files" / "transformer.safetensors", Transformer)
    save_net(net, tmp_path / "own.safetensors", decoding={"schedule": "my.own", "trained_with": "my.own"})
    files = ["checkpoint=own.safetensors", "tokenizer.weights=files/tokenizer.safetensors", "n=1"]
    said = command("sample", *files, "out=none")
    expect_refused(said, "decodes with the schedule my.own, which is not known here: choose one with decode.schedule=")
    assert command("sample", *files, "decode.schedule=linear", "out=some").code == 0


def test_another_reference_under_the_same_name_is_measured(train, run, tmp_path):
    def reference(value):
        pixels = np.random.default_rng(value).integers(0, 256, (20, 16, 16, 3), np.uint8)
        np.savez(tmp_path / "real.npz", arr_0=pixels)

    asked = ["eval.reference=real.npz", "eval.metrics=[fid]", "decode.steps=[2]"]
    reference(0)
    assert train(*asked).code == 0
    assert "the run is complete" in train(*asked).out
    reference(1)
    said = train(*asked)
    assert said.code == 0 and "the run is complete" not in said.out
    one, two = rows(run)[-2:]
    assert one["reference_fingerprint"] != two["reference_fingerprint"]
    assert one["fd_classifier"] != two["fd_classifier"]


def test_other_weights_under_the_same_name_are_refused(command, run, tiny_cache, tmp_path):
    assert command("export", f"checkpoint={run}", "out=files").code == 0
    own = ["debug=tiny", *QUIET, f"cache_dir={tiny_cache}", "run_dir=own", "mvtm.optim.max_steps=1"]
    own += ["tokenizer.weights=files/tokenizer.safetensors", "mvtm.weights=files/transformer.safetensors", "stage=mvtm"]
    assert (said := command("train", *own)).code == 0, said.err
    for name in ("tokenizer", "transformer"):
        file = tmp_path / "files" / f"{name}.safetensors"
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        expect_refused(command("train", *own), f"files/{name}.safetensors is not the file that the run")
        file.write_bytes(whole)
    assert "the run is complete" in command("train", *own).out


def test_the_code_that_made_a_checkpoint_is_never_foreign_to_it(train, run, edit):
    before = rows(run)
    edit("objectives/mvtm.py", "\nEDITED = 1\n")
    assert train("reuse=true").code == 0
    assert rows(run)[-1]["reused_training_code"] == before[0]["training_code"]
    edit("objectives/mvtm.py", "\n", undo=True)
    assert (said := train()).code == 0, said.err  # today's code is what trained and measured
    assert "reused_training_code" not in rows(run)[0] and RunFolder(run).record.trained_by == ""
    edit("objectives/mvtm.py", "\nEDITED = 1\n")
    assert train().code == 0  # was accepted before
    edit("objectives/mvtm.py", "\nEDITED = 2\n")
    expect_refused(train(), "trained by other code")


def test_pictures_and_grids_are_of_the_code_that_a_command_uses(train, run, edit):
    first = {path.name: path.read_bytes() for path in (run / "grids").iterdir()}
    edit("decoding/parallel.py", "\nEDITED = 1\n")
    assert train("rerun=true").code == 0
    assert len(list((run / "grids").iterdir())) == 2 * len(first)
    assert all((run / "grids" / name).read_bytes() == data for name, data in first.items())
    edit("decoding/parallel.py", "\n", undo=True)
    said = train()
    assert said.code == 0 and "pictures   samples" in said.out and "the run is complete" in train().out


def test_a_damaged_record_is_not_taken_for_another_run(command, tiny_cache, tmp_path):
    own = ["debug=tiny", *QUIET, f"cache_dir={tiny_cache}", "stage=tokens"]
    assert command("train", *own).code == 0
    record = tmp_path / "outputs" / "digits" / "debug_tiny" / "run.json"
    whole = record.read_text()
    for damaged in (whole.replace('"fingerprint": "', '"fingerprint": "0', 1), "x" + whole, "[" * 200_000):
        record.write_text(damaged)
        _say_once.cache_clear()  # as in a process of its own
        said = command("train", *own)
        assert said.code == 0 and "takes its place, and nothing is lost" in said.out
        record.write_text(damaged)
        record.with_name("run.previous.json").unlink()
        expect_refused(command("train", *own), "run.json is damaged: give the train.py command that made the run, with")
        said = command("train", *own, f"run_dir={record.parent}")
        assert said.code == 0 and "made again from what is there" in said.out and "found in the cache" in said.out
    assert [path.parent.name for path in tmp_path.glob("outputs/digits/*/run.json")] == ["debug_tiny"]


def test_a_damaged_number_in_the_cache_is_not_used(command, run, tiny_cache):
    copy_of(tiny_cache, "cache")
    for manifest in Path("cache/likelihood").glob("*/manifest.json"):
        manifest.write_text(manifest.read_text().replace('"nll": 3.', '"nll": 1.'))
    said = command("evaluate", f"checkpoint={run}", "decode.steps=[3]", "eval.metrics=[nll]", *QUIET, "cache_dir=cache")
    assert said.code == 0 and "likelihood: the cached one" in said.out and "checksum differs" in said.out
    assert rows(run)[-1]["nll"] == rows(run)[0]["nll"]
