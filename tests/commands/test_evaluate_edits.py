"""`evaluate.py task=` from end to end, at a tiny size."""

import numpy as np
import pytest
import torch
from PIL import Image

from evaluations import QUIET, UNLIKE, interrupted_once
from maskgit_lab.runs.results import Results, is_floor, samples_in
from refusals import expect_refused
from two_processes import in_two_processes

FEW = ["decode.steps=[3]", "eval.n_samples=24", "eval.batch_size=10", "eval.metrics=[fid]", *QUIET]
INPAINT = ["task=inpaint", "hole=center50", *FEW]


@pytest.fixture
def edit(command, run, tiny_cache):
    """Evaluates edits of the run, and returns the rows of a folder."""

    def evaluate(*arguments, out="run/editing"):
        said = command("evaluate", f"checkpoint={run}", f"cache_dir={tiny_cache}", *arguments)
        assert said.code == 0, said.err
        return Results(run.parent / out / "results.jsonl").rows()

    return evaluate


def test_rows_say_what_was_edited_and_lie_beside_those_of_samples(edit, run):
    before = (run / "results.jsonl").read_bytes()
    rows = edit("task=inpaint", "hole=center50", "editing.lpips_weights=random", *FEW, "decode.steps=[2,3]")
    held_out, pasted = (row for row in rows if is_floor(row))
    of_edit = {"task": "inpaint", "hole": "center50", "hide": "edge", "grow": 0, "blend": "blur", "seam": 2}
    assert pasted.items() >= {**of_edit, "source": "pasted", "lpips_weights": "random"}.items()
    assert held_out["source"] == "held_out" and not of_edit.keys() & held_out.keys() and "psnr" not in held_out
    first, second = samples_in(rows)
    told = {**of_edit, "variants": 2, "use_labels": True, "n_samples": 24, "data": "digits", "metrics": "fid"}
    assert first.items() >= told.items() and (first["steps"], second["steps"]) == (2, 3)
    assert first["schedule"] == "cosine" and first["model"] and "nll_draws" not in first and "cas_top1" not in first
    measured = {"psnr", "lpips", "feature_distance", "fd_classifier", "sample_accuracy"}
    assert measured <= pasted.keys() and measured | {"diversity", "feature_diversity"} <= first.keys()
    assert pasted["psnr"] > first["psnr"] and pasted["feature_distance"] < first["feature_distance"]
    assert not {"diversity", "feature_diversity"} & pasted.keys()
    assert (run / "results.jsonl").read_bytes() == before and not (run / "editing" / "evaluation").exists()
    sizes = []
    for path in (run / "editing" / "grids").iterdir():
        with Image.open(path) as picture:
            sizes.append(picture.size)
    assert sizes == [(4 * 18, 3 * 18)] * 2  # original, hole and two variants of three images


def test_what_is_measured_is_not_measured_again(edit, run, command, tiny_cache):
    before = edit(*INPAINT)
    said = command("evaluate", f"checkpoint={run}", f"cache_dir={tiny_cache}", *INPAINT)
    assert said.code == 0 and "samples each" not in said.out and "inpaint center50: quality over the" in said.out
    assert edit(*INPAINT) == before
    more = edit(*INPAINT, "editing.grow=1", "editing.variants=1")
    assert [row.get("source", row["grow"]) if "grow" in row else "held_out" for row in more[len(before) :]] == [
        "pasted",
        1,
    ]
    assert "feature_diversity" not in more[-1] and more[-1]["psnr"] != before[-1]["psnr"]


def test_a_class_edit_gives_another_class_and_is_not_compared_with_its_original(edit):
    *_, row = edit("task=class_edit", "hole=[4,4,12,12]", *FEW, "eval.repeats=2")
    assert (row["hole"], row["hide"], row["grow"], row["repeat"]) == ("[4,4,12,12]", "none", 1, 1)
    assert "sample_accuracy" in row and "feature_diversity" in row and not {"psnr", "feature_distance"} & row.keys()


def test_outpainting_has_its_hole_and_images_can_be_saved(edit, tmp_path):
    *_, row = edit("task=outpaint", *FEW, "out=elsewhere", "save=[png,npz]", out="elsewhere")
    assert (row["task"], row["hole"]) == ("outpaint", "right50")
    assert len(list((tmp_path / "elsewhere" / "samples").glob("*/png/*/*.png"))) == 24
    (saved,) = (tmp_path / "elsewhere" / "samples").glob("*/samples.npz")
    with np.load(saved) as arrays:
        assert arrays["arr_0"].shape == (24, 16, 16, 3) and arrays["arr_1"].shape == (24,)


def test_a_killed_evaluation_and_two_processes_give_equal_rows(edit, command, run, tiny_cache, monkeypatch, tmp_path):
    (*_, whole) = edit(*INPAINT)
    written = interrupted_once(monkeypatch, after=2)
    said = command("evaluate", f"checkpoint={run}", f"cache_dir={tiny_cache}", *INPAINT, "out=cut")
    assert said.code == 130 and len(written) == 2
    (*_, cut) = edit(*INPAINT, "out=cut", out="cut")
    assert len(written) == len(set(written)) == 3 and cut | UNLIKE == whole | UNLIKE
    asked = [f"checkpoint={run}", f"cache_dir={tiny_cache}", *INPAINT, f"out={tmp_path}/two"]
    said = in_two_processes(tmp_path, "evaluate", *asked)
    assert said.code == 0 and said.err == "", said.err
    (*_, two) = Results(tmp_path / "two" / "results.jsonl").rows()
    assert two | UNLIKE == whole | UNLIKE


