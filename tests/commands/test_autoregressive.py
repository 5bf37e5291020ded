"""A run of an autoregressive model, from end to end: trained, sampled, evaluated, exported, refused."""

import json

import pytest
import torch
import yaml
from PIL import Image

from maskgit_lab import Pipeline
from maskgit_lab.nets.checkpoints import read_checkpoint
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import LAST
from maskgit_lab.runs.results import samples_in
from refusals import expect_refused
from two_processes import in_two_processes

QUIET = ["logger=none", "trainer=cpu"]
OWN = {"order": "raster", "decoder": "autoregressive", "temperature": 1.0, "top_k": None, "top_p": 1.0}
OWN |= {"guidance": 0.0, "kv_cache": True}
ABSENT = {"steps", "schedule", "decode_schedule", "choice_temperature", "nll", "nll_bound"}
MEASURED = {
    *("fd_classifier", "inception_score", "precision", "recall", "cas_top1", "cas_top5", "nll_exact", "nll_exact_se"),
    *("decode_seconds_per_image", "images_per_second"),
}


def rows(run):
    """Of samples."""
    return samples_in(json.loads(line) for line in (run / "results.jsonl").read_text().splitlines())


def state_of(run):
    """Its last checkpoint."""
    return read_checkpoint(run / "checkpoints" / LAST)


@pytest.fixture
def train(command, tiny_cache):
    """Trains another run on the codes of the tiny one."""

    def call(*overrides: str):
        given = ["model=autoregressive", "debug=tiny", *QUIET, "autoregressive.label_dropout=0.1"]
        return command("train", *given, f"cache_dir={tiny_cache}", *overrides)

    return call


@pytest.fixture(scope="module")
def pipeline(tiny_autoregressive):
    return Pipeline.load(tiny_autoregressive, device="cpu")


def test_a_run_has_one_row_that_names_its_own_settings_and_no_others(tiny_autoregressive, tiny_run):
    (row,), (masked, _) = rows(tiny_autoregressive), rows(tiny_run)
    assert {key: row[key] for key in OWN} == OWN and row.keys() >= MEASURED and not row.keys() & ABSENT
    for key in ("seed", "labels", "data", "n_samples", "reference_fingerprint", "features_weights", "cas_classifier"):
        assert row[key] == masked[key]
    pictures = {path.stem for path in (tiny_autoregressive / "pictures").glob("*.png")}
    assert pictures == {"reconstructions", "samples", "filling"}
    config = yaml.safe_load((tiny_autoregressive / "config.yaml").read_text())
    assert config["model"] == "autoregressive" and not {"steps", "schedule"} & config["decode"].keys()


def test_the_record_holds_what_table_1_needs(tiny_autoregressive, tiny_run):
    record, masked = (RunFolder(run).record for run in (tiny_autoregressive, tiny_run))
    assert record.autoregressive.keys() == {"autoregressive/val_nll"} and record.mvtm is None
    assert record.sizes == masked.sizes and record.sizes["tokens"] == 64
    assert (record.tokenizer, record.tokens) == (masked.tokenizer, masked.tokens)
    (row,) = rows(tiny_autoregressive)
    assert row["nll_exact"] == pytest.approx(record.autoregressive["autoregressive/val_nll"], rel=1e-5)


def test_the_same_command_finds_the_run_and_another_is_refused(train, command, tiny_autoregressive, tiny_cache):
    here = f"run_dir={tiny_autoregressive}"
    assert "the run is complete" in train(here, "autoregressive.label_smoothing=0.1").out  # which it has
    expect_refused(train(here, "order=spiral"), "holds a different run (autoregressive.order._target_ is ")
    masked = command("train", "debug=tiny", *QUIET, f"cache_dir={tiny_cache}", here)
    expect_refused(masked, "holds a different run (model is autoregressive there and maskgit here): choose another")


