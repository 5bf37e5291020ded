"""`evaluate.py` from end to end, at a tiny size."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from maskgit_lab.ablation.results import Results
from maskgit_lab.commands import parts as parts_module
from maskgit_lab.commands.generation import Sampler
from maskgit_lab.commands.saving import folder_names
from maskgit_lab.commands.trained import open_trained
from maskgit_lab.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
QUIET = ["logger=none", "trainer=cpu"]


@pytest.fixture
def run(tiny_run, tmp_path):
    """A copy of the tiny run, to be evaluated."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def rows(folder):
    return Results(folder / "results.jsonl").rows()


def npz(folder):
    (path,) = (folder / "samples").glob("*/samples.npz")
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def test_a_row_for_each_t_says_what_it_was_measured_with(command, run, tiny_cache):
    before = rows(run)
    asked = ["decode.steps=[2,3]", "n_samples=60", "decode.choice_temperature=1", "seed=5", "splits=2"]
    said = command("evaluate", f"checkpoint={run}", *asked, *QUIET, f"cache_dir={tiny_cache}")
    assert said.code == 0, said.err
    assert "reference  found in the cache" in said.out and "* from 60 samples and not 50,000" in said.out
    found = rows(run)
    assert found[: len(before)] == before and [row["steps"] for row in found[len(before) :]] == [2, 3]
    row = found[-1]
    told = {"n_samples": 60, "choice_temperature": 1, "seed": 5, "splits": 2, "features": "classifier", "guidance": 0}
    assert row.items() >= told.items() and row["reference"] == "digits-train" and row["features_weights"]
    for key in ("fd_classifier", "kd_classifier", "precision", "recall", "nll", "cas_top5", "cas_real_top1"):
        assert isinstance(row[key], float), key
    assert row["rfd_classifier"] > 0 and "fid" not in row and "sfid" not in row
    assert {key for key in row if key.startswith("version_")} >= {"version_torch", "version_torch_fidelity"}
    assert not (run / "evaluation").exists()
    again = command("evaluate", f"checkpoint={run}", *asked, *QUIET, f"cache_dir={tiny_cache}")
    assert again.code == 0 and "samples each" not in again.out and rows(run) == found


def test_it_does_not_change_what_train_py_holds_for_complete(command, run, tiny_cache):
    asked = ["decode.steps=[2]", "n_samples=20", "metrics=[fid]"]
    assert command("evaluate", f"checkpoint={run}", *asked, *QUIET, f"cache_dir={tiny_cache}").code == 0
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", f"run_dir={run}")
    assert said.code == 0 and "the run is complete" in said.out and "from 1,437 samples" in said.out
    assert "from 20" not in said.out


def test_the_same_point_by_train_py_and_by_evaluate_py_is_one_point(command, run, tiny_cache):
    said = command("evaluate", f"checkpoint={run}", *QUIET, f"cache_dir={tiny_cache}", "batch_size=50")
    assert said.code == 0 and "samples each" not in said.out, said.err


def test_a_killed_evaluation_goes_on_from_its_last_batch(command, run, tiny_cache, monkeypatch):
    asked = ["decode.steps=[2]", "n_samples=40", "batch_size=8", *QUIET, f"cache_dir={tiny_cache}"]
    assert command("evaluate", f"checkpoint={run}", *asked, "out=whole").code == 0
    write, written = parts_module.write_arrays, []

    def killed(arrays, path):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        write(arrays, path)

    monkeypatch.setattr(parts_module, "write_arrays", killed)
    said = command("evaluate", f"checkpoint={run}", *asked, "out=cut")
    assert said.code == 130 and "goes on from what was saved" in said.err
    monkeypatch.setattr(parts_module, "write_arrays", lambda arrays, path: written.append(path) or write(arrays, path))
    assert command("evaluate", f"checkpoint={run}", *asked, "out=cut").code == 0
    assert len(written) == 5 and len(set(written)) == 5  # no batch twice
    (whole,), (cut,) = rows(Path("whole")), rows(Path("cut"))
    assert whole | {"images_per_second": 0} == cut | {"images_per_second": 0}


