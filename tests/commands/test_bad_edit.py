"""Every mistake of a user of `edit.py` gets one sentence and a non-zero exit; nothing is written or overwritten."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from maskgit_lab.commands import edit
from maskgit_lab.errors import UserError
from maskgit_lab.settings import EditConf, checked
from picture_files import picture, png
from refusals import expect_refused

INPAINT = "task=inpaint image=picture.png box=[4,4,12,12] "
EDITS = {
    # The task and what belongs to it.
    "task=paint image=picture.png": "task=paint is not possible: choose one of class_edit, inpaint, outpaint, extrapol",
    "task=inpaint image=picture.png": "task=inpaint needs a region to fill: give box=[x0,y0,x1,y1] or mask=",
    "task=outpaint image=picture.png": "needs a region to fill: give left, right, up or down",
    "task=extrapolate image=picture.png": "needs a region to fill: give width or height above 1",
    "task=extrapolate image=picture.png width=1": "needs a region to fill: give width or height above 1",
    "task=outpaint image=picture.png box=[4,4,12,12]": "box=[4,4,12,12] does not apply to task=outpaint: give left",
    INPAINT + "width=4": "width=4.0 does not apply to task=inpaint: give box=",
    "task=extrapolate image=picture.png width=4 right=1": "right=1.0 does not apply to task=extrapolate: give width",
    INPAINT + "mask=mask.png": "box and mask both say where the hole is: give one of them",
    "task=class_edit image=picture.png box=[4,4,8,8]": "task=class_edit needs the class that the hole gets: give labe",
    "task=extrapolate image=picture.png width=0.5": "width=0.5 is not possible: give a number of at least 1",
    "task=extrapolate image=picture.png width=1000000": "the result would have 16000000 x 16 pixels",
    "task=extrapolate image=picture.png width=1.01": "width=1.01 adds no pixel to a picture of 16 x 16",
    "task=outpaint image=picture.png right=-0.5": "right=-0.5 is not possible: give a positive number",
    "task=outpaint image=picture.png right=0": "right=0 is not possible: give a positive number",
    "task=outpaint image=picture.png right=0.01": "right=0.01 adds no pixel to a picture of 16 x 16",
    "task=outpaint image=picture.png up=1e8": "at most 67,108,864 are possible",
    # Boxes.
    "task=inpaint image=picture.png box=[0,0,17,16]": "box=[0,0,17,16] leaves the picture, which has 16 x 16 pixels",
    "task=inpaint image=picture.png box=[-1,0,8,8]": "box=[-1,0,8,8] leaves the picture",
    "task=inpaint image=picture.png box=[4,4,4,12]": "box=[4,4,4,12] has no area",
    "task=inpaint image=picture.png box=[12,12,4,4]": "box=[12,12,4,4] has no area",
    "task=inpaint image=picture.png box=[4,4,12]": "box=[4,4,12] is not possible: give the four edges in pixels",
    "task=inpaint image=picture.png box=[0,0,16,16]": "the hole leaves no token of the picture known",
    "task=inpaint image=picture.png box=[1,1,15,15]": "the hole leaves no token of the picture known",
    "task=inpaint image=tall.png box=[0,0,16,48]": "box=[0,0,16,48] leaves the picture, which has 48 x 16 pixels",
    # Masks.
    "task=inpaint image=picture.png mask=large.png": "mask=large.png has 20 x 16 pixels and the picture 16 x 16",
    "task=inpaint image=picture.png mask=black.png": "mask=black.png is all black: there is no hole in it",
    "task=inpaint image=picture.png mask=white.png": "mask=white.png is all white: nothing of the picture is left",
    "task=inpaint image=picture.png mask=alpha.png": "mask=alpha.png is transparent in parts",
    "task=inpaint image=picture.png mask=absent.png": "mask=absent.png does not exist: give an existing picture",
    "task=inpaint image=picture.png mask=text.png": "mask=text.png cannot be read as a picture (no format that is kno",
    "task=inpaint image=picture.png mask=folder": "mask=folder is a folder: give a file",
    # Pictures.
    "task=inpaint image=absent.png box=[4,4,8,8]": "image=absent.png does not exist: give an existing picture",
    "task=inpaint image= box=[4,4,8,8]": "image= is not possible: give the path of a file or a folder",
    "task=inpaint image=pixel.png box=[0,0,1,1]": "the picture has 1 x 1 pixels, less than a token of the model",
    "task=inpaint image=text.png box=[4,4,8,8]": "image=text.png cannot be read as a picture (no format that is known)",
    "task=inpaint image=empty.png box=[4,4,8,8]": "image=empty.png cannot be read as a picture",
    "task=inpaint image=cut.png box=[4,4,8,8]": "image=cut.png cannot be read as a picture (image file is truncated)",
    "task=inpaint image=animated.gif box=[4,4,8,8]": "image=animated.gif has 2 frames: give a picture of one",
    "task=inpaint image=bomb.png box=[4,4,8,8]": "image=bomb.png has more than 67,108,864 pixels, and is not decoded",
    "task=inpaint image=floats.tiff box=[4,4,8,8]": "image=floats.tiff has floating-point pixels",
    "task=inpaint image=folder box=[4,4,8,8]": "image=folder has no pictures",
    "task=inpaint image=mixed box=[4,4,12,12]": "image=mixed/b.png: box=[4,4,12,12] leaves the picture, which has 8 x",
    "task=inpaint image=mixed mask=mask.png": "image=mixed/b.png: mask=mask.png has 16 x 16 pixels and the picture",
    # Labels.
    INPAINT + "label=10": "label=10: there is no such class; there are the classes 0 to 9",
    INPAINT + "label=-1": "label=-1 is not possible: give the number of a class, or its name",
    INPAINT + "label=1.5": "label=1.5 is not possible",
    INPAINT + "label=tiger": "label=tiger: there is no such class; give the name of one, such as 0, or its number",
    # How it is edited.
    INPAINT + "hide=blur": "hide=blur is not possible: choose one of edge, mean, none",
    INPAINT + "hide=none": "hide=none is for class edits",
    INPAINT + "blend=hard": "blend=hard is not possible: choose one of blur, poisson",
    INPAINT + "fit=crop": "fit=crop is not possible: choose one of resize, window",
    INPAINT + "grow=-1": "grow=-1 is not possible: give a number that is not negative",
    INPAINT + "seam=-1": "seam=-1 is not possible: give a number that is not negative",
    INPAINT + "overlap=1": "overlap=1 is not possible: give a number above 0 and below 1",
    INPAINT + "stride=0": "stride=0 is not possible: give a whole number of at least 1",
    "task=inpaint image=small.png box=[0,0,4,4] fit=window": "fit=window needs at least the 16 x 16 pixels",
    "task=outpaint image=small.png right=1 down=1 fit=window": "fit=window needs at least the 16 x 16 pixels that the",
    INPAINT + "n=0": "n=0 is not possible: give a whole number of at least 1",
    INPAINT + "seed=-1": "seed=-1 is not possible",
    INPAINT + "batch_size=0": "batch_size=0 is not possible",
    INPAINT + "decode.steps=0": "decode.steps=0 is not possible: give a whole number from 1 to 4096",
    INPAINT + "decode.steps=[4,8]": "decode.steps=[4,8] is not possible: give a whole number",
    INPAINT + "decode.temperature=1": "decode.temperature: there is no such setting of MaskGIT",
    INPAINT + "trainer.accelerator=tpu": "trainer.accelerator=tpu is not possible: choose one of auto",
    INPAINT + "tokenizer.weights=x": "is a run with a tokenizer of its own: leave tokenizer.weights out",
    INPAINT + "checkpoint=nowhere": "nowhere contains no run",
    # What exists.
    INPAINT + "out=full": "out=full is not empty and holds no edits: choose another folder, so that nothing is lost",
    INPAINT + "out=text.png": "out=text.png is a file: choose a folder",
    INPAINT + "side_by_side=text.png": "side_by_side=text.png exists: choose another name, so that nothing is lost",
    INPAINT + "steps_picture=text.png": "steps_picture=text.png exists: choose another name",
    INPAINT + "steps_picture=link.png": "steps_picture=link.png exists: choose another name",
    INPAINT + "steps_picture=steps.jpg": "give a new file whose name ends in .png",
    INPAINT + "steps_picture=a.png side_by_side=a.png": "steps_picture and side_by_side are the same file",
    INPAINT + "side_by_side=out/picture-0.png": "side_by_side=out/picture-0.png is the name of a result",
    "task=inpaint image=good box=[4,4,12,12] side_by_side=a.png": "shows the edit of one picture, and image=good is a",
    "task=inpaint image=good box=[4,4,12,12] out=good/edits": "out=good/edits lies in image=good, so that results",
}

# Mistakes that Hydra finds, or that only the whole command meets.
TYPED = {
    "": "task is needed: give it as task=VALUE",
    "task=inpaint box=[4,4,12,12]": "image is needed: give it as image=VALUE",
    "task=extrapolate image=picture.png width=nan": "width=nan is not possible: give a number of at least 1",
    "task=inpaint image=picture.png box=4": "box takes a list",
    "task=inpaint image=picture.png box=[0.5,0,8,8]": "box",
    INPAINT + "label=true": "label=true is not possible",
    INPAINT + "decode=autoregressive": "needs an autoregressive model",
    INPAINT + "trainer.precision=16-mixed": "trainer.precision: there is no such setting of edit.py",
    INPAINT + "+trainer.max_epochs=3": "trainer.max_epochs",
    INPAINT + "lable=3": "lable: there is no such setting (did you mean label?)",
    INPAINT + "out=text.png/x": "cannot write out=text.png/x",
    INPAINT + "side_by_side=text.png/x.png": "cannot write side_by_side=text.png/x.png (text.png is a file): choose an",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Pictures of all kinds, which the tests leave as they are."""
    place = tmp_path_factory.mktemp("files")
    for name, size in {"picture": (16, 16), "tall": (48, 16), "pixel": (1, 1), "small": (8, 8)}.items():
        picture(size=size).save(place / f"{name}.png")
    values = np.zeros((16, 16), np.uint8)
    for name, fill in (("black", 0), ("white", 255)):
        Image.fromarray(np.full((16, 16), fill, np.uint8)).save(place / f"{name}.png")
    large = np.zeros((16, 20), np.uint8)
    large[4:8, 4:8] = values[4:8, 4:8] = 255
    Image.fromarray(large).save(place / "large.png")
    Image.fromarray(values).save(place / "mask.png")
    alpha = picture(size=(16, 16)).convert("RGBA")
    alpha.putalpha(128)
    alpha.save(place / "alpha.png")
    (place / "text.png").write_text("mine")
    (place / "link.png").symlink_to("nowhere")
    (place / "empty.png").touch()
    (place / "cut.png").write_bytes((place / "picture.png").read_bytes()[:400])
    picture().save(place / "animated.gif", save_all=True, append_images=[picture(1)])
    (place / "bomb.png").write_bytes(png(100_000, 100_000, 8, b"\0" * 1000))
    Image.fromarray(np.zeros((16, 16), np.float32)).save(place / "floats.tiff")
    for folder in ("folder", "full", "good", "mixed"):
        (place / folder).mkdir()
    (place / "full" / "thesis.txt").write_text("mine")
    shutil.copy(place / "picture.png", place / "good" / "a.png")
    shutil.copy(place / "picture.png", place / "mixed" / "a.png")
    shutil.copy(place / "small.png", place / "mixed" / "b.png")
    return place