def test_another_temperature_is_another_row_of_the_same_run(command, autoregressive):
    asked = ["eval.metrics=[fid,nll_bound]", "eval.n_samples=20", *QUIET, f"checkpoint={autoregressive}"]
    before = (autoregressive / "checkpoints" / LAST).read_bytes()
    for given in (["decode.temperature=0.5"], ["decode.top_k=3", "decode.top_p=0.9"], ["decode.kv_cache=false"]):
        said = command("evaluate", *asked, *given)
        assert said.code == 0, said.err
    first, cold, cut, slow = rows(autoregressive)
    assert (cold["temperature"], cut["top_k"], cut["top_p"], slow["kv_cache"]) == (0.5, 3, 0.9, False)
    for row in (cold, cut, slow):
        assert not row.keys() & ABSENT and row["nll_exact"] == first["nll_exact"] and row["model"] == first["model"]
    assert "samples each" not in command("evaluate", *asked, "decode.temperature=0.5").out  # measured once
    assert (autoregressive / "checkpoints" / LAST).read_bytes() == before and len(rows(autoregressive)) == 4


def test_repeats_and_saved_samples(command, autoregressive, pipeline):
    asked = ["eval.metrics=[fid]", "eval.n_samples=20", "eval.repeats=2", "save=[npz]", *QUIET]
    said = command("evaluate", f"checkpoint={autoregressive}", *asked)
    assert said.code == 0, said.err
    _, first, second = rows(autoregressive)
    assert (first.get("repeat"), second["repeat"]) == (None, 1) and first["fd_classifier"] != second["fd_classifier"]
    assert len(list(autoregressive.rglob("*.npz"))) == 2


def test_a_sample_is_the_file_that_the_command_writes(command, tiny_autoregressive, pipeline, tmp_path):
    given = [f"checkpoint={tiny_autoregressive}", "classes=[7,3]", "n=2", "seed=5"]
    said = command("sample", *given, "out=s")
    assert said.code == 0 and "4 images one token after the other" in said.out, said.err
    samples = pipeline.sample([3, 7, 3], seed=5)
    for image, name in zip(samples.pixels, ("3/00000", "7/00000", "3/00001"), strict=True):
        with Image.open(tmp_path / "s" / f"{name}.png") as file:
            assert file.tobytes() == image.permute(1, 2, 0).contiguous().numpy().tobytes()
    assert command("sample", *given, "out=guided", "decode.guidance=1e4").code == 0
    assert (tmp_path / "guided" / "3" / "00000.png").read_bytes() != (tmp_path / "s/3/00000.png").read_bytes()


