"""`sample.py` from end to end."""

import numpy as np
from PIL import Image


def read(folder, pattern):
    images = []
    for path in sorted(folder.glob(pattern)):
        with Image.open(path) as image:
            images.append(np.asarray(image))
    return np.stack(images)


def test_writes_images_by_class_and_the_same_for_the_same_seed(command, tiny_run, tmp_path):
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        said = command(
            "sample", f"checkpoint={tiny_run}", "classes=[3,7]", "n=4", f"out={out}", f"seed={seed}", "decode.steps=2"
        )
        assert said.code == 0 and "8 images at T = 2, cosine schedule" in said.out
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["3", "7", "grid.png"]
    first, second, other = (read(tmp_path / out, "*/*.png") for out in "abc")
    assert first.shape == (8, 16, 16, 3)
    assert (first == second).all() and (first != other).any()


def test_decodes_with_another_schedule_and_all_classes(command, tiny_run, tmp_path):
    said = command(
        "sample", f"checkpoint={tiny_run}", "n=1", "out=s", "decode.schedule=linear", "decode.choice_temperature=0"
    )
    assert said.code == 0 and "10 images at T = 8, linear schedule" in said.out
