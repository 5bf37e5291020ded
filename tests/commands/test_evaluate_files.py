"""`evaluate.py` on images, references and networks in files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from evaluations import QUIET, distance_of_few, floors, npz, rows
from maskgit_lab.errors import UserError
from maskgit_lab.metrics import scores
from maskgit_lab.metrics.statistics import fit_gaussian, frechet_distance
from maskgit_lab.sampling.files import folder_names
from maskgit_lab.sampling.pipeline import Pipeline
from refusals import expect_refused


@pytest.fixture
def few(monkeypatch):
    """Distances of a few samples in no time, where a general one of 2,048 features takes several seconds."""
    monkeypatch.setattr(scores, "frechet_distance", distance_of_few)


def test_the_distance_of_few_is_the_distance(generator):
    samples = fit_gaussian([torch.randn(12, 40, generator=generator)])
    reference = fit_gaussian([2 * torch.randn(30, 40, generator=generator) + 1])
    assert distance_of_few(samples, reference) == pytest.approx(frechet_distance(samples, reference), rel=1e-4)


def test_saved_samples_are_scored_like_any_images(command, run, tiny_cache, tmp_path):
    asked = ["decode.steps=[2]", "eval.n_samples=40", "save=[npz,png]", "out=made", "eval.metrics=[fid,kid]"]
    assert command("evaluate", f"checkpoint={run}", *asked, *QUIET, f"cache_dir={tiny_cache}").code == 0
    (folder,) = (tmp_path / "made" / "samples").iterdir()
    pictures = sorted((folder / "png").glob("*/*.png"), key=lambda path: path.stem)
    assert len(pictures) == 40 and pictures[0].parent.name == "0" and pictures[-1].parent.name == "9"
    with Image.open(pictures[7]) as picture:
        assert (np.asarray(picture) == npz(tmp_path / "made")["arr_0"][7]).all()
    settings = ["data=digits", "max_images=300", "eval.reference=train"]  # of the run
    settings += ["features=classifier", "classifier=small", "classifier.optim.epochs=1"]
    settings += [*QUIET, f"cache_dir={tiny_cache}", "eval.kid_subsets=2", "eval.metrics=[fid,kid]"]
    for samples, out in ((folder / "samples.npz", "a"), (folder / "png", "b")):
        said = command("evaluate", f"samples={samples}", *settings, f"out={out}")
        assert said.code == 0, said.err
    said = command("evaluate", f"samples={folder / 'png'}", *settings, "out=b")
    assert said.code == 0 and "features of 40" not in said.out
    ours, (a,), (b,) = rows(tmp_path / "made")[0], rows(tmp_path / "a"), rows(tmp_path / "b")
    assert a["samples"] == "samples.npz" and a["n_samples"] == 40
    (floor,), of_run = floors(tmp_path / "a"), floors(tmp_path / "made")  # there is no tokenizer
    assert floor["source"] == "held_out" == of_run[0]["source"] and floor["n_samples"] == 40
    assert floor["fd_classifier"] == pytest.approx(of_run[0]["fd_classifier"], rel=1e-4)
    for key in ("fd_classifier", "kd_classifier"):
        assert a[key] == pytest.approx(b[key], rel=1e-6) and a[key] == pytest.approx(ours[key], rel=1e-4)


def test_cas_of_samples_with_classes(command, tiny_cache, tmp_path):
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "s.npz", arr_0=generator.integers(0, 255, (20, 16, 16, 3), np.uint8), arr_1=np.arange(20) % 10)
    settings = ["data=digits", "eval.reference=test", "eval.metrics=[fid,cas]", "cas=small", "cas.optim.epochs=1"]
    settings += ["cas.augment.n_ops=2", "features=classifier", "classifier=small"]
    settings += ["classifier.optim.epochs=1", *QUIET, f"cache_dir={tiny_cache}", "out=o"]
    said = command("evaluate", "samples=s.npz", *settings)
    assert said.code == 0 and "with eval.reference=test the held-out images are the reference itself" in said.out
    assert floors(tmp_path / "o") == []
    (row,) = rows(tmp_path / "o")
    assert (
        0 <= row["cas_top1"] <= row["cas_top5"] <= 1 and row["cas_real_top1"] > 0 and row["reference"] == "digits-test"
    )
    assert 0 < row["cas_real_all_top1"] <= 1  # there are more than 20 real images
    assert not (tiny_cache / "scoring").exists()


def test_a_transformers_file_is_evaluated_without_its_run(command, run, tiny_cache, tmp_path, few):
    assert command("export", f"checkpoint={run}", "out=files").code == 0
    np.savez(tmp_path / "real.npz", arr_0=np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), np.uint8))
    files = ["checkpoint=files/transformer.safetensors", "tokenizer.weights=files/tokenizer.safetensors"]
    asked = [
        "eval.reference=real.npz",
        "eval.n_samples=6",
        "decode.steps=[2]",
        "features.weights=random",
        "features=inception",
    ]
    said = command("evaluate", *files, *asked, *QUIET, f"cache_dir={tiny_cache}", "out=made")
    assert said.code == 0, said.err
    (row,) = rows(tmp_path / "made")
    assert row["fd_inception_random"] > 0 and row["sfd_inception_random"] > 0 and row["schedule"] == "cosine"
    assert not row.keys() & {"fid", "nll", "cas_top1", "data", "sample_accuracy"}
    said = command("evaluate", *files, *asked, *QUIET, f"cache_dir={tiny_cache}")
    assert said.code == 2 and "out is needed" in said.err


def test_what_sample_writes_is_evaluated(command, tiny_run, tmp_path, few):
    assert command("sample", f"checkpoint={tiny_run}", "classes=[3,7]", "n=2", "out=s", "decode.steps=1").code == 0
    asked = ["features=inception", "features.weights=random", "eval.metrics=[fid]", *QUIET, "out=e"]
    said = command("evaluate", "samples=s", "eval.reference=s", *asked)
    assert said.code == 0, said.err
    (row,) = rows(tmp_path / "e")
    assert row["n_samples"] == 4 and row["fd_inception_random"] == pytest.approx(0, abs=1e-3)


def test_another_extractor_for_precision_and_recall(command, run, tiny_cache, tmp_path):
    asked = ["eval.precision_features=vgg16", "eval.precision_weights=random", "eval.n_samples=4", "decode.steps=[2]"]
    settings = [
        *asked,
        "eval.metrics=[fid,precision_recall]",
        "max_images=null",
        *QUIET,
        f"cache_dir={tiny_cache}",
        "out=o",
    ]
    np.savez(tmp_path / "real.npz", arr_0=np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), np.uint8))
    said = command("evaluate", f"checkpoint={run}", *settings, "eval.reference=real.npz")
    assert said.code == 0, said.err
    (row,) = rows(tmp_path / "o")
    assert row["precision_features"] == "vgg16_random" and "precision" in row and "fd_classifier" in row
    assert "fd_vgg16_random" not in row


def test_adms_reference_file_gives_the_fid_of_its_statistics(command, tmp_path, few):
    generator = np.random.default_rng(0)
    real, fake = (generator.integers(low, 256, (6, 16, 16, 3), np.uint8) for low in (0, 60))
    np.savez(tmp_path / "fake.npz", arr_0=fake)
    np.savez(tmp_path / "real.npz", arr_0=real)
    common = [
        "samples=fake.npz",
        "features=inception",
        "features.weights=random",
        "eval.metrics=[fid,sfid,precision_recall]",
    ]
    common += [*QUIET, "cache_dir=cache"]
    assert command("evaluate", *common, "eval.reference=real.npz", "out=images").code == 0
    kept = load_file(next((tmp_path / "cache" / "reference").glob("*/reference.safetensors")))
    statistics = {"mu": kept["mean"], "sigma": kept["covariance"]}
    statistics |= {"mu_s": kept["spatial_mean"], "sigma_s": kept["spatial_covariance"]}
    arrays = {name: value.numpy() for name, value in statistics.items()}
    np.savez(tmp_path / "adm.npz", **arrays, arr_0=real[:4])
    np.savez(tmp_path / "alone.npz", **arrays)
    for name in ("adm", "alone"):
        said = command("evaluate", *common, f"eval.reference={name}.npz", f"out={name}")
        assert said.code == 0, said.err
    images, adm, alone = (rows(tmp_path / name)[0] for name in ("images", "adm", "alone"))
    for key in ("fd_inception_random", "sfd_inception_random"):
        assert adm[key] == pytest.approx(images[key], rel=1e-6) and alone[key] == pytest.approx(images[key], rel=1e-6)
    assert "precision" in adm and "precision" not in alone
    said = command("evaluate", *common, "eval.reference=alone.npz", "features=vgg16", "out=v")
    assert said.code == 2 and "only statistics of the Inception network" in said.err


def test_a_broken_model_has_no_scores(command, run, tiny_cache, tmp_path):
    assert command("export", f"checkpoint={run}", "out=files").code == 0
    path = tmp_path / "files" / "transformer.safetensors"
    pipeline = Pipeline.load(run, device="cpu")
    with torch.no_grad():
        pipeline.model.head_bias.fill_(torch.nan)
    with pytest.raises(UserError, match="samples contain NaN: the checkpoint's weights are damaged"):
        pipeline.at(2).sample(torch.zeros(2, dtype=torch.int64), [0, 1])
    arrays = load_file(path)
    arrays["head_bias"].fill_(torch.inf)
    save_file(arrays, path)
    said = command("evaluate", f"checkpoint={path}", "tokenizer.weights=files/tokenizer.safetensors", "out=o")
    expect_refused(said, "decode.steps is needed, since ")
    assert not Path("o").exists()
    asked = ["decode.steps=[2]", "eval.reference=real.npz", "eval.n_samples=4", "eval.metrics=[fid]"]
    asked += ["features=inception", "features.weights=random", *QUIET, "cache_dir=cache"]
    np.savez(tmp_path / "real.npz", arr_0=np.zeros((5, 16, 16, 3), np.uint8))
    said = command("evaluate", f"checkpoint={path}", "tokenizer.weights=files/tokenizer.safetensors", "out=o", *asked)
    expect_refused(said, "not a network of this suite")
    assert not Path("o/results.jsonl").exists()


def test_two_models_in_one_folder_are_two_points(command, run, tmp_path, few):
    assert command("export", f"checkpoint={run}", "out=files").code == 0
    arrays = load_file(tmp_path / "files" / "transformer.safetensors")
    with safe_open(tmp_path / "files" / "transformer.safetensors", "pt") as file:
        about = file.metadata()
    arrays["head_bias"] += torch.randn(arrays["head_bias"].shape, generator=torch.Generator().manual_seed(0))
    save_file(arrays, tmp_path / "files" / "other.safetensors", about)
    np.savez(tmp_path / "real.npz", arr_0=np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), np.uint8))
    asked = [
        "tokenizer.weights=files/tokenizer.safetensors",
        "eval.reference=real.npz",
        "eval.n_samples=6",
        "decode.steps=[2]",
    ]
    asked += ["features=inception", "features.weights=random", "eval.metrics=[fid]", *QUIET, "cache_dir=cache", "out=o"]
    for name in ("transformer", "other"):
        assert command("evaluate", f"checkpoint=files/{name}.safetensors", *asked).code == 0
    one, other = rows(tmp_path / "o")
    assert one["model"] != other["model"] and one["fd_inception_random"] != other["fd_inception_random"]


def test_folders_of_classes_are_theirs_alone():
    names = ["class_0001", "a/b", "x", "x", "日" * 100, "ok", "grid.png"]
    made = folder_names(names, taken=["grid.png"])
    assert made == ["class_0000", "class_0001", "class_0002", "class_0003", "class_0004", "ok", "class_0006"]