def test_samples_do_not_depend_on_the_batch_size_or_the_number_of_processes(command, run, tiny_cache, tmp_path):
    asked = ["decode.steps=[4]", "n_samples=45", "metrics=[fid]", "save=[npz]", f"cache_dir={tiny_cache}", *QUIET]
    for size in (7, 64):
        said = command("evaluate", f"checkpoint={run}", *asked, f"batch_size={size}", f"out=b{size}")
        assert said.code == 0, said.err
    two = [
        *asked,
        "trainer.devices=2",
        "trainer.threads=1",
        "batch_size=7",
        "metrics=[fid,nll,cas]",
        f"out={tmp_path}/p2",
    ]
    script = [sys.executable, str(ROOT / "evaluate.py"), f"checkpoint={run}"]
    said = subprocess.run([*script, *two], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 0 and said.stderr == "", said.stderr
    first, *others = (npz(tmp_path / out) for out in ("b7", "b64", "p2"))
    assert first["arr_0"].shape == (45, 16, 16, 3) and first["arr_1"].tolist() == sorted(first["arr_1"])
    for other in others:
        assert (first["tokens"] != other["tokens"]).mean() < 1e-3
    one, two = rows(tmp_path / "b7")[0], rows(tmp_path / "p2")[0]
    assert one["fd_classifier"] == pytest.approx(two["fd_classifier"], rel=1e-4)
    assert "cas_top1" in two and said.stdout.count("written") == 1


def test_a_sample_has_the_same_noise_in_any_batch(tiny_run):
    trained = open_trained(str(tiny_run), None, None, "cpu")
    sampler = Sampler(trained.model, trained.tokenizer, trained.grid, trained.schedule, 4.5)
    labels, seeds = torch.arange(20) % 10, list(range(100, 120))
    whole, parts = sampler(labels, seeds, 3, 20), sampler(labels, seeds, 3, 3)
    assert (whole.tokens == parts.tokens).double().mean() > 0.999
    other = sampler(labels, list(range(200, 220)), 3, 20)
    assert (whole.tokens == other.tokens).double().mean() < 0.9


def test_saved_samples_are_scored_like_any_images(command, run, tiny_cache, tmp_path):
    asked = ["decode.steps=[2]", "n_samples=40", "save=[npz,png]", "out=made", "metrics=[fid,kid]"]
    assert command("evaluate", f"checkpoint={run}", *asked, *QUIET, f"cache_dir={tiny_cache}").code == 0
    (folder,) = (tmp_path / "made" / "samples").iterdir()
    pictures = sorted((folder / "png").glob("*/*.png"), key=lambda path: path.stem)
    assert len(pictures) == 40 and pictures[0].parent.name == "0" and pictures[-1].parent.name == "9"
    with Image.open(pictures[7]) as picture:
        assert (np.asarray(picture) == npz(tmp_path / "made")["arr_0"][7]).all()
    settings = [
        "data=digits",
        "reference=train",
        "features=classifier",
        "classifier=small",
        "classifier.optim.epochs=1",
    ]
    settings += [*QUIET, f"cache_dir={tiny_cache}", "kid_subsets=2", "metrics=[fid,kid]"]
    for samples, out in ((folder / "samples.npz", "a"), (folder / "png", "b")):
        said = command("evaluate", f"samples={samples}", *settings, f"out={out}")
        assert said.code == 0, said.err
    said = command("evaluate", f"samples={folder / 'png'}", *settings, "out=b")
    assert said.code == 0 and "features of 40" not in said.out
    ours, (a,), (b,) = rows(tmp_path / "made")[0], rows(tmp_path / "a"), rows(tmp_path / "b")
    assert a["samples"] == "samples.npz" and a["n_samples"] == 40
    for key in ("fd_classifier", "kd_classifier"):
        assert a[key] == pytest.approx(b[key], rel=1e-6) and a[key] == pytest.approx(ours[key], rel=1e-4)


def test_cas_of_samples_with_classes(command, tiny_cache, tmp_path):
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "s.npz", arr_0=generator.integers(0, 255, (20, 16, 16, 3), np.uint8), arr_1=np.arange(20) % 10)
    settings = ["data=digits", "reference=test", "metrics=[fid,cas]", "cas=small", "cas.optim.epochs=1"]
    settings += ["cas.augment.n_ops=2", "features=classifier", "classifier=small"]
    settings += ["classifier.optim.epochs=1", *QUIET, f"cache_dir={tiny_cache}", "out=o"]
    said = command("evaluate", "samples=s.npz", *settings)
    assert said.code == 0, said.err
    (row,) = rows(tmp_path / "o")
    assert (
        0 <= row["cas_top1"] <= row["cas_top5"] <= 1 and row["cas_real_top1"] > 0 and row["reference"] == "digits-test"
    )
    assert not (tiny_cache / "scoring").exists()


