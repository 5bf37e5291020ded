"""A batch that does not fit the memory of a GPU is halved."""

import pytest
import torch

from maskgit_lab.errors import UserError
from maskgit_lab.sampling.memory import in_parts_that_fit


def room_for(most, tried):
    def work(batch):
        tried.append(len(batch))
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return list(batch)

    return work


@pytest.mark.parametrize(("most", "sizes"), [(100, [10]), (5, [10, 5, 5]), (3, [10, 5, 2, 3, 5, 2, 3])])
def test_halves_until_it_fits_and_keeps_the_order(most, sizes):
    tried = []
    parts = in_parts_that_fit(room_for(most, tried), range(20, 30))
    assert [number for part in parts for number in part] == list(range(20, 30)) and tried == sizes


def test_a_single_image_that_does_not_fit_is_said():
    with pytest.raises(UserError, match="a single image does not fit in the GPU's memory"):
        in_parts_that_fit(room_for(0, []), range(8))
