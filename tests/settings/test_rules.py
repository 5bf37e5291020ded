"""What each setting may be: every field has a rule, and every rule says what to do about any other value."""

import json
import math
import os
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import yaml

from maskgit_lab import sizes
from maskgit_lab.config import SCHEMAS
from maskgit_lab.errors import UserError
from maskgit_lab.settings import (
    ClassifierConf,
    CommonConf,
    EvalConf,
    EvaluateConf,
    EvaluateHardware,
    FeaturesConf,
    Hardware,
    MVTMConf,
    MVTMLoss,
    SweepConf,
    TrainConf,
    checked,
    measured_edits,
    plain,
    replaced,
)
from maskgit_lab.settings import fields as rules

ROOT = Path(__file__).resolve().parents[2]
OBJECT = {"_target_": "some_module.Something", "knob": 1}
OPTIM = {"epochs": 1, "batch_size": 8, "lr": 0.1}
CLASSIFIER = {"net": OBJECT, "optim": OPTIM}
BASES: dict[str, dict[str, Any]] = {
    "train": {
        "name": "any",
        "tokenizer": {"net": OBJECT, "weights": None, "discriminator": OBJECT, "optim": OPTIM},
        "mvtm": {"net": OBJECT, "optim": OPTIM},
        "autoregressive": {"net": OBJECT, "order": OBJECT, "optim": OPTIM},
        "schedule": OBJECT,
        "features": {"name": "inception"},
        "classifier": CLASSIFIER,
        "cas": CLASSIFIER,
    },
    "sample": {"checkpoint": "run", "out": "folder"},
    "edit": {"checkpoint": "run", "out": "folder", "task": "extrapolate", "image": "a.png", "width": 2.0},
    "export": {"checkpoint": "run", "out": "folder"},
    "report": {"runs": "outputs"},
    "clean": {},
    "evaluate": {},
}
WHOLE, NOT_NEGATIVE = "give a whole number of at least 1", "give a number that is not negative"
FINITE = "give a finite number that is not negative"
# Values that a type of field refuses, and what a user is told of each.
REFUSED = {
    rules.Count: [
        (0, WHOLE),
        (-3, WHOLE),
        ("abc", "give a whole number"),
        (1.5, "give a whole number"),
        (rules.MOST + 1, f"give at most {rules.MOST}"),
    ],
    **{
        bounded: [(0, WHOLE), (True, "give a number"), (most + 1, f"give at most {most}"), (10**30, "give at most")]
        for bounded, most in {
            rules.AtOnce: sizes.MOST_AT_ONCE,
            rules.Draws: sizes.MOST_DRAWS,
            rules.Nodes: sizes.MOST_NODES,
            rules.Pictured: sizes.MOST_PICTURED,
            rules.Pixels: sizes.MOST_SIDE,
            rules.Resamples: sizes.MOST_RESAMPLES,
            rules.Samples: sizes.MOST_SAMPLES,
            rules.StepsPictured: sizes.MOST_STEPS_PICTURED,
        }.items()
    },
    rules.Images: [(1, "give at least 2"), (sizes.MOST_IMAGES + 1, f"give at most {sizes.MOST_IMAGES}")],
    rules.Several: [(1, "give a whole number of at least 2"), (rules.MOST + 1, f"give at most {rules.MOST}")],
    rules.Whole: [(-1, NOT_NEGATIVE), (rules.MOST + 1, f"give at most {rules.MOST}")],
    rules.Operations: [(-1, NOT_NEGATIVE), (10**6, f"give at most {sizes.MOST_OPERATIONS}")],
    rules.Views: [(-1, NOT_NEGATIVE), (10**9, f"give at most {sizes.MOST_VIEWS}")],
    rules.Workers: [(-1, NOT_NEGATIVE), (10**6, f"this machine can take {sizes.most_processes()}")],
    rules.Seed: [(-1, "give a whole number from 0 to 4294967295"), (2**32, "from 0 to 4294967295")],
    rules.Amount: [
        (-0.1, FINITE),
        ("abc", "give a number"),
        (True, "give a number"),
        (math.nan, FINITE),
        (math.inf, FINITE),
        (1e31, "give at most 1e+30"),
    ],
    rules.Amounts: [([1.0], "at least two different"), ([1.0, 1.0], "two different"), ([-1.0, 2.0], FINITE)],
    rules.Batches: [([], "give different batch sizes"), ([0], WHOLE), ([8, 8], "give different"), ([10**9], "at most")],
    rules.Positive: [(value, "give a positive number") for value in (0.0, -1.0, math.nan, math.inf)]
    + [(1e31, "give at most 1e+30")],
    rules.Share: [(value, "give a number from 0 to below 1") for value in (1.0, -0.1, math.nan)],
    rules.HalfShare: [(value, "give a number from 0 to 0.5") for value in (-0.1, 0.6, math.nan)],
    rules.Areas: [(value, "give two shares up to 1") for value in ([], [0.5], [0.0, 1.0], [0.9, 0.1], [0.5, 1.5])],
    rules.Ratios: [(value, "give two ratios") for value in ([1.0], [0.0, 1.0], [2.0, 1.0], [1.0, math.inf])],
    rules.Steps: [([], "name at least one"), ([2, 2], "once"), *(([t], "from 1 to 4096") for t in (0, 4097))],
    rules.PathText: [
        ("", "give the path of a file or a folder"),
        (" ", "give the path of a file or a folder"),
        ("~nobody-of-this-name/a", "~nobody-of-this-name is not a user of this machine: give the whole path"),
        ("a\0b", "no path has a NUL character"),
        ("a/" + 256 * "b", "or 255 in one name"),
        (2050 * "a/", "no path has more than 4095 bytes"),
    ],
    rules.FolderName: [
        *(
            (name, "give the name of one folder")
            for name in ("", " ", "a/b", "../../x", "..", ".git", "/x", "a\\b", "~x")
        ),
        *((name, "give the name of one folder") for name in ("a\tb", "a\0b")),
        (256 * "a", "or 255 in one name"),
    ],
    rules.Threads: [(0, WHOLE), ((os.cpu_count() or 1) + 1, f"this machine has {os.cpu_count()}")],
    rules.Extractor: [("resnet", "choose one of classifier, inception, vgg16, dinov2, resnet56_cifar10")],
    measured_edits.Task: [
        ("paint", "choose one of class_edit, inpaint, outpaint"),
        ("extrapolate", "there is no original to be compared with"),
    ],
    rules.Precision: [("16", "choose one of 32-true, 16-mixed, bf16-mixed")],
}
# The same for fields with a rule of their own.
OWN = {
    "decay": [("linear", "choose one of none, cosine")],
    "ckpt_mode": [("none", "choose one of weights, resume")],
    "loss_on": [("none", "choose one of masked, all")],
    "magnitude": [(-1, "give a whole number from 0 to 30"), (31, "give a whole number from 0 to 30")],
    "metrics": [
        ([], "choose from fid, "),
        (["fid", "fid"], "name every one of them once"),
        (["fidd"], "choose from fid, "),
    ],
    "mode": [("on", "choose one of auto, online, offline, none")],
    "accelerator": [("tpu", "choose one of auto, cpu, gpu, cuda, mps")],
    "stage": [("none", "choose one of tokenizer, tokens, mvtm, autoregressive, all")],
    "model": [("gpt", "choose one of maskgit, autoregressive")],
    "save": [(["jpg"], "choose from npz, png")],
    "classes": [([], "name a class, or leave it out for all"), ([1, 1], "name every class once")],
    "task": [("paint", "choose one of class_edit, inpaint, outpaint, extrapolate")],
    "variants": [(0, WHOLE), (65, "give at most 64")],
    "box": [([1, 2, 3], "give the four edges in pixels, [x0,y0,x1,y1]")],
    "width": [(0.5, "give a number of at least 1"), (math.nan, "at least 1"), (math.inf, "at least 1")],
    "height": [(0.5, "give a number of at least 1")],
    "label": [(value, "give the number of a class, or its name") for value in (-1, 1.5, True, "", [3])],
    "overlap": [(value, "give a number above 0 and below 1") for value in (0.0, 1.0, math.nan)],
    **{side: [(0.0, "give a positive number"), (1e30, "give at most")] for side in ("left", "right", "up", "down")},
    "seed": [(-1, "give a whole number of at least 0")],  # of report.py
}