def test_a_transformers_file_is_evaluated_without_its_run(command, run, tiny_cache, tmp_path):
    assert command("export", f"checkpoint={run}", "out=files").code == 0
    np.savez(tmp_path / "real.npz", arr_0=np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), np.uint8))
    files = ["checkpoint=files/transformer.safetensors", "tokenizer.weights=files/tokenizer.safetensors"]
    asked = ["reference=real.npz", "n_samples=6", "decode.steps=[2]", "features.weights=random", "features=inception"]
    said = command("evaluate", *files, *asked, *QUIET, f"cache_dir={tiny_cache}", "out=made")
    assert said.code == 0, said.err
    (row,) = rows(tmp_path / "made")
    assert row["fd_inception_random"] > 0 and row["sfd_inception_random"] > 0 and row["schedule"] == "cosine"
    assert not row.keys() & {"fid", "nll", "cas_top1", "data", "sample_accuracy"}
    said = command("evaluate", *files, *asked, *QUIET, f"cache_dir={tiny_cache}")
    assert said.code == 2 and "out is needed" in said.err


def test_another_extractor_for_precision_and_recall(command, run, tiny_cache, tmp_path):
    asked = ["precision_features=vgg16", "precision_weights=random", "n_samples=6", "decode.steps=[2]"]
    settings = [*asked, "metrics=[fid,precision_recall]", "max_images=null", *QUIET, f"cache_dir={tiny_cache}", "out=o"]
    np.savez(tmp_path / "real.npz", arr_0=np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), np.uint8))
    said = command("evaluate", f"checkpoint={run}", *settings, "reference=real.npz")
    assert said.code == 0, said.err
    (row,) = rows(tmp_path / "o")
    assert row["precision_features"] == "vgg16_random" and "precision" in row and "fd_classifier" in row
    assert "fd_vgg16_random" not in row


def test_adms_reference_file_gives_the_fid_of_its_statistics(command, tiny_cache, tmp_path):
    generator = np.random.default_rng(0)
    real, fake = (generator.integers(low, 256, (12, 16, 16, 3), np.uint8) for low in (0, 60))
    np.savez(tmp_path / "fake.npz", arr_0=fake)
    np.savez(tmp_path / "real.npz", arr_0=real)
    common = [
        "samples=fake.npz",
        "features=inception",
        "features.weights=random",
        "metrics=[fid,sfid,precision_recall]",
    ]
    common += [*QUIET, "cache_dir=cache"]
    assert command("evaluate", *common, "reference=real.npz", "out=images").code == 0
    kept = load_file(next((tmp_path / "cache" / "reference").glob("*/reference.safetensors")))
    statistics = {"mu": kept["mean"], "sigma": kept["covariance"]}
    statistics |= {"mu_s": kept["spatial_mean"], "sigma_s": kept["spatial_covariance"]}
    arrays = {name: value.numpy() for name, value in statistics.items()}
    np.savez(tmp_path / "adm.npz", **arrays, arr_0=real[:8])
    np.savez(tmp_path / "alone.npz", **arrays)
    for name in ("adm", "alone"):
        said = command("evaluate", *common, f"reference={name}.npz", f"out={name}")
        assert said.code == 0, said.err
    images, adm, alone = (rows(tmp_path / name)[0] for name in ("images", "adm", "alone"))
    for key in ("fd_inception_random", "sfd_inception_random"):
        assert adm[key] == pytest.approx(images[key], rel=1e-6) and alone[key] == pytest.approx(images[key], rel=1e-6)
    assert "precision" in adm and "precision" not in alone
    said = command("evaluate", *common, "reference=alone.npz", "features=vgg16", "out=v")
    assert said.code == 2 and "statistics of the Inception network alone" in said.err


def test_a_run_with_a_tokenizer_alone_has_its_reconstruction_measured(command, tiny_cache, tmp_path):
    settings = ["debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=t", "stage=tokenizer"]
    assert command("train", *settings).code == 0
    said = command("evaluate", "checkpoint=t", *QUIET, f"cache_dir={tiny_cache}")
    assert said.code == 0 and "rfd_classifier" in said.out and "no transformer yet" in said.out


def test_a_broken_model_has_no_scores(command, run, tiny_cache, tmp_path):
    assert command("export", f"checkpoint={run}", "out=files").code == 0
    path = tmp_path / "files" / "transformer.safetensors"
    trained = open_trained(str(run), None, None, "cpu")
    sampler = Sampler(trained.model, trained.tokenizer, trained.grid, trained.schedule, 4.5)
    with torch.no_grad():
        trained.model.head_bias.fill_(torch.nan)
    with pytest.raises(UserError, match="the samples are no numbers"):
        sampler(torch.zeros(2, dtype=torch.int64), [0, 1], 2, 2)
    arrays = load_file(path)
    arrays["head_bias"].fill_(torch.inf)
    save_file(arrays, path)
    said = command("evaluate", f"checkpoint={path}", "tokenizer.weights=files/tokenizer.safetensors", "out=o")
    assert said.code == 2 and not Path("o").exists()


