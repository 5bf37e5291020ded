"""Names of results never collide, and the command in one is read as it was meant."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from maskgit_lab.editing_files.naming import command_for, result_name, stems_of
from maskgit_lab.settings import EditConf


def test_pictures_that_share_a_stem_keep_their_whole_names():
    for names, stems in (
        (["a.png", "b.png", "d/a.png"], ["a", "b", "d/a"]),
        (["a.jpg", "a.png", "b.png"], ["a.jpg", "a.png", "b"]),
        (["a.jpg", "a.png", "a.png.jpg"], ["a.jpg", "a.png", "a.png.jpg"]),
        (["a.png", "a-0.png"], ["a", "a-0"]),
    ):
        found = stems_of([Path(name) for name in names])
        assert [stem.as_posix() for stem in found] == stems
        assert len({result_name(stem, k) for stem in found for k in range(12)}) == 12 * len(names)


def test_a_command_says_what_is_not_as_by_default():
    settings = EditConf(
        checkpoint="runs/a, b='c'",
        task="inpaint",
        image="folder",
        out="out",
        box=[1, 2, 3, 4],
        label="7",
        grow=1,
        n=9,
        decode={"steps": 4, "schedule": "linear", "guidance": None},
        batch_size=5,
    )
    python, script, *words = shlex.split(command_for(settings, Path("folder/1.png"), 2))
    read = {override.key_or_group: override.value() for override in OverridesParser.create().parse_overrides(words)}
    assert (python, script) == ("python", "edit.py")
    assert read == {
        "checkpoint": "runs/a, b='c'",
        "task": "inpaint",
        "image": "folder/1.png",
        "box": [1, 2, 3, 4],
        "label": "7",
        "grow": 1,
        "decode.steps": 4,
        "decode.schedule": "linear",
        "n": 3,
    }
    assert str(read["label"]) == "7" and not isinstance(read["label"], int)


@pytest.mark.parametrize("name", ["~/a.png", "b~.png", "aé.png", "${oc.env:HOME}.png", "c\\${seed}'s.png", "null"])
def test_a_command_names_any_picture(name):
    settings = EditConf(checkpoint="runs/a", task="inpaint", image=name, out="out", box=[1, 2, 3, 4])
    words = shlex.split(command_for(settings, Path(name), 0))[2:]
    read = {override.key_or_group: override.value() for override in OverridesParser.create().parse_overrides(words)}
    assert OmegaConf.create(read).image == name