@pytest.fixture(autouse=True)
def here(files, monkeypatch):
    """Works among the files, and checks that they are as before afterwards."""
    monkeypatch.chdir(files)
    before = contents(files)
    yield
    assert contents(files) == before


def contents(place: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in place.rglob("*")}


def settings_of(text: str, run: Path) -> dict:
    """The settings of a command line, without Hydra, which takes most of the time of a command."""
    values = {"checkpoint": str(run), "out": "out", "decode": {"steps": 1}}
    for key, _, value in (setting.partition("=") for setting in text.split()):
        *groups, name = key.split(".")
        group = values
        for each in groups:
            group = group.setdefault(each, {})
        group[name] = yaml.safe_load(value) if value else ""
    return values


@pytest.mark.parametrize("settings", EDITS, ids=str)
def test_edit_settings(tiny_run, settings):
    with pytest.raises(UserError) as caught:
        edit.prepare(checked(EditConf, settings_of(settings, tiny_run)))
    assert EDITS[settings] in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("settings", TYPED, ids=str)
def test_typed_settings(command, tiny_run, files, monkeypatch, settings):
    monkeypatch.chdir(files)
    said = command("edit", f"checkpoint={tiny_run}", "out=out", *settings.split())
    expect_refused(said, TYPED[settings])


def test_an_autoregressive_model_is_refused_with_the_reason(tiny_autoregressive):
    with pytest.raises(UserError, match="predicts each token from those before it in its order, and cannot see"):
        edit.prepare(checked(EditConf, settings_of(INPAINT, tiny_autoregressive) | {"decode": {}}))


def test_a_home_that_nobody_has(command, tiny_run):
    image = "image='~nosuchuser/x.png'"
    said = command("edit", f"checkpoint={tiny_run}", "task=inpaint", image, "box=[4,4,8,8]", "out=edits")
    assert said.code == 2 and "image=~nosuchuser/x.png is not possible: ~nosuchuser is not a user of" in said.err