def test_wandb_keeps_an_evaluation_apart_from_the_training(command, run, tiny_cache, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    asked = ["decode.steps=[2]", "n_samples=20", "metrics=[fid]", "trainer=cpu", f"cache_dir={tiny_cache}"]
    said = command("evaluate", f"checkpoint={run}", *asked)
    assert said.code == 0 and "wandb sync" in said.out
    (offline,) = (run / "wandb").glob("offline-run-*")
    assert json.loads((run / "run.json").read_text())["wandb_id"] not in offline.name


def test_samples_can_be_saved_after_they_were_measured_and_once_only(command, run, tiny_cache, tmp_path):
    asked = [
        f"checkpoint={run}",
        "decode.steps=[2]",
        "n_samples=20",
        "metrics=[fid]",
        *QUIET,
        f"cache_dir={tiny_cache}",
    ]
    assert command("evaluate", *asked).code == 0
    before = rows(run)
    said = command("evaluate", *asked, "save=[npz]")
    assert said.code == 0 and said.out.count("written") == 1 and len(npz(run)["tokens"]) == 20
    after = rows(run)
    assert len(after) == len(before) and after[-1] | {"images_per_second": 0} == before[-1] | {"images_per_second": 0}
    said = command("evaluate", *asked, "save=[npz]")
    assert said.code == 0 and "written" not in said.out


def test_two_models_in_one_folder_are_two_points(command, run, tiny_cache, tmp_path):
    assert command("export", f"checkpoint={run}", "out=files").code == 0
    arrays = load_file(tmp_path / "files" / "transformer.safetensors")
    with safe_open(tmp_path / "files" / "transformer.safetensors", "pt") as file:
        about = file.metadata()
    arrays["head_bias"] += torch.randn(arrays["head_bias"].shape, generator=torch.Generator().manual_seed(0))
    save_file(arrays, tmp_path / "files" / "other.safetensors", about)
    np.savez(tmp_path / "real.npz", arr_0=np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), np.uint8))
    asked = ["tokenizer.weights=files/tokenizer.safetensors", "reference=real.npz", "n_samples=6", "decode.steps=[2]"]
    asked += ["features=inception", "features.weights=random", "metrics=[fid]", *QUIET, "cache_dir=cache", "out=o"]
    for name in ("transformer", "other"):
        assert command("evaluate", f"checkpoint=files/{name}.safetensors", *asked).code == 0
    one, other = rows(tmp_path / "o")
    assert one["model"] != other["model"] and one["fd_inception_random"] != other["fd_inception_random"]


def test_damaged_codes_are_not_measured_and_lost_ones_are_said(command, run, tiny_cache, tmp_path):
    shutil.copytree(tiny_cache, tmp_path / "cache")
    record = json.loads((run / "run.json").read_text())
    codes = tmp_path / "cache" / "tokens" / Path(record["done"]["tokens"]["path"]).name
    record["done"]["tokens"]["path"] = str(codes)
    (run / "run.json").write_text(json.dumps(record))
    asked = [f"checkpoint={run}", "decode.steps=[2]", "n_samples=20", "metrics=[fid,nll]", *QUIET, "cache_dir=cache"]
    held_out = codes / "test-00000.npy"
    whole = held_out.read_bytes()
    held_out.write_bytes(whole[:-9] + b"\0" * 9)
    said = command("evaluate", *asked)
    assert said.code == 2 and "its file test-00000.npy is damaged" in said.err
    codes.rename(tmp_path / "elsewhere")
    said = command("evaluate", *asked)
    assert said.code == 0 and "nll        left out" in said.out and "nll" not in rows(run)[-1]
    (tmp_path / "elsewhere").rename(codes)
    held_out.write_bytes(whole)
    assert command("evaluate", *asked).code == 0 and rows(run)[-1]["nll"] > 0


def test_folders_of_classes_are_theirs_alone():
    names = ["class_0001", "a/b", "x", "x", "日" * 100, "ok", "grid.png"]
    made = folder_names(names, taken=["grid.png"])
    assert made == ["class_0000", "class_0001", "class_0002", "class_0003", "class_0004", "ok", "class_0006"]
