"""A new decoder: one class and one file, outside the package."""

import pytest
from PIL import Image

from evaluations import QUIET, rows
from maskgit_lab.lit.loggers.wandb import curve_settings
from refusals import expect_refused

SOURCE = '''
from dataclasses import dataclass

import torch

from maskgit_lab.decoding.base import Decoded, Decoder
from maskgit_lab.errors import UserError


@dataclass(frozen=True, kw_only=True)
class InOrder(Decoder):
    """Fills the grid from the first position to the last, as many positions in each of T steps."""

    steps: int
    sharpness: float = 1.0

    def __post_init__(self):
        if self.sharpness <= 0:
            raise UserError(f"decode.sharpness={self.sharpness} is not possible: give a positive number")

    def __call__(self, model, tokens, labels, generators):
        positions, history = torch.arange(tokens.shape[1]), []
        for part in positions.chunk(self.steps):
            p = (model(tokens, labels) * self.sharpness).softmax(dim=-1)
            drawn = [torch.multinomial(own, 1, generator=g)[:, 0] for own, g in zip(p, generators, strict=True)]
            here = (tokens == model.mask_id) & torch.isin(positions, part)
            tokens = torch.where(here, torch.stack(drawn), tokens)
            history.append(tokens)
        return Decoded(tokens, torch.stack(history, dim=1))
'''
YAML = "_target_: own_decoder.InOrder\nsharpness: 3.0\n"


@pytest.fixture
def evaluate(command, module, run, tiny_cache):
    module("own_decoder", SOURCE)

    def evaluated(*arguments):
        asked = [f"checkpoint={run}", f"cache_dir={tiny_cache}", "eval.n_samples=20", "eval.metrics=[fid]"]
        return command("evaluate", *arguments, *asked, *QUIET)

    return evaluated


def test_its_settings_are_those_of_its_rows(evaluate, run):
    before = rows(run)
    own = ["decode._target_=own_decoder.InOrder", "decode.steps=[2,4]"]
    said = evaluate(*own, "+decode.sharpness=2")
    assert said.code == 0, said.err
    new = rows(run)[len(before) :]
    assert [(row["decoder"], row["steps"], row["sharpness"]) for row in new] == [
        ("own_decoder.inorder", 2, 2.0),
        ("own_decoder.inorder", 4, 2.0),
    ]
    for row in new:  # it has none of another decoder's settings
        assert not {"choice_temperature", "guidance", "decode_schedule"} & row.keys()
        assert row["schedule"] == "cosine" and row["fd_classifier"] > 0
        assert curve_settings(row) == {"schedule_name": "cosine", "sharpness": 2.0}
    assert rows(run)[: len(before)] == before
    evaluate(*own, "+decode.sharpness=2")
    assert rows(run) == [*before, *new]  # the same points, measured once
    evaluate("decode._target_=own_decoder.InOrder", "decode.steps=[2]", "+decode.sharpness=0.5")
    assert len(rows(run)) == len(before) + 3 and rows(run)[-1]["fd_classifier"] != new[0]["fd_classifier"]


def test_its_file_makes_it_an_option(evaluate, option, run):
    before = rows(run)
    said = evaluate(*option("decode", "in_order", YAML), "decode.steps=[3]")
    assert said.code == 0, said.err
    (row,) = rows(run)[len(before) :]
    assert (row["decoder"], row["steps"], row["sharpness"]) == ("own_decoder.inorder", 3, 3.0)


def test_samples_are_made_with_it(command, module, option, run, tmp_path):
    module("own_decoder", SOURCE)
    arguments = [*option("decode", "in_order", YAML), f"checkpoint={run}", "accelerator=cpu", "n=2", "decode.steps=4"]
    said = command("sample", *arguments, "classes=[3]", "out=samples")
    assert said.code == 0, said.err
    with Image.open(tmp_path / "samples" / "3" / "00001.png") as image:
        assert image.size == (16, 16)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["+decode.sharpness=-1"], "decode.sharpness=-1.0 is not possible: give a positive number"),
        (["+decode.sharpness=much"], "decode.sharpness=much is not possible: give a number"),
        (["+decode.sharpnes=1"], "decode.sharpnes: there is no such setting of InOrder; it has sharpness"),
        (["decode._target_=own_decoder.Absent"], "module 'own_decoder' has no attribute 'Absent'"),
        (["decode._target_=builtins.dict"], "decode._target_ makes no Decoder"),
    ],
)
def test_mistakes_are_one_sentence(evaluate, arguments, says):
    expect_refused(evaluate("decode._target_=own_decoder.InOrder", "decode.steps=[2]", *arguments), says)
