"""A folder of pictures, one folder for each class."""

import pytest

from picture_files import picture


@pytest.fixture
def folder(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(6):
            picture(i).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"
