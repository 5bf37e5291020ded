"""The numbers of the form of Table 1, and the differences that are paired over seeds."""

from pathlib import Path

import pytest

from maskgit_lab.ablation.baselines import baselines, with_baselines
from maskgit_lab.ablation.paired import Difference, difference
from maskgit_lab.ablation.published import papers_baseline, papers_maskgit, table1
from maskgit_lab.ablation.reading import Run, Seeds
from maskgit_lab.ablation.studies import studies
from maskgit_lab.ablation.study import Study
from maskgit_lab.ablation.table1 import TableOne, tables
from maskgit_lab.metrics.registry import TABLE
from synthetic_runs import floors, row, sequential_row

IS = TABLE["inception_score"]
SIZES = {"tokens": 64, "transformer": 700, "tokenizer": 300}


def found_of(*rows) -> tuple[list[Study], list[TableOne]]:
    runs = [Run(Path("run"), list(rows), "t", sizes=SIZES)]
    known = baselines(runs)
    every = with_baselines(studies(runs), known)
    return every, tables(every, known)


def paired(distances, theirs) -> Difference | None:
    """Of distances of MaskGIT by seed and T, and of the baseline by seed."""
    ours = [row("cosine", seed, t, fd_classifier=v, inception_score=t) for (seed, t), v in distances.items()]
    rows = [sequential_row(seed, fd_classifier=v, inception_score=3.0) for seed, v in theirs.items()]
    (study,), _ = found_of(*ours, *rows)
    return difference(study, "cosine", study.baselines[0], [study.distance, IS], bootstrap=100, seed=0)


def test_the_published_rows_are_those_of_the_paper():
    assert [len(table1(size)) for size in (256, 512)] == [9, 4]
    ours, theirs = papers_maskgit(), papers_baseline()
    assert (ours.fid, ours.steps, ours.cas_top1) == (6.18, "8", pytest.approx(0.6314))
    assert (theirs.fid, theirs.parameters, theirs.steps, theirs.recall) == (18.65, "227M", "256", 0.26)
    assert papers_maskgit(512).fid == 7.32 and papers_baseline(512).steps == "1024"
    assert [row.model for row in table1() if row.is_own] == ["VQGAN (same hyper-parameters)", "MaskGIT", "Real data"]


def test_every_schedule_is_at_its_best_t_and_every_baseline_at_the_number_of_tokens():
    ours = [row("cosine", seed, t, fd_classifier=9 - t / 2 + seed, nll_bound=4.0) for seed in (0, 1) for t in (2, 4, 8)]
    _, (table,) = found_of(*ours, row("linear", 0, 4), row("linear", 1, 4), *(sequential_row(s) for s in (0, 1, 2)))
    cosine, linear, baseline, real = table.entries
    assert (cosine.kind, cosine.name, cosine.steps, cosine.is_at_edge) == ("maskgit", "cosine", 8, True)
    assert cosine.values["distance"] == [5.0, 6.0] and cosine.values["nll"] == [4.0, 4.0]
    assert linear.steps == 4 and "nll" not in linear.values
    assert (baseline.name, baseline.steps) == ("autoregressive", 64)
    assert baseline.values["nll"] == pytest.approx([3.0, 3.1, 3.2])
    assert baseline.sizes == {"transformer": 700, "tokenizer": 300} and table.n_tokens == 64
    assert real.values == {"cas_top1": [pytest.approx(0.98)]} and real.levels is None


def test_held_out_images_and_reconstructions_have_a_row_each_also_beside_baselines_alone():
    _, (table,) = found_of(sequential_row(0), *floors())
    assert [entry.name for entry in table.entries][1:3] == ["held-out images", "reconstructions"]
    assert table.entries[1].values["distance"] == [0.6]
    _, (table,) = found_of(row("cosine", 0, 8), sequential_row(0), *floors())
    assert [entry.kind for entry in table.entries] == [
        *("maskgit", "autoregressive", "held_out", "reconstructions", "real"),
    ]


def test_what_was_measured_otherwise_has_a_table_of_its_own_and_tries_are_last():
    _, found = found_of(sequential_row(0, debug="tiny", model="try"), row("cosine", 0, 8), sequential_row(1, splits=10))
    assert [table.entries[0].kind for table in found] == ["maskgit", *["autoregressive"] * 2]
    assert found[2].heading.startswith("Debug runs (tiny): ")


def test_times_of_other_hardware_are_not_averaged():
    others = [{}, {}, {"timed_on": "NVIDIA H100", "decode_seconds_per_image": 9.0}]
    _, (table,) = found_of(*(sequential_row(seed, **other) for seed, other in enumerate(others)))
    assert table.entries[0].values["decode_seconds_per_image"] == [0.02, 0.02]
    assert table.entries[0].timed_on.startswith("cpu")


def test_a_difference_is_paired_over_the_seeds_that_both_have():
    distances = {(0, 4): 5.0, (0, 8): 4.0, (1, 4): 6.0, (1, 8): 5.0, (3, 8): 0.0}
    found = paired(distances, {0: 10.0, 1: 13.0, 2: 99.0})
    assert found is not None and found.levels.seeds == (Seeds(0), Seeds(1)) and found.steps == 8
    assert found.values["fd_classifier"] == (-7.0, None)  # (4 - 10 + 5 - 13) / 2
    assert found.values["inception_score"] == (5.0, None) and not found.has_intervals


def test_three_seeds_have_an_interval_that_holds_no_more_than_their_differences():
    found = paired({(seed, 8): 5.0 + seed for seed in range(3)}, {0: 10.0, 1: 10.0, 2: 10.0})
    assert found is not None and found.has_intervals
    value, interval = found.values["fd_classifier"]
    assert value == -4.0 and interval is not None and interval == pytest.approx((-5.0, -3.0), abs=0.4)
    assert found.values["inception_score"][1] == (5.0, 5.0)  # the same in every resample


def test_what_all_seeds_share_is_in_no_interval():
    """A seed that is hard for both moves neither ahead."""
    found = paired({(seed, 8): 5.0 + 10 * seed for seed in range(3)}, {seed: 6.0 + 10 * seed for seed in range(3)})
    assert found is not None and found.values["fd_classifier"] == (-1.0, (-1.0, -1.0))


def test_without_a_seed_or_a_distance_of_both_there_is_no_difference():
    assert paired({(0, 8): 5.0}, {1: 10.0}) is None
    without = {key: value for key, value in sequential_row(0).items() if key != "fd_classifier"}
    (study,), _ = found_of(row("cosine", 0, 8), without)
    assert difference(study, "cosine", study.baselines[0], [IS], bootstrap=10, seed=0) is None
    assert difference(study, "cubic", study.baselines[0], [IS], bootstrap=10, seed=0) is None


def test_a_metric_that_not_all_seeds_have_is_left_out():
    ours = [row("cosine", seed, 8) for seed in (0, 1)]
    del ours[1]["inception_score"]
    (study,), _ = found_of(*ours, sequential_row(0), sequential_row(1))
    found = difference(study, "cosine", study.baselines[0], [study.distance, IS], bootstrap=10, seed=0)
    assert found is not None and list(found.values) == ["fd_classifier"]