def leaves(schema: type, prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """The path and the type of every setting that is not a group."""
    found = []
    for name, hint in get_type_hints(schema, include_extras=True).items():
        group = next((kind for kind in (hint, *get_args(hint)) if isinstance(kind, type) and is_dataclass(kind)), None)
        found += leaves(group, (*prefix, name)) if group is not None else [((*prefix, name), hint)]
    return found


FIELDS = [(verb, path, hint) for verb, schema in SCHEMAS.items() for path, hint in leaves(schema)]


def rule_of(hint: Any) -> Any:
    """The type with a rule that a hint is, may be beside None, or has in a list; None if there is none."""
    kinds = (hint,) if get_origin(hint) is Annotated else (hint, *get_args(hint))
    return next((kind for kind in kinds if get_origin(kind) is Annotated), None)


def is_unchecked(hint: Any) -> bool:
    """Whether a number somewhere in a type has no rule."""
    if get_origin(hint) is Annotated:
        return False
    return hint in (int, float) or any(is_unchecked(part) for part in get_args(hint))


def refused(path: tuple[str, ...], hint: Any) -> list[tuple[Any, str]]:
    rule = rule_of(hint)
    found = [] if rule is None else REFUSED.get(rule) or OWN.get(path[-1], [])
    return [([value], advice) for value, advice in found] if get_origin(hint) is list else found


@pytest.mark.parametrize(("verb", "path", "hint"), FIELDS, ids=lambda v: ".".join(v) if isinstance(v, tuple) else None)
def test_every_number_has_a_rule_and_every_rule_is_tried_here(verb, path, hint):
    assert not is_unchecked(hint), f"{'.'.join(path)} takes any number: give it a rule of settings.fields"
    if rule_of(hint) is not None:
        assert refused(path, hint), f"{'.'.join(path)} has a rule that is not tried"


@pytest.mark.parametrize(
    ("verb", "path", "value", "advice"),
    [(verb, path, value, advice) for verb, path, hint in FIELDS for value, advice in refused(path, hint)],
)
def test_a_value_that_is_not_allowed_is_refused_with_its_key_and_advice(verb, path, value, advice):
    values = json.loads(json.dumps(BASES[verb]))  # no group is shared
    group = values
    for name in path[:-1]:
        group = group.setdefault(name, {})
    group[path[-1]] = value
    with pytest.raises(UserError) as caught:
        checked(SCHEMAS[verb], values)
    said = str(caught.value)
    key = "decode.steps" if path[-2:] == ("eval", "steps") and said.startswith("decode") else ".".join(path)
    assert said.startswith((f"{key}=", f"{key}: ")) and advice in said and "\n" not in said


@pytest.mark.parametrize("verb", SCHEMAS)
def test_the_bases_of_these_tests_are_allowed(verb):
    assert plain(checked(SCHEMAS[verb], BASES[verb])) == plain(
        checked(SCHEMAS[verb], plain(checked(SCHEMAS[verb], BASES[verb])))
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sed": 1}, "sed: there is no such setting"),
        ({"mvtm": {"net": OBJECT, "optim": OPTIM, "wdith": 1}}, "mvtm.wdith: there is no such setting"),
        ({"mvtm": {"net": OBJECT, "optim": {"epochs": 1}}}, "mvtm.optim.batch_size is needed"),
        ({"mvtm": {"net": OBJECT, "optim": OPTIM | {"epochs": "many"}}}, "mvtm.optim.epochs=many is not possible"),
        ({"classifier": {"net": OBJECT, "optim": OPTIM | {"lr": -1.0}}}, "classifier.optim.lr=-1.0 is not possible"),
        (
            {"cas": CLASSIFIER | {"test_resize": 8, "test_size": 9}},
            "a classifier's test_size=9 is larger than its test_re",
        ),
        ({"cas": CLASSIFIER | {"augment": {"crop_scale": [0.1, 1.0], "pad": 0.1}}}, "a classifier's augment has both"),
        ({"wait": "perhaps"}, "wait=perhaps is not possible"),
        ({"tokenizer": {"net": 5, "weights": None, "discriminator": OBJECT, "optim": OPTIM}}, "tokenizer.net=5 is not"),
        (
            {"tokenizer": BASES["train"]["tokenizer"] | {"losses": {"perceptual": 0.1}}},
            "tokenizer.losses.perceptual=0.1 weighs no loss: give tokenizer/perceptual=lpips or resnet50, or set it",
        ),
        ({"decode": {"steps": 4}}, "decode.steps takes a list: write it as decode.steps=[4]"),
        ({"decode": {"steps": [4, 0]}}, "decode.steps=[4,0] is not possible: give whole numbers from 1 to 4096"),
        ({"decode": {"steps": [True]}}, "decode.steps=[true] is not possible: give whole numbers from 1 to 4096"),
        ({"decode": {"steps": [4097]}}, "decode.steps=[4097] is not possible: give whole numbers from 1 to 4096"),
        ({"classifier": CLASSIFIER | {"augment": {"flip": "maybe"}}}, "classifier.augment.flip=maybe is not possible"),
        ({"max_images": None, "trainer": {"devices": None}}, "trainer.devices=null is not possible: give a whole"),
        ({"data": 5}, "data=5 is not possible: give its settings"),
        ({"sweep": {"seeds": {"a": 1}}}, "sweep.seeds={a:1} is not possible: give a list"),
        ({"trainer": {"flags": {"num_sanity_val_steps": -5}}}, "trainer.num_sanity_val_steps=-5 is not possible: give"),
        ({"decode": {"steps": []}}, "decode.steps=[] is not possible: name at least one number"),
        ({"sweep": {"seeds": [0, -1]}}, "sweep.seeds=-1 is not possible"),
        ({"sweep": {"params": [1]}}, "sweep.params=[1] is not possible"),
    ],
)
def test_other_mistakes_are_one_sentence(change, sentence):
    with pytest.raises(UserError) as caught:
        checked(TrainConf, BASES["train"] | change)
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


