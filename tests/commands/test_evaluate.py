"""`evaluate.py` from end to end, at a tiny size."""

import json
from pathlib import Path

import pytest
import torch

from copies import copy_of
from evaluations import QUIET, UNLIKE, floors, interrupted_once, npz, rows
from maskgit_lab.sampling.pipeline import Pipeline
from two_processes import in_two_processes


def test_a_row_for_each_t_says_what_it_was_measured_with(command, run, tiny_cache):
    before = rows(run)
    asked = ["decode.steps=[2,3]", "eval.n_samples=60", "decode.choice_temperature=1", "seed=5", "eval.splits=2"]
    said = command("evaluate", f"checkpoint={run}", *asked, *QUIET, f"cache_dir={tiny_cache}")
    assert said.code == 0, said.err
    assert "reference  found in the cache" in said.out and "* from 60 samples instead of 50,000" in said.out
    found = rows(run)
    assert found[: len(before)] == before and [row["steps"] for row in found[len(before) :]] == [2, 3]
    row = found[-1]
    told = {
        "decoder": "maskgit",
        "n_samples": 60,
        "choice_temperature": 1,
        "seed": 5,
        "splits": 2,
        "features": "classifier",
        "guidance": 0,
    }
    assert row.items() >= told.items() and row["reference"] == "digits-train" and row["features_weights"]
    for key in ("fd_classifier", "kd_classifier", "precision", "recall", "nll", "cas_top5", "cas_real_top1"):
        assert isinstance(row[key], float), key
    assert row["features_saw_reference"] and "fid" not in row and "sfid" not in row and "rfd_classifier" not in row
    held_out, rebuilt = floors(run)[-2:]
    assert [held_out["source"], rebuilt["source"]] == ["held_out", "reconstructions"]
    alike = ("n_samples", "reference_fingerprint", "features_weights", "splits", "kid_subset_size", "data")
    for floor in (held_out, rebuilt):
        assert all(floor[key] == row[key] for key in alike) and not {"steps", "schedule", "model", "nll"} & floor.keys()
        assert all(isinstance(floor[key], float) for key in ("fd_classifier", "precision", "sample_accuracy"))
    assert held_out["fd_classifier"] < rebuilt["fd_classifier"] and len(rebuilt["tokenizer"]) == 12
    assert held_out["memorised"] <= 0.01 and 0 <= row["memorised"] <= 1 and 0 <= row["memorised_codes"] <= 1
    assert "\n       held-out " in said.out and "\nreconstructions " in said.out
    assert "The extractor was trained on the images of the reference" in said.out
    assert {key for key in row if key.startswith("version_")} >= {"version_torch", "version_torch_fidelity"}
    assert not (run / "evaluation").exists()
    again = command("evaluate", f"checkpoint={run}", *asked, *QUIET, f"cache_dir={tiny_cache}")
    assert again.code == 0 and "samples each" not in again.out and rows(run) == found


def test_it_does_not_change_what_train_py_holds_for_complete(command, run, tiny_cache):
    asked = ["decode.steps=[2]", "eval.n_samples=20", "eval.metrics=[fid]"]
    assert command("evaluate", f"checkpoint={run}", *asked, *QUIET, f"cache_dir={tiny_cache}").code == 0
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", f"run_dir={run}")
    assert said.code == 0 and "the run is complete" in said.out and "from 300 samples" in said.out
    assert "from 20" not in said.out


def test_the_same_point_by_train_py_and_by_evaluate_py_is_one_point(command, run, tiny_cache):
    said = command("evaluate", f"checkpoint={run}", *QUIET, f"cache_dir={tiny_cache}", "eval.batch_size=50")
    assert said.code == 0 and "samples each" not in said.out, said.err


def test_a_killed_evaluation_goes_on_from_its_last_batch(command, run, tiny_cache, monkeypatch):
    asked = ["decode.steps=[2]", "eval.n_samples=40", "eval.batch_size=8", *QUIET, f"cache_dir={tiny_cache}"]
    assert command("evaluate", f"checkpoint={run}", *asked, "out=whole").code == 0
    written = interrupted_once(monkeypatch, after=2)
    said = command("evaluate", f"checkpoint={run}", *asked, "out=cut")
    assert said.code == 130 and "the same command measures the rest" in said.err and len(written) == 2
    assert command("evaluate", f"checkpoint={run}", *asked, "out=cut").code == 0
    assert len(written) == 5 and len(set(written)) == 5  # no batch twice
    (whole,), (cut,) = rows(Path("whole")), rows(Path("cut"))
    assert whole | UNLIKE == cut | UNLIKE


