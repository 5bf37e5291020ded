"""`train.py` from end to end, at a tiny size."""

import json

import torch
import yaml

from copies import copy_of
from maskgit_lab.masking import schedules
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import LAST
from maskgit_lab.runs.results import samples_in
from records import change_record

ALWAYS = {"schedule", "steps", "choice_temperature", "seed", "n_samples", "features", "reference", "version_torch"}
MEASURED = {
    "fd_classifier",
    "inception_score",
    "precision",
    "recall",
    "cas_top1",
    "cas_top5",
    "nll",
    "nll_bound",
    "nll_bound_se",
    "decode_seconds_per_image",
    "images_per_second",
}


UNLIKE = ("images_per_second", "decode_seconds_per_image", "checksum")  # from one run to the other


def rows(run):
    """Of samples."""
    return samples_in(json.loads(line) for line in (run / "results.jsonl").read_text().splitlines())


def same_results(*runs):
    """The rows of runs without their speed."""
    return [[{k: v for k, v in row.items() if k not in UNLIKE} for row in rows(run)] for run in runs]


def test_a_run_leaves_its_config_results_checkpoint_and_pictures(tiny_run):
    cfg = yaml.safe_load((tiny_run / "config.yaml").read_text())
    assert cfg["decode"]["steps"] == [2, 4] == [row["steps"] for row in rows(tiny_run)]
    assert cfg["decode"].keys() == {"_target_", "steps", "schedule", "choice_temperature", "guidance"}
    for row in rows(tiny_run):
        assert row["decoder"] == "maskgit" and row.keys() >= ALWAYS | MEASURED and "fid" not in row
        assert all(isinstance(value, str | int | float) for value in row.values())  # flat
        assert row["schedule"] == "cosine" and row["n_samples"] == 300 and row["reference"] == "digits-train"
        assert all(0 <= row[key] <= 1 for key in ("precision", "recall", "cas_top1", "cas_top5", "sample_accuracy"))
        assert row["inception_score"] >= 1 and row["nll"] > 0 and row["images_per_second"] > 0
    assert {p.stem for p in (tiny_run / "pictures").glob("*.png")} == {"reconstructions", "samples", "filling", "curve"}
    assert torch.load(tiny_run / "checkpoints" / LAST, weights_only=True)["maskgit_lab"]["settings"]["seed"] == 0


def test_the_same_command_again_says_that_the_run_is_complete(command, tiny_run, tiny_cache):
    before = (tiny_run / "results.jsonl").read_bytes()
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", f"run_dir={tiny_run}")
    assert said.code == 0 and "the run is complete" in said.out
    assert (
        all(f"{part} " in said.out for part in ("tokenizer", "tokens", "classifier")) and said.out.count("reused") == 3
    )
    assert (tiny_run / "results.jsonl").read_bytes() == before


