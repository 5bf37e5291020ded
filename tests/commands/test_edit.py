"""`edit.py` from end to end."""

import shlex
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskgit_lab.commands import edit
from maskgit_lab.data.digits import digits
from maskgit_lab.editing_files.png import how_it_was_made
from refusals import expect_refused
from two_processes import in_two_processes

HOLE = "box=[4,4,12,12]"
# What is given for each task, the size of the result, and where the picture lies in it.
TASKS = {
    "class_edit": ([HOLE, "label=7"], (16, 16), (0, 0)),
    "inpaint": (["mask=mask.png", "label=3"], (16, 16), (0, 0)),
    "outpaint": (["right=0.5", "up=0.25", "label=3"], (20, 24), (4, 0)),
    "extrapolate": (["width=3", "label=3"], (16, 48), (0, 16)),
}


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def files(folder: Path) -> dict[str, bytes]:
    """The bytes of all results."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """Held-out digits in a folder, two of which share a stem, and one of which is larger."""
    place = tmp_path_factory.mktemp("scans")
    (place / "deep").mkdir()
    names = ["a.png", "a.bmp", "b.png", "deep/a.png", "deep/c.png"]
    for name, (image, _) in zip(names, (digits().test[i] for i in range(len(names))), strict=True):
        Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy()).save(place / name)
    with Image.open(place / "b.png") as image:
        image.convert("L").resize((24, 20)).save(place / "b.png")
    return place


@pytest.fixture
def edits(command, tiny_run, scans, tmp_path):
    """Runs `edit.py` on the tiny run, beside a copy of the pictures and a mask."""
    shutil.copytree(scans, tmp_path / "scans")
    mask = np.zeros((16, 16), np.uint8)
    mask[4:12, 4:12] = 1  # hardly more than black
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return lambda *settings: command("edit", f"checkpoint={tiny_run}", "decode.steps=2", *settings)


@pytest.fixture
def bars(monkeypatch) -> list:
    """The title of each bar, what it counts up to, and what it came to."""
    drawn = []

    @contextmanager
    def bar(terminal, title, total, unit=""):
        steps = list[int]()
        yield steps.append
        drawn.append((title, total, sum(steps)))

    monkeypatch.setattr(edit.Terminal, "bar", bar)
    return drawn


def test_another_decoder_has_the_default_t_too(command, tiny_run, scans, tmp_path):
    asked = ["task=inpaint", f"image={scans / 'a.png'}", HOLE, "label=3", "decode=random_order", "out=out"]
    said = command("edit", f"checkpoint={tiny_run}", *asked)
    made = how_it_was_made("out/a-0.png")
    assert said.code == 0 and "at T = 8" in said.out and made["settings"]["steps"] == 8
    again = shlex.split(made["command"])[2:]
    assert command("edit", *again, "out=again").code == 0 and files(Path("again")) == files(Path("out"))


@pytest.mark.parametrize("task", TASKS)
def test_a_task_changes_the_hole_and_its_seam_alone_and_says_how(edits, tmp_path, task):
    given, size, (y, x) = TASKS[task]
    said = edits(f"task={task}", "image=scans/a.png", *given, "n=2", "seam=1", "out=out")
    assert said.code == 0 and "1 picture, 2 variants of each at T = 2" in said.out and "class" not in said.out.split()
    picture, results = read("scans/a.png"), [read(f"out/a-{k}.png") for k in range(2)]
    assert {result.shape for result in results} == {(*size, 3)} and (results[0] != results[1]).any()
    known = np.ones((16, 16), bool)
    if task in ("class_edit", "inpaint"):
        known[3:13, 3:13] = False
    else:
        known[0] = known[:, -1] = known[:, 0] = False  # where something was added
    for result in results:
        assert (result[y : y + 16, x : x + 16][known] == picture[known]).all()
    made = how_it_was_made("out/a-1.png")
    assert made["class_name"] == ("7" if task == "class_edit" else "3") and made["input"] == "a.png"
    assert made["settings"]["steps"] == 2 and made["settings"]["task"] == task and made["variant"] == 1
    python, script, *again = shlex.split(made["command"])
    assert (python, script) == ("python", "edit.py")
    assert edits(*again, "out=again").code == 0
    assert (tmp_path / "again" / "a-1.png").read_bytes() == (tmp_path / "out" / "a-1.png").read_bytes()


def test_a_folder_is_edited_and_continued(edits, bars, tmp_path):
    settings = ["task=inpaint", "image=scans", HOLE, "n=2", "batch_size=3"]
    said = edits(*settings, "out=out")
    assert said.code == 0, said.err
    assert "5 pictures, 2 variants of each" in said.out and "grey made RGB (1 of them)" in said.out
    assert "the likeliest by the run's classifier" in said.out
    whole = files(tmp_path / "out")
    stems = ("a.bmp", "a.png", "b", "deep/a", "deep/c")
    assert set(whole) == {f"{stem}-{k}.png" for stem in stems for k in range(2)}
    assert read("out/b-0.png").shape == (20, 24, 3)

    out = tmp_path / "out"
    (out / "b-0.png").unlink()
    (out / "deep" / "c-1.png").write_bytes(whole["deep/c-1.png"][:-20])
    (out / "a.bmp-0.png").write_bytes(b"")
    (out / ".123.partial").write_bytes(b"half")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    said = edits(*settings, "out=out", "trainer=cpu")
    assert said.code == 0 and "3 made" in said.out and "7 were finished before: nothing is done twice" in said.out
    assert files(out) == whole and not list(out.rglob("*.partial"))
    same = [path for path, when in before.items() if path.stat().st_mtime_ns == when]
    assert len(same) == 7
    assert bars == [("edits", 10, 10)] * 2


def test_pictures_that_cannot_be_read_do_not_stop_the_others_and_hidden_ones_are_none(edits, bars, tmp_path):
    whole = (tmp_path / "scans" / "a.png").read_bytes()
    some = tmp_path / "some"
    for name, data in {
        "a.png": whole,
        "b.png": whole[:-30],
        ".c/a.png": whole,
        "._a.png": b"",
        "d/e.png": whole,
        "d/f.png": b"no picture",
    }.items():
        (some / name).parent.mkdir(parents=True, exist_ok=True)
        (some / name).write_bytes(data)
    (some / "d" / "back").symlink_to(some)
    settings = ["task=inpaint", "image=some", HOLE, "label=3", "out=out"]
    for made in (2, 0):
        said = edits(*settings)
        expect_refused(
            said, "2 of 4 pictures could not be edited; all others were: image=some/d/f.png cannot be read as"
        )
        assert "; image=some/b.png cannot be read as" in said.err
        assert "1 of 4 cannot be read: they are left out, and listed at the end" in said.out
        assert f"{made} made" in said.out and set(files(tmp_path / "out")) == {"a-0.png", "d/e-0.png"}
    (some / "b.png").write_bytes(whole)
    (some / "d" / "f.png").write_bytes(whole)
    said = edits(*settings)
    assert said.code == 0 and "2 made" in said.out and "2 were finished before" in said.out
    assert bars == [("edits", 3, 3), ("edits", 3, 3), ("edits", 4, 4)]


def test_a_folder_in_which_nothing_can_be_edited_is_refused_before_anything_is_written(edits, tmp_path):
    settings = ["task=inpaint", "image=scans", "box=[16,0,20,8]", "label=3", "out=out"]
    expect_refused(
        edits(*settings), "4 of 5 pictures do not fit these settings, so none is edited: image=scans/a.bmp: box="
    )
    for path in (tmp_path / "scans").rglob("*.*"):
        path.write_bytes(path.read_bytes()[:4])
    expect_refused(edits(*settings), "no picture of 5 in image=scans can be read: image=scans/a.bmp cannot be read")
    assert not (tmp_path / "out").exists()


def test_two_processes_give_the_same(edits, tiny_run, scans, tmp_path):
    settings = [f"checkpoint={tiny_run}", "decode.steps=2", "task=outpaint", "image=scans", "left=0.5", "batch_size=2"]
    assert edits(*settings[2:], "out=one").code == 0
    said = in_two_processes(tmp_path, "edit", *settings, "out=two")
    assert said.code == 0 and "5 made" in said.out, said.err
    assert files(tmp_path / "one") == files(tmp_path / "two") and len(files(tmp_path / "one")) == 5


def test_what_is_there_is_never_overwritten(edits, tmp_path):
    settings = ["task=inpaint", "image=scans/a.png", HOLE, "label=3"]
    assert edits(*settings, "out=out").code == 0
    before = files(tmp_path / "out")
    expect_refused(edits(*settings, "seed=1", "out=out"), "out=out holds other edits (seed is 0 there and 1 here)")
    expect_refused(edits(*settings, "label=4", "out=out"), "label is 3 there and 4 here")
    expect_refused(edits(*settings, "image=scans/deep/a.png", "out=out"), "out/a-0.png is of another picture")
    (tmp_path / "out" / "b-0.png").write_text("mine")
    expect_refused(edits(*settings, "image=scans/b.png", "out=out"), "out/b-0.png is not a picture of edit.py")
    assert (tmp_path / "out" / "b-0.png").read_text() == "mine"
    (tmp_path / "out" / "edits.json").write_text("{")
    expect_refused(edits(*settings, "out=out"), "out/edits.json is damaged")
    assert files(tmp_path / "out") | before == files(tmp_path / "out")


def test_overviews_are_drawn_once(edits, bars, tmp_path):
    settings = ["task=extrapolate", "image=scans/a.png", "height=2", "label=3", "n=2", "out=out"]
    assert edits(*settings).code == 0
    drawn = ["steps_picture=deep/steps.png", "side_by_side=beside.png"]
    said = edits(*settings, *drawn)
    assert said.code == 0 and "0 made" in said.out and "picture    deep/steps.png" in said.out
    assert bars == [("windows", 4, 4)] * 2  # of two results, which are made again to see how they fill
    before = {name: (tmp_path / name).read_bytes() for name in ("deep/steps.png", "beside.png")}
    assert read("beside.png").std() > 10 and read("deep/steps.png").std() > 10
    said = edits(*settings, *drawn)
    assert said.code == 0 and "beside.png" not in said.out
    expect_refused(edits(*settings[:-1], "out=other", "seed=1", *drawn), "deep/steps.png exists: choose another name")
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


def test_the_classifier_does_not_see_what_is_hidden(edits, tmp_path):
    with Image.open("scans/a.png") as image:
        pixels = np.array(image)
    pixels[4:12, 4:12] = 255 - pixels[4:12, 4:12]
    Image.fromarray(pixels).save("other.png")
    for name in ("scans/a.png", "other.png"):
        said = edits("task=inpaint", f"image={name}", HOLE, f"out={Path(name).stem}")
        assert said.code == 0 and "the likeliest by the run's classifier" in said.out
    assert (read("a/a-0.png") == read("other/other-0.png")).all()


def test_files_have_no_classifier_and_odd_names_are_quoted(edits, command, tiny_run, tmp_path):
    assert command("export", f"checkpoint={tiny_run}", "out=exported").code == 0
    name = "odd, [it's] = {1}.png"
    shutil.copy("scans/a.png", name)
    settings = ["checkpoint=exported", "task=inpaint", 'image="' + name + '"', HOLE]
    expect_refused(command("edit", *settings, "out=out"), "label is needed, since there is no run whose classifier")
    assert command("edit", *settings, "label='7'", "out=out").code == 0
    (result,) = (tmp_path / "out").glob("*.png")
    again = shlex.split(how_it_was_made(result)["command"])[2:]
    assert command("edit", *again, "out=again").code == 0
    assert (tmp_path / "again" / result.name).read_bytes() == result.read_bytes()


def test_a_hole_that_grows_over_everything_is_noted(edits):
    said = edits("task=class_edit", "image=scans/a.png", "box=[1,1,15,13]", "label=7", "out=out")
    assert said.code == 0 and "only the class is used" in said.out


def test_an_image_that_changes_meanwhile_is_refused(edits, tmp_path, monkeypatch):
    prepared = edit.prepare

    def prepare(settings):
        found = prepared(settings)
        Image.new("RGB", (20, 16)).save(tmp_path / "scans" / "a.png")
        return found

    monkeypatch.setattr(edit, "prepare", prepare)
    said = edits("task=inpaint", "image=scans/a.png", HOLE, "label=3", "out=out")
    expect_refused(said, "has changed while it was edited")