def test_settings_check_themselves_without_hydra_too():
    with pytest.raises(UserError, match="choose from fid"):
        EvalConf(metrics=["fidd"])
    with pytest.raises(ValueError, match="give a whole number of at least 1"):
        Hardware(devices=0)


@pytest.mark.parametrize("group", ["data", "classifier", "cas"])
def test_settings_of_a_group_that_has_none_are_refused(group):
    base = CommonConf(features=FeaturesConf(name="inception"))
    with pytest.raises(
        UserError, match=rf"^{group}.seed changes settings of {group}, and there are none: give {group}=N"
    ):
        replaced(base, CommonConf, {group: {"seed": 1}})


@pytest.mark.parametrize("verb", ["sample", "edit"])
@pytest.mark.parametrize("steps", [0, -1, 4097, 1.5, "abc", True, [4, 8], math.nan])
def test_one_number_of_steps_is_checked_by_the_same_rule_everywhere(verb, steps):
    with pytest.raises(UserError, match=r"^decode.steps=.* is not possible: give a whole number from 1 to 4096$"):
        checked(SCHEMAS[verb], BASES[verb] | {"decode": {"steps": steps}})


def test_defaults_are_the_schemas_and_are_written_once():
    assert checked(CommonConf, {}) == CommonConf() and checked(EvaluateConf, {}) == EvaluateConf()
    assert [field.name for field in fields(MVTMLoss)] == list(get_type_hints(MVTMLoss))
    assert all(getattr(MVTMConf, field.name) == field.default for field in fields(MVTMLoss))
    own, evaluates = plain(Hardware()), plain(EvaluateHardware())
    assert evaluates == own | {"precision": None}
    jobs = {"name": None, "verb": None, "params": {}, "seeds": [0], "runs": None, "model": None, "one_seed": False}
    assert plain(SweepConf()) == jobs | {"then": None}


