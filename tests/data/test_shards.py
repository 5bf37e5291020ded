"""Loops over images that are kept shard by shard."""

import contextlib
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from maskgit_lab.data.shards import ShardImages, Shards


def fill(shards, batch_size, stop_after=None):
    """Fills shards with the numbers of their images; returns the batches that were made."""
    made, counted = [], []

    def make(batches):
        for batch in batches:
            if stop_after is not None and len(made) == stop_after:
                raise KeyboardInterrupt
            made.append((batch.start, batch.stop))
            numbers = torch.tensor(list(batch))
            yield {"number": numbers, "images": numbers.byte()[:, None, None, None].expand(-1, 3, 2, 2)}

    with contextlib.suppress(KeyboardInterrupt):
        shards.fill(shards.missing(batch_size), make, counted.append)
    assert counted == [stop - start for start, stop in made]
    return made


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_every_image_is_made_once_in_order(tmp_path, batch_size):
    shards = Shards(tmp_path / "p", 20)
    assert sum(stop - start for start, stop in fill(shards, batch_size)) == 20
    assert shards.array("number").tolist() == list(range(20))
    assert fill(shards, batch_size) == []


def test_what_was_interrupted_goes_on_with_what_is_missing_also_in_other_batches(tmp_path):
    shards = Shards(tmp_path / "p", 20)
    assert fill(shards, 6, stop_after=2) == [(0, 6), (6, 12)]
    assert fill(Shards(tmp_path / "p", 20), 5) == [(12, 17), (17, 20)]
    assert shards.array("number").tolist() == list(range(20))


def test_a_gap_is_filled_without_touching_its_neighbours(tmp_path):
    shards = Shards(tmp_path / "p", 20)
    fill(shards, 5)
    shards.paths()[1].unlink()
    shards.paths()[2].write_bytes(b"cut")
    (tmp_path / "p" / "x.safetensors.partial").write_bytes(b"killed")
    assert fill(shards, 100) == [(5, 10), (15, 20)]
    assert shards.array("number").tolist() == list(range(20)) and len(list((tmp_path / "p").iterdir())) == 4


def test_a_shard_whose_content_changed_or_has_no_checksum_is_made_again(tmp_path):
    shards = Shards(tmp_path / "p", 20)
    fill(shards, 5)
    first, second, third, _ = shards.paths()
    changed = bytearray(first.read_bytes())
    changed[-1] ^= 1
    first.write_bytes(changed)
    save_file(load_file(third), third)
    before = second.stat().st_mtime_ns
    assert fill(shards, 5) == [(0, 5), (10, 15)]
    assert shards.array("number").tolist() == list(range(20)) and second.stat().st_mtime_ns == before


def test_images_are_read_one_by_one_from_shards_of_any_size(tmp_path):
    shards = Shards(tmp_path / "p", 20)
    fill(shards, 6)
    labels = torch.arange(20) % 3
    images = ShardImages(shards.paths(), labels)
    for index in (0, 5, 6, 19):
        image, label = images[index]
        assert image.shape == (3, 2, 2) and float(image[0, 0, 0] * 255) == pytest.approx(index) and label == index % 3
    some = pickle.loads(pickle.dumps(images.subset([7, 3])))
    assert float(some[0, 4][0][0, 0, 0] * 255) == pytest.approx(7) and some.labels.tolist() == [1, 0]


def test_loops_of_one_folder_do_not_see_each_other(tmp_path):
    some, others = Shards(tmp_path, 4, "train-shard-"), Shards(tmp_path, 6, "test-shard-")
    fill(some, 3), fill(others, 4)
    assert [path.name for path in some.paths()] == [
        "train-shard-000000000-000000003.safetensors",
        "train-shard-000000003-000000004.safetensors",
    ]
    assert some.array("number").tolist() == [0, 1, 2, 3] and others.array("number").tolist() == list(range(6))


def test_the_folder_goes_with_the_one_that_it_is_in_if_that_is_empty(tmp_path):
    one, other = Shards(tmp_path / "e" / "a", 2), Shards(tmp_path / "e" / "b", 2)
    fill(one, 2), fill(other, 2)
    one.remove()
    assert (tmp_path / "e").exists()
    other.remove()
    assert not (tmp_path / "e").exists()
