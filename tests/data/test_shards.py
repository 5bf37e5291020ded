"""Loops over images that are kept batch by batch."""

import contextlib
import pickle

import pytest
import torch

from maskgit_lab.commands.parts import PartImages, Parts
from maskgit_lab.console import Terminal


def fill(parts, batch_size, stop_after=None):
    """Fills parts with the numbers of their images; returns the batches that were made."""
    made = []

    def make(batches):
        for batch in batches:
            if stop_after is not None and len(made) == stop_after:
                raise KeyboardInterrupt
            made.append((batch.start, batch.stop))
            numbers = torch.tensor(list(batch))
            yield {"number": numbers, "images": numbers.byte()[:, None, None, None].expand(-1, 3, 2, 2)}

    with contextlib.suppress(KeyboardInterrupt):
        parts.fill(batch_size, make, Terminal(), "numbers")
    return made


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_every_image_is_made_once_in_order(tmp_path, batch_size):
    parts = Parts(tmp_path / "p", 20)
    assert sum(stop - start for start, stop in fill(parts, batch_size)) == 20
    assert parts.array("number").tolist() == list(range(20))
    assert fill(parts, batch_size) == []


def test_what_was_interrupted_goes_on_with_what_is_missing_also_in_other_batches(tmp_path):
    parts = Parts(tmp_path / "p", 20)
    assert fill(parts, 6, stop_after=2) == [(0, 6), (6, 12)]
    assert fill(Parts(tmp_path / "p", 20), 5) == [(12, 17), (17, 20)]
    assert parts.array("number").tolist() == list(range(20))


def test_a_gap_is_filled_without_touching_its_neighbours(tmp_path):
    parts = Parts(tmp_path / "p", 20)
    fill(parts, 5)
    parts.paths()[1].unlink()
    parts.paths()[2].write_bytes(b"cut")
    (tmp_path / "p" / "x.safetensors.partial").write_bytes(b"killed")
    assert fill(parts, 100) == [(5, 10), (15, 20)]
    assert parts.array("number").tolist() == list(range(20)) and len(list((tmp_path / "p").iterdir())) == 4


def test_images_are_read_one_by_one_from_parts_of_any_size(tmp_path):
    parts = Parts(tmp_path / "p", 20)
    fill(parts, 6)
    labels = torch.arange(20) % 3
    images = PartImages(parts.paths(), labels)
    for index in (0, 5, 6, 19):
        image, label = images[index]
        assert image.shape == (3, 2, 2) and float(image[0, 0, 0] * 255) == pytest.approx(index) and label == index % 3
    some = pickle.loads(pickle.dumps(images.subset([7, 3])))
    assert float(some[0, 4][0][0, 0, 0] * 255) == pytest.approx(7) and some.labels.tolist() == [1, 0]


def test_the_folder_goes_with_the_one_that_it_is_in_if_that_is_empty(tmp_path):
    one, other = Parts(tmp_path / "e" / "a", 2), Parts(tmp_path / "e" / "b", 2)
    fill(one, 2), fill(other, 2)
    one.remove()
    assert (tmp_path / "e").exists()
    other.remove()
    assert not (tmp_path / "e").exists()