def test_files_edit_the_images_of_a_data_set(command, run, tiny_cache, tmp_path):
    assert command("export", f"checkpoint={run}", "out=files").code == 0
    files = ["checkpoint=files", "out=o", "data=digits", "max_images=300", "eval.reference=train", "classifier=small"]
    files += ["features=classifier", "classifier.optim.epochs=1", f"cache_dir={tiny_cache}", *FEW]
    said = command("evaluate", *files, "task=inpaint")
    assert said.code == 0, said.err
    *_, row = Results(tmp_path / "o" / "results.jsonl").rows()
    assert row["task"] == "inpaint" and row["psnr"] > 0 and row["training_code"]
    expect_refused(
        command("evaluate", *files, "task=inpaint", "editing.use_labels=false"), "mvtm.label_dropout above 0"
    )
    other = [argument for argument in files if not argument.startswith("data")]
    expect_refused(command("evaluate", *other, "task=inpaint"), "name them with data=NAME and its settings")
    expect_refused(command("evaluate", *files, "task=inpaint", "data.size=8"), "has 8 x 8 pixels")


MISTAKES = {
    "hole=center50": "hole is a setting of edits: give task=inpaint",
    "editing.grow=1": "editing.grow is a setting of edits",
    "task=extrapolate": "there is no original to be compared with",
    "task=inpait": "task=inpait is not possible: choose one of class_edit, inpaint, outpaint",
    "task=class_edit": "task=class_edit needs a hole: give hole=[x0,y0,x1,y1]",
    "task=outpaint hole=center50": "hole=center50 lies in the middle",
    "task=inpaint hole=center150": "hole=center150: there is no such hole",
    "task=inpaint hole=corner50": "hole=corner50: there is no such hole",
    "task=inpaint hole=center1": "hole=center1 has no pixel in a picture of 16 x 16",
    "task=inpaint hole=5": "hole=5 is not possible",
    "task=inpaint hole={a:1}": "hole={'a': 1} is not possible",
    "task=inpaint hole=[1,2,3]": "give four whole numbers",
    "task=inpaint hole=[0.5,0,8,8]": "hole=[0.5, 0, 8, 8] is not possible: give a name such as center50, or a box",
    "task=inpaint hole=[4,4,4,8]": "[4,4,4,8] has no area",
    "task=inpaint hole=[8,0,4,8]": "[8,0,4,8] has no area",
    "task=inpaint hole=[4,0,17,16]": "[4,0,17,16] leaves the picture",
    "task=inpaint hole=[0,0,16,16]": "leaves no token of the images known",
    "task=inpaint editing.grow=-1": "editing.grow=-1 is not possible",
    "task=inpaint editing.seam=-1": "seam=-1 is not possible",
    "task=inpaint editing.hide=black": "hide=black is not possible: choose one of",
    "task=inpaint editing.hide=none": "editing.hide=none is for class edits",
    "task=inpaint editing.blend=alpha": "blend=alpha is not possible: choose one of",
    "task=inpaint editing.variants=0": "editing.variants=0 is not possible",
    "task=inpaint editing.variant=3": "did you mean editing.variants?",
    "task=inpaint editing.lpips_weights=absent": "editing.lpips_weights=absent is not there",
    "task=inpaint editing.lpips_weights=file": "does not hold torchvision's weights of vgg16",
    "task=inpaint editing.use_labels=false": "needs a model that was trained with mvtm.label_dropout above 0",
    "task=class_edit hole=[4,4,8,8] editing.use_labels=false": "leave editing.use_labels=false out",
    "task=inpaint eval.metrics=[cas]": "eval.metrics: cas is not measured for edits",
    "task=inpaint eval.metrics=[fid,nll]": "eval.metrics: nll is not measured for edits",
    "task=inpaint choose_temperature=[1,2]": "leave choose_temperature out",
    "task=inpaint runtime=[1]": "leave runtime out",
    "task=inpaint optimized_metric=nll": "optimized_metric=nll is not measured by this command: choose one of",
    "task=inpaint eval.n_samples=3": "eval.neighbours=3 is not below the number of images, 3",
    "task=inpaint out=RUN": "has the rows of samples",
    "optimized_metric=psnr": "optimized_metric=psnr is not measured by this command: choose one of fd_classifier",
}


@pytest.mark.parametrize("settings", MISTAKES, ids=str)
def test_a_mistake_is_one_sentence_and_costs_nothing(command, tiny_run, tiny_cache, tmp_path, settings):
    torch.save({"a": torch.zeros(1)}, tmp_path / "file")
    asked = settings.replace("RUN", str(tiny_run)).split()
    said = command("evaluate", f"checkpoint={tiny_run}", "logger=none", f"cache_dir={tiny_cache}", *asked)
    expect_refused(said, MISTAKES[settings])
    assert not (tiny_run / "editing" / "results.jsonl").exists()


def test_an_autoregressive_model_and_images_of_others_cannot_be_edited(command, tiny_autoregressive, tiny_cache, run):
    said = command("evaluate", f"checkpoint={tiny_autoregressive}", "task=inpaint", f"cache_dir={tiny_cache}")
    expect_refused(said, "has an autoregressive model: it predicts each token from those before it")
    expect_refused(command("evaluate", "samples=x", "eval.reference=y", "task=inpaint"), "leave samples out")
    (run / "checkpoints" / "last.ckpt").unlink()
    said = command("evaluate", f"checkpoint={run}", "task=inpaint", f"cache_dir={tiny_cache}")
    expect_refused(said, "task=inpaint needs a trained model: give `python train.py")
