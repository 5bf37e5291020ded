"""Objects from settings: only what makes the right thing is called, with values of the right types."""

import sys

import pytest

from maskgit_lab.errors import UserError
from maskgit_lab.objects import build, locate

MODULE = """
from __future__ import annotations
from dataclasses import dataclass
from maskgit_lab.errors import UserError

class Thing:
    pass

@dataclass
class Mine(Thing):
    size: int
    scale: float = 1.0
    name: str = "a"
    fast: bool = False
    maybe: float | None = None
    parts: list[int] | None = None
    ratios: tuple[float, ...] = ()

    def __post_init__(self):
        if self.size < 0:
            raise ValueError("the size is negative")
        if self.size == 13:
            raise UserError("13 is an unlucky number: choose another")

class Other:
    def __init__(self):
        raise AssertionError("it was called")

def made(size: int) -> Thing:
    return Mine(size)

def switched(size: int, fast=False) -> Thing:
    return Mine(size, fast=fast)

def unknown(size: int):
    raise AssertionError("it was called")
"""


@pytest.fixture
def Thing(tmp_path, monkeypatch):
    (tmp_path / "some_things.py").write_text(MODULE)
    (tmp_path / "broken_things.py").write_text("1 / 0")
    (tmp_path / "refusing_things.py").write_text(
        "from maskgit_lab.errors import UserError\nraise UserError('no GPU: buy one')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield locate("some_things.Thing", "kind")
    for name in ("some_things", "broken_things", "refusing_things"):
        sys.modules.pop(name, None)


def make(kind, target="some_things.Mine", **values):
    return build({"_target_": target, **values}, "part", kind)


def test_values_arrive_and_whole_numbers_become_floats_where_floats_are_asked_for(Thing):
    made = make(Thing, size=3, scale=2, name="b", fast=True, maybe=4, parts=[1], ratios=[0.5, 2])
    assert vars(made) == {
        "size": 3,
        "scale": 2.0,
        "name": "b",
        "fast": True,
        "maybe": 4.0,
        "parts": [1],
        "ratios": [0.5, 2.0],
    }
    assert type(made.scale) is float and type(made.maybe) is float and type(made.size) is int
    assert make(Thing, size=3, maybe=None).maybe is None
    assert vars(build({"_target_": "some_things.made"}, "part", Thing, size=4)) == vars(make(Thing, size=4))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"size": 2.5}, "part.size=2.5 is not possible: give a whole number"),
        ({"size": "many"}, "part.size=many is not possible: give a whole number"),
        ({"size": True}, "part.size=true is not possible: give a whole number"),
        ({"size": None}, "part.size=null is not possible: give a whole number"),
        ({"size": 1, "scale": "x"}, "part.scale=x is not possible: give a number"),
        ({"size": 1, "scale": False}, "part.scale=false is not possible: give a number"),
        ({"size": 1, "scale": float("nan")}, "part.scale=nan is not possible: give a finite number"),
        ({"size": 1, "scale": float("inf")}, "part.scale=inf is not possible: give a finite number"),
        ({"size": 1, "maybe": float("nan")}, "part.maybe=nan is not possible: give a finite number"),
        ({"size": 1, "name": 5}, "part.name=5 is not possible: give a text"),
        ({"size": 1, "fast": 1}, "part.fast=1 is not possible: give true or false"),
        ({"size": 1, "fast": "maybe"}, "part.fast=maybe is not possible: give true or false"),
        ({"size": 10**23}, "is not possible: give a smaller number"),
        ({"size": 1, "parts": [1, 1.5]}, r"part.parts=\[1,1.5\] is not possible: give a whole number for each"),
        ({"size": 1, "parts": [True]}, r"part.parts=\[true\] is not possible: give a whole number for each"),
        ({"size": 1, "parts": ["a"]}, r"part.parts=\[a\] is not possible: give a whole number for each"),
        ({"size": 1, "ratios": [float("nan")]}, r"part.ratios=\[nan\] is not possible: give a finite number for each"),
        ({"size": 1, "colour": 1}, "part.colour: there is no such setting"),
        ({"size": -1}, r"part cannot be built \(the size is negative\): change its settings"),
        ({"size": 13}, "13 is an unlucky number: choose another"),
        ({}, "size"),
    ],
)
def test_values_that_make_no_sense_are_refused(Thing, values, said):
    with pytest.raises(UserError, match=said) as caught:
        make(Thing, **values)
    assert "\n" not in str(caught.value)


def test_a_default_that_is_true_or_false_makes_a_switch(Thing):
    assert make(Thing, "some_things.switched", size=1, fast=True).fast is True
    with pytest.raises(UserError, match=r"^part.fast=maybe is not possible: give true or false$"):
        make(Thing, "some_things.switched", size=1, fast="maybe")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("some_things.Other", "part._target_ does not make the required Thing: name a class or function that does"),
        ("some_things.unknown", "part._target_ does not make the required Thing"),
        ("os.getcwd", "part._target_ does not make the required Thing"),
        ("some_things.Absent", r"part cannot be built \(module 'some_things' has no attribute 'Absent'\)"),
        ("nowhere_at_all.Mine", r"part cannot be built \(No module named 'nowhere_at_all'\): change its settings"),
        ("broken_things.Mine", r"part cannot be built \(division by zero\)"),
        ("refusing_things.Mine", "no GPU: buy one"),
        ("Mine", "'Mine' is not a module and a name in it, joined by a dot"),
        (None, "it names no class"),
        (5, "5 is not a module and a name in it"),
        ("", "'' is not a module and a name in it"),
        (".Mine", "part cannot be built"),
    ],
)
def test_targets_that_make_no_thing_are_never_called(Thing, target, said):
    with pytest.raises(UserError, match=said) as caught:
        make(Thing, target, size=1)
    assert "\n" not in str(caught.value)


def test_settings_without_a_target(Thing):
    with pytest.raises(UserError, match="part cannot be built"):
        build({"size": 1}, "part", Thing)


def test_the_setting_of_a_name_is_said(Thing):
    with pytest.raises(UserError, match=r"^eval.metrics=nowhere.x is not possible \(No module named 'nowhere'\)"):
        locate("nowhere.x", "eval.metrics")
