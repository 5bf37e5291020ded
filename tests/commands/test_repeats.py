"""Several draws of the samples, each with a row, and what is shown of them."""

from statistics import fmean, stdev

from evaluations import QUIET, rows


def test_repeats_are_other_draws_of_the_same_point(command, run, tiny_cache):
    asked = [f"checkpoint={run}", "decode.steps=[2]", "eval.n_samples=30", "eval.metrics=[fid,nll_bound,runtime,cas]"]
    asked += [*QUIET, f"cache_dir={tiny_cache}", "save=[npz]"]
    before = len(rows(run))
    assert command("evaluate", *asked).code == 0
    said = command("evaluate", *asked, "eval.repeats=3", "optimized_metric=fd_classifier")
    assert said.code == 0, said.err
    first, *others = found = rows(run)[before:]
    assert [row.get("repeat") for row in found] == [None, 1, 2]  # the first draw is as it was
    assert len({row["fd_classifier"] for row in found}) == 3
    assert len({(row["nll_bound"], row["nll_bound_se"]) for row in found}) == 1
    assert "cas_top1" in first and not any("cas_top1" in row or "cas_classifier" in row for row in others)
    assert all(row["decode_seconds_per_image"] > 0 and row["timed_on"].startswith("cpu") for row in found)
    values = [row["fd_classifier"] for row in found]
    assert f"{_shown(fmean(values))} ± {_shown(stdev(values))}*" in said.out
    assert f"fd_classifier = {fmean(values)!r}" in said.out  # and not the best of three draws
    assert "over 3 draws of the samples" in said.out and "its standard error over the held-out images" in said.out
    assert len(list((run / "samples").glob("T2*"))) == 3
    assert len(list((run / "samples").glob("T2-repeat1-*"))) == 1
    again = command("evaluate", *asked, "eval.repeats=2")
    assert again.code == 0 and "samples each" not in again.out and "over 2 draws" in again.out


def _shown(value):
    return f"{value:.{0 if value >= 100 else 3}f}"
