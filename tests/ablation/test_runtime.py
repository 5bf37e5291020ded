"""The numbers of the runtime figure."""

import pytest

from maskgit_lab.ablation.published import runtimes
from maskgit_lab.ablation.runtime import CACHED, UNCACHED, Place, ratios, runtimes_of, speedups
from timing_rows import figure, timing


def test_the_papers_ratios_are_as_published():
    assert [one.tokens for one in runtimes()] == [256, 512, 738, 1024]
    assert [round(one.ratio) for one in runtimes()] == [38, 52, 57, 65]


def test_ratios_are_to_maskgit_at_the_papers_steps_and_stand_beside_its_own():
    (found,) = runtimes_of(figure())
    by_place = {one.place: one for one in ratios(found)}
    one = by_place[Place(UNCACHED, 1024, 1)]
    assert one.ratio == pytest.approx(51.2) and one.of_cpu == pytest.approx(51.2) and one.on_paper == 64
    assert round(one.papers) == 65 and one.steps == 8
    assert by_place[Place(CACHED, 256, 8)].ratio == pytest.approx(4.0)
    assert Place(UNCACHED, 1024, 8) not in by_place  # which was left out


def test_without_eight_steps_the_fewest_count():
    rows = [timing(0.1, steps=4), timing(0.2, steps=6), timing(3.0, kv_cache=False)]
    (one,) = ratios(*runtimes_of(rows))
    assert (one.steps, one.ratio, one.on_paper) == (4, pytest.approx(30.0), 32)


def test_what_the_cache_saves():
    (found,) = runtimes_of(figure())
    assert speedups(found)[1, 256] == pytest.approx((3.2, 3.2)) and set(speedups(found)) == {
        (1, 256),
        (8, 256),
        (1, 1024),
    }


def test_a_cell_that_was_left_out_has_a_reason_and_no_number():
    (found,) = runtimes_of(figure())
    assert found.left_out == {Place(UNCACHED, 1024, 8): "a batch would take about 7,200 s"}
    assert Place(UNCACHED, 1024, 8) not in found.times
    (later,) = runtimes_of([*figure(), timing(20.0, 1024, 8, kv_cache=False)])
    assert not later.left_out and later.times[Place(UNCACHED, 1024, 8)].seconds == 20
    (still,) = runtimes_of([*figure(), timing(20.0, 1024, 8, kv_cache=False), timing(None, 1024, 8, kv_cache=False)])
    assert not still.left_out


def test_lines_have_an_order():
    (found,) = runtimes_of(reversed(figure()))
    assert found.lines == ["MaskGIT, T = 8", "MaskGIT, T = 12", UNCACHED, CACHED]


@pytest.mark.parametrize("change", [{"width": 64}, {"threads": 2}, {"device": "NVIDIA H100"}, {"guidance": 1.0}])
def test_other_networks_and_devices_are_other_figures(change):
    assert len(runtimes_of([timing(), {**timing(), **change}])) == 2


def test_models_of_several_seeds_are_one_line():
    rows = [timing(x, weights="trained", model=str(i)) for i, x in enumerate((0.1, 0.3, 0.2))]
    (found,) = runtimes_of(rows)
    ((_, one),) = found.times.items()
    assert (one.seconds, one.lowest, one.highest, one.n) == (0.2, pytest.approx(0.09), pytest.approx(0.36), 9)
