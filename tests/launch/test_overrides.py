"""Settings as they are typed: text that Hydra's grammar lacks is quoted, and what cannot be read gets a sentence."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from maskgit_lab.errors import UserError
from maskgit_lab.launch.overrides import readable
from refusals import expect_refused

# Typed, and the value that a command gets.
READ = {
    "data.root=~/photos": "~/photos",
    "run_dir=~": "~",
    "checkpoint=runs/epoch=3-step=10": "runs/epoch=3-step=10",
    "name=t\u00e4st": "t\u00e4st",
    "name=\u6a21\u578b #1": "\u6a21\u578b #1",
    "data.root=/photos (2021)/a;b": "/photos (2021)/a;b",
    "name=two words": "two words",
    "+name=a&b": "a&b",
    "seed=3": 3,
    "decode.steps=[2,4]": [2, 4],
    "name='a,b'": "a,b",
    "name=": "",
}
REFUSED = {
    "data.root=/it's": "write it with its brackets and quotes closed, or, if they belong to a text, as 'data.root=",
    "decode.steps=[1,2": "brackets and quotes closed, or, if they belong to a text, as 'decode.steps=\"[1,2\"'",
    "decode.steps=1,2]": "with its brackets and quotes closed",
    "name='a": "with its brackets and quotes closed",
    "decode.steps=(1,2)": "write a list as decode.steps=[1,2]",
    "seed=1,,2": "a value is missing next to one of its commas",
    "eval.steps=[1,2,]": "a value is missing next to one of its commas",
    "seed=f(3)": "if its value is a text, write it as 'seed=\"f(3)\"'",
    "seed==5": "write it as seed=5",
    "seed = 5": "write it without spaces around =, as seed=5",
    "seed": "write it as seed=VALUE; if it belongs to the value before it, put quotes around both",
    "": "write it as KEY=VALUE",
    "=5": "write it as KEY=VALUE",
    "@a": "write it as KEY=VALUE",
    "s\u00e9ed=5": "s\u00e9ed: there is no such setting",
    ".=5": ".: there is no such setting",
}


@pytest.mark.parametrize("typed", READ)
def test_text_is_read_as_it_is_typed(typed):
    override = OverridesParser.create().parse_override(readable(typed))
    value = override.value()
    assert (value.text if hasattr(value, "text") else value) == READ[typed]


@pytest.mark.parametrize("typed", REFUSED)
def test_what_cannot_be_read_gets_a_sentence(typed):
    with pytest.raises(UserError) as caught:
        readable(typed)
    assert REFUSED[typed] in str(caught.value)


def test_a_command_says_them(command):
    expect_refused(command("train", "s\u00e9ed=5"), "s\u00e9ed: there is no such setting")
    expect_refused(command("train", "name=a\udcff"), "is not valid UTF-8: give names and values in UTF-8")