def test_another_run_reuses_tokenizer_tokens_and_classifier_and_the_same_seed_repeats_bit_for_bit(
    command, tiny_run, tiny_cache, tmp_path
):
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=again")
    assert said.code == 0 and said.out.count("found in the cache") == 5
    first, second = same_results(tiny_run, tmp_path / "again")
    assert first == second
    weights = [
        torch.load(r / "checkpoints" / LAST, weights_only=True)["state_dict"] for r in (tiny_run, tmp_path / "again")
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    picture = "pictures/samples.png"
    assert (tiny_run / picture).read_bytes() == (tmp_path / "again" / picture).read_bytes()


def test_from_nothing_the_same_seed_gives_the_same_tokenizer(command, tiny_cache, tiny_run, tmp_path):
    said = command("train", "debug=tiny", "logger=none", "cache_dir=fresh", "run_dir=run", "stage=tokenizer")
    assert said.code == 0 and "training a VQGAN" in said.out
    made = next((tmp_path / "fresh" / "tokenizer").glob("*/model.safetensors"))
    known = RunFolder(tiny_run).place(json.loads((tiny_run / "run.json").read_text())["tokenizer"]["path"])
    assert made.read_bytes() == known.read_bytes() and made.parent.name == known.parent.name
    assert rows(tmp_path / "run") == []  # none of samples


def test_an_interrupted_run_goes_on_with_what_is_missing(command, tiny_run, tiny_cache, tmp_path):
    copy_of(tiny_run, tmp_path / "run")
    change_record(tmp_path / "run", measured={}, pictures=None)
    lines = (tmp_path / "run" / "results.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "results.jsonl").write_text("".join(lines[:3]) + lines[3][:40])  # two are of held-out images
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=run")
    assert said.code == 0 and "trained already" in said.out and "T = 4, 300 samples" in said.out
    text = (tmp_path / "run" / "results.jsonl").read_text().splitlines()
    whole = [json.loads(line) for line in (text[2], text[4])]
    assert [{k: v for k, v in row.items() if k not in UNLIKE} for row in whole] == same_results(tiny_run)[0]


def test_a_run_that_was_killed_as_it_began_can_begin_again(command, tiny_cache, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("half")
    settings = ["debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=run", "stage=tokenizer"]
    assert command("train", *settings).code == 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["debug"] == "tiny"


def test_what_was_deleted_from_a_finished_run_is_made_again(command, tiny_run, tiny_cache, tmp_path):
    copy_of(tiny_run, tmp_path / "run")
    (tmp_path / "run" / "pictures" / "curve.png").unlink()
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=run")
    assert said.code == 0 and "there is nothing to do" not in said.out
    assert (tmp_path / "run" / "pictures" / "curve.png").exists()
    assert same_results(tmp_path / "run") == same_results(tiny_run)


def test_a_damaged_token_cache_is_made_again_and_said_to_be(command, tiny_run, tiny_cache, tmp_path):
    copy_of(tiny_cache, tmp_path / "cache")
    codes = next((tmp_path / "cache" / "tokens").glob("*/train-*.safetensors"))
    whole = codes.read_bytes()
    codes.write_bytes(whole[:-7] + b"\0" * 7)
    said = command("train", "debug=tiny", "logger=none", "cache_dir=cache", "run_dir=run", "stage=mvtm")
    assert said.code == 0 and said.out.count(f"made again: its file {codes.name} is damaged") == 1
    assert codes.read_bytes() == whole


def test_a_schedule_for_decoding_alone(command, tiny_cache, tmp_path):
    settings = [
        "debug=tiny",
        "logger=none",
        f"cache_dir={tiny_cache}",
        "run_dir=run",
        "decode.steps=[2]",
        "eval.metrics=[fid,inception_score]",
    ]
    assert command("train", *settings, "decode.schedule=square_root").code == 0
    (row,) = rows(tmp_path / "run")
    assert (row["schedule"], row["decode_schedule"]) == ("cosine", "square_root")
    assert not row.keys() & {"cas_top1", "cas_real_top1"}


def test_without_run_dir_the_same_settings_have_one_folder(command, tiny_cache, tmp_path):
    settings = ["debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "stage=mvtm"]
    assert command("train", *settings, "schedule=cosine").code == 0
    said = command("train", *settings)
    assert said.code == 0 and "the run is complete" in said.out
    assert [path.parent.name for path in tmp_path.glob("outputs/digits/*/run.json")] == ["debug_tiny+schedule_cosine"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["outputs"]


def test_the_gan_can_be_switched_on(command, tmp_path):
    gan = ["tokenizer.losses.adversarial=0.1", "data.test_fraction=0.9"]
    said = command("train", "debug=tiny", "logger=none", "stage=tokenizer", "run_dir=run", "cache_dir=cache", *gan)
    assert said.code == 0 and "val_mse" in said.out


def test_a_run_for_each_value_of_a_multirun(command, tiny_cache, tmp_path):
    settings = ["debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "stage=mvtm", "mvtm.optim.max_steps=1"]
    assert command("train", "-m", *settings, "schedule=linear,cubic").code == 0
    names = sorted(path.parent.name for path in tmp_path.glob("outputs/digits/*/run.json"))
    assert names == [f"debug_tiny+mvtm.optim.max_steps_1+schedule_{name}" for name in ("cubic", "linear")]


def test_a_schedule_with_settings_of_its_own_is_one_class_and_one_file(command, tiny_cache, tmp_path, monkeypatch):
    class Power(Schedule):
        """gamma(r) = 1 - r^k."""

        def __init__(self, exponent: float) -> None:
            self.exponent = exponent

        def gamma(self, ratio, log2_n):
            return 1 - ratio**self.exponent

    monkeypatch.setattr(schedules, "Power", Power, raising=False)
    settings = ["debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=run", "stage=mvtm"]
    target = "schedule._target_=maskgit_lab.masking.schedules.Power"
    said = command("train", *settings, target, "+schedule.exponent=4")
    assert said.code == 0 and "power(exponent=4.0) schedule" in said.out
    said = command("train", *settings, "decode.schedule=power")
    assert said.code == 2 and "needs settings of its own" in said.err
