"""What the settings of a data set may be: values of the wrong type are refused before a folder is read."""

import pytest

from maskgit_lab.data.digits import digits
from maskgit_lab.data.source import ImageData
from maskgit_lab.errors import UserError
from maskgit_lab.objects import build

FRAMING = {"size": 16, "crop_scale": None, "crop_ratio": 1, "flip": False, "seed": 0}


@pytest.mark.parametrize("kind", ["image_folder", "imagenet", "places365", "cifar10"])
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"flip": "maybe"}, "data.flip=maybe is not possible: give true or false"),
        ({"flip": 1}, "data.flip=1 is not possible: give true or false"),
        ({"size": "abc"}, "data.size=abc is not possible: give a whole number"),
        ({"size": 0}, "data.size=0 is not possible: give a whole number from 1 to 4096"),
        ({"size": 10**9}, "data.size=1000000000 is not possible: give a whole number from 1 to 4096"),
        ({"size": True}, "data.size=true is not possible: give a whole number"),
        ({"seed": -1}, "data.seed=-1 is not possible: give a whole number from 0 to 4294967295"),
        ({"seed": 1.5}, "data.seed=1.5 is not possible: give a whole number"),
        ({"crop_scale": ["a", 1]}, "data.crop_scale=[a,1] is not possible: give a number for each"),
        (
            {"crop_scale": [float("nan"), 1.0]},
            "data.crop_scale=[nan,1.0] is not possible: give a finite number for each",
        ),
    ],
)
def test_framings_that_are_not_possible(tmp_path, kind, values, said):
    node = {"_target_": f"maskgit_lab.data.folders.{kind}", "root": str(tmp_path), **FRAMING, **values}
    with pytest.raises(UserError) as caught:
        build(node, "data", ImageData)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"size": 100_000}, "data.size=100000 is far larger than the scans: give at most 256"),
        ({"seed": -1}, "data.seed=-1 is not possible: give a whole number from 0 to 4294967295"),
        ({"seed": 2**32}, "data.seed=4294967296 is not possible"),
    ],
)
def test_digits_that_are_not_possible(values, said):
    with pytest.raises(UserError, match=said):
        digits(**values)
