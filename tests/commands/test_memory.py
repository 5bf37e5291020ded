"""How many images fit the memory."""

import torch

from maskgit_lab.commands.memory import SHARE, PeakMemory, batch_for, fitting_batch, memory_at_hand

CPU = torch.device("cpu")


def test_the_peak_is_of_what_is_alive_at_once():
    with PeakMemory() as memory:
        for _ in range(3):
            a = torch.zeros(1000)
            b = a + 1
            b.mul_(2)
            del a, b
    assert 8000 <= memory.peak <= 8100 and memory.alive == 0


def test_views_cost_nothing():
    with PeakMemory() as memory:
        a = torch.zeros(1000)
        kept = [a.view(10, 100), a[:5], a[None]]
    assert memory.peak == 4000 and len(kept) == 3


def test_the_batch_is_a_power_of_two_within_bounds():
    assert batch_for(100, 100 * 40 / SHARE, 512) == 32
    assert batch_for(100, 1e12, 512) == 512 and batch_for(1e12, 100, 512) == 1


def test_costly_work_gets_small_batches():
    free = memory_at_hand(CPU)
    assert free > 1e6

    def work(count):
        return torch.empty(count, free // 100, dtype=torch.uint8)

    assert fitting_batch(work, CPU) in (32, 16)
    assert fitting_batch(lambda count: torch.empty(count, 10), CPU) == 128