def test_samples_do_not_depend_on_the_batch_size_or_the_number_of_processes(command, run, tiny_cache, tmp_path):
    asked = [f"checkpoint={run}", "decode.steps=[4]", "eval.n_samples=45", "save=[npz]", *QUIET]
    asked += [f"cache_dir={tiny_cache}"]
    for size in (7, 64):
        said = command("evaluate", *asked, "eval.metrics=[fid]", f"eval.batch_size={size}", f"out=b{size}")
        assert said.code == 0, said.err
    metrics = ["eval.metrics=[fid,nll,cas]", "eval.nll_draws=2"]
    said = in_two_processes(tmp_path, "evaluate", *asked, *metrics, "eval.batch_size=7", f"out={tmp_path}/p2")
    assert said.code == 0 and said.err == "", said.err
    first, *others = (npz(tmp_path / out) for out in ("b7", "b64", "p2"))
    assert first["arr_0"].shape == (45, 16, 16, 3) and first["arr_1"].tolist() == sorted(first["arr_1"])
    for other in others:
        assert (first["tokens"] != other["tokens"]).mean() < 1e-3
    one, two = rows(tmp_path / "b7")[0], rows(tmp_path / "p2")[0]
    assert one["fd_classifier"] == pytest.approx(two["fd_classifier"], rel=1e-4)
    assert "cas_top1" in two and two["nll"] > 0 and said.out.count("written") == 1


def test_a_sample_has_the_same_noise_in_any_batch(tiny_run):
    pipeline = Pipeline.load(tiny_run, device="cpu").at(3)
    labels, seeds = torch.arange(20) % 10, list(range(100, 120))
    whole, parts = (pipeline.sample(labels, seeds, batch_size=size) for size in (20, 3))
    assert (whole.tokens == parts.tokens).double().mean() > 0.999
    other = pipeline.sample(labels, list(range(200, 220)))
    assert (whole.tokens == other.tokens).double().mean() < 0.9


def test_a_run_with_a_tokenizer_alone_has_its_reconstruction_measured(command, tiny_cache, tmp_path):
    settings = ["debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=t", "stage=tokenizer"]
    assert command("train", *settings).code == 0
    said = command("evaluate", "checkpoint=t", *QUIET, f"cache_dir={tiny_cache}")
    assert said.code == 0 and "no transformer yet" in said.out and "Quality of the tokenizer" in said.out
    assert [floor["source"] for floor in floors(Path("t"))] == ["held_out", "reconstructions"]


def test_wandb_keeps_an_evaluation_apart_from_the_training(command, run, tiny_cache, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    asked = ["decode.steps=[2]", "eval.n_samples=20", "eval.metrics=[fid]", "trainer=cpu", f"cache_dir={tiny_cache}"]
    said = command("evaluate", f"checkpoint={run}", *asked)
    assert said.code == 0 and "wandb sync" in said.out
    (offline,) = (run / "wandb").glob("offline-run-*")
    assert json.loads((run / "run.json").read_text())["wandb_id"] not in offline.name


def test_samples_can_be_saved_after_they_were_measured_and_once_only(command, run, tiny_cache, tmp_path):
    asked = [
        f"checkpoint={run}",
        "decode.steps=[2]",
        "eval.n_samples=20",
        "eval.metrics=[fid]",
        *QUIET,
        f"cache_dir={tiny_cache}",
    ]
    assert command("evaluate", *asked).code == 0
    before = rows(run)
    said = command("evaluate", *asked, "save=[npz]")
    assert said.code == 0 and said.out.count("written") == 1 and len(npz(run)["tokens"]) == 20
    after = rows(run)
    assert len(after) == len(before) and after[-1] | UNLIKE == before[-1] | UNLIKE
    said = command("evaluate", *asked, "save=[npz]")
    assert said.code == 0 and "written" not in said.out


def test_damaged_codes_are_not_measured_and_lost_ones_are_said(command, run, tiny_cache, tmp_path):
    copy_of(tiny_cache, tmp_path / "cache")
    record = json.loads((run / "run.json").read_text())
    codes = tmp_path / "cache" / "tokens" / Path(record["tokens"]["path"]).name
    asked = [
        f"checkpoint={run}",
        "decode.steps=[2]",
        "eval.n_samples=20",
        "eval.metrics=[fid,nll]",
        *QUIET,
        "cache_dir=cache",
    ]
    (held_out,) = codes.glob("test-*.safetensors")
    whole = held_out.read_bytes()
    held_out.write_bytes(whole[:-9] + b"\0" * 9)
    said = command("evaluate", *asked)
    assert said.code == 2 and f"its file {held_out.name} is damaged" in said.err
    codes.rename(tmp_path / "elsewhere")
    said = command("evaluate", *asked)
    assert said.code == 0 and "nll        left out" in said.out and "nll" not in rows(run)[-1]
    (tmp_path / "elsewhere").rename(codes)
    held_out.write_bytes(whole)
    assert command("evaluate", *asked).code == 0 and rows(run)[-1]["nll"] > 0


def test_no_features_are_computed_where_none_are_needed(command, run, tiny_cache):
    asked = ["decode.steps=[2]", "eval.n_samples=20", "eval.metrics=[nll]", "eval.reference=train", *QUIET]
    said = command("evaluate", f"checkpoint={run}", *asked, f"cache_dir={tiny_cache}")
    assert said.code == 0 and "reference" not in said.out, said.err
    row = rows(run)[-1]
    assert row["nll"] > 0 and row["images_per_second"] > 0 and not {"fd_classifier", "sample_accuracy"} & row.keys()