@pytest.mark.parametrize("verb", SCHEMAS)
def test_the_primary_configs_repeat_no_default(verb):
    written = yaml.safe_load((ROOT / "conf" / f"{verb}.yaml").read_text())
    # T of edit.py and sample.py stands there so that it goes over the list that a decoder's file brings.
    left_out = ("defaults", "hydra", *(("decode",) if verb in ("edit", "sample") else ()))
    own = {key: value for key, value in written.items() if key not in left_out}
    defaults = plain(SCHEMAS[verb]())
    assert not [key for key, value in own.items() if defaults[key] == value], "it is the default already"


@pytest.mark.parametrize("file", sorted((ROOT / "conf" / "eval").glob("*.yaml")), ids=lambda file: file.stem)
def test_what_is_evaluated_by_default_is_in_no_file(file):
    written, defaults = yaml.safe_load(file.read_text()), plain(EvalConf())
    for base in written.pop("defaults", []):
        defaults |= yaml.safe_load(file.with_name(f"{base}.yaml").read_text())
    assert not [key for key, value in written.items() if defaults[key] == value]


def test_classifiers_are_refused_by_their_own_key():
    with pytest.raises(UserError, match=r"^optim.lr=0.0 is not possible"):
        checked(ClassifierConf, {"net": OBJECT, "optim": OPTIM | {"lr": 0.0}})