def test_settings_of_the_library(pipeline):
    usual = pipeline.sample([3, 7, 7], seed=2, keep_history=True)
    assert usual.history.shape == (3, 64, 64) and (usual.history[:, -1] == usual.tokens).all()
    assert (usual.history[:, 0, 1:] == pipeline.mask_id).all() and pipeline.is_autoregressive
    for same in ({"kv_cache": False}, {"batch_size": 1}, {"top_k": pipeline.n_codes}, {"logits_fn": pipeline.logits}):
        assert (pipeline.sample([3, 7, 7], seed=2, **same).tokens == usual.tokens).all()
    for other in ({"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.3}, {"guidance": 1e4}):
        assert (pipeline.sample([3, 7, 7], seed=2, **other).tokens != usual.tokens).any()


def test_holes_are_filled_and_known_tokens_kept(pipeline, generator):
    tokens = torch.randint(pipeline.n_codes, (3, 64), generator=generator)
    hole = torch.rand(3, 64, generator=generator) < 0.5
    filled = pipeline.fill(tokens.masked_fill(hole, pipeline.mask_id), [0, 1, 2], seed=3)
    assert (filled.tokens == tokens)[~hole].all() and (filled.tokens < pipeline.n_codes).all()
    uncached = pipeline.fill(tokens.masked_fill(hole, pipeline.mask_id), [0, 1, 2], seed=3, kv_cache=False)
    assert (uncached.tokens == filled.tokens).all()


def test_a_function_takes_the_place_of_the_logits(pipeline):
    def one_code(tokens, labels):
        logits = torch.full((*tokens.shape, pipeline.n_codes), -torch.inf)
        logits[..., 5] = 0
        return logits

    assert (pipeline.sample([3, 7], logits_fn=one_code).tokens == 5).all()


def test_an_exported_model_is_opened_sampled_and_evaluated(command, tiny_autoregressive, pipeline, tmp_path):
    assert command("export", f"checkpoint={tiny_autoregressive}", "out=exported").code == 0
    card = (tmp_path / "exported" / "README.md").read_text()
    assert "# Autoregressive transformer, raster order, on digits" in card and "| order | " in card
    assert "schedule" not in card.partition("## Config")[0] and "steps" not in card.partition("## Config")[0]
    opened = Pipeline.load("exported", device="cpu")
    assert opened.is_autoregressive and opened.decoder == pipeline.decoder and opened.label_dropout == 0.1
    assert (opened.sample([3, 7]).tokens == pipeline.sample([3, 7]).tokens).all()
    assert command("sample", "checkpoint=exported", "classes=[3]", "n=1", "out=s").code == 0
    real = ["eval.reference=s", "eval.n_samples=20", "eval.metrics=[fid]", *QUIET]
    expect_refused(command("evaluate", "checkpoint=exported", "out=e", *real, "decode.steps=[8]"), "leave it out")
    expect_refused(command("sample", "checkpoint=exported", "decode=maskgit", "out=t"), "give decode=autoregressive")
    expect_refused(command("sample", "checkpoint=exported", "decode.schedule=linear", "out=t"), "leave it out")


def test_the_best_checkpoint_and_an_early_stop_monitor_its_own_nll(train, command, tmp_path):
    said = train("callbacks=[model_checkpoint,early_stopping]", "stage=autoregressive", "run_dir=run")
    assert said.code == 0, said.err
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    recorded = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["callbacks"]
    assert {node["monitor"] for node in recorded.values()} == {"autoregressive/val_nll"}
    assert command("sample", f"checkpoint={best}", "out=s", "n=1", "classes=[3]").code == 0


def test_a_training_begins_with_another(train, tiny_autoregressive, tiny_run, tmp_path):
    state = [f"ckpt_path={tiny_autoregressive}", "stage=autoregressive"]
    said = train(*state, "ckpt_mode=resume", "autoregressive.optim.epochs=2", "run_dir=more")
    assert said.code == 0 and "continues from" in said.out, said.err
    begun, more = (state_of(run) for run in (tiny_autoregressive, tmp_path / "more"))
    assert more["global_step"] == 2 * begun["global_step"]
    said = train(*state, "ckpt_mode=weights", "autoregressive.optim.lr=1e-9", "run_dir=anew")
    assert said.code == 0, said.err
    average, raw = (
        begun["state_dict"]["ema.module.head_bias"],
        state_of(tmp_path / "anew")["state_dict"]["net.head_bias"],
    )
    assert (average - raw).abs().max() < 1e-6
    masked = [f"ckpt_path={tiny_run}", "ckpt_mode=resume", "autoregressive.optim.epochs=2", "stage=autoregressive"]
    expect_refused(train(*masked, "run_dir=other"), "is of another model than model=autoregressive: give a checkpoint")
    assert not (tmp_path / "other").exists()


def test_two_processes_train_and_measure_the_model_that_one_does(tmp_path, train, tiny_cache):
    given = ["autoregressive.label_dropout=0.1", "eval.metrics=[fid,nll_bound]", "eval.n_samples=40"]
    assert train(*given, "run_dir=one").code == 0
    both = ["model=autoregressive", "debug=tiny", *QUIET, *given, f"cache_dir={tiny_cache}", "run_dir=two"]
    said = in_two_processes(tmp_path, "train", *both)
    assert said.code == 0 and said.err == "" and said.out.count("training on 300 token grids") == 1, said.err
    (one,), (two,) = rows(tmp_path / "one"), rows(tmp_path / "two")
    assert one["nll_exact"] == pytest.approx(two["nll_exact"], rel=1e-5) and one.keys() == two.keys()
    states = [state_of(tmp_path / name)["state_dict"] for name in ("one", "two")]
    apart = torch.cat([(states[0][name] - states[1][name]).abs().flatten() for name in states[0]])
    assert apart.max() < 1e-5  # the gradients of both are those of the whole batch
