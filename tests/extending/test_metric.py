"""A new metric: one function and one row of the table, outside the package."""

import pytest

from evaluations import QUIET, rows
from maskgit_lab.metrics import registry
from refusals import expect_refused

SOURCE = '''
from maskgit_lab.metrics.registry import Metric


def largest_gap(samples, reference, choices):
    """The largest difference of the features' means."""
    return float((samples.features_nF.double().mean(dim=0) - reference.gaussian.mean_F).abs().max())


mine = Metric("largest_gap", "gap", "min", compute=largest_gap, digits=4)
'''


@pytest.fixture
def evaluate(command, module, run, tiny_cache):
    module("own_metrics", SOURCE)

    def evaluated(metrics, *arguments):
        asked = [f"checkpoint={run}", f"cache_dir={tiny_cache}", "eval.n_samples=20", "decode.steps=[2]"]
        return command("evaluate", *asked, f"eval.metrics=[{metrics}]", *QUIET, *arguments)

    yield evaluated
    registry.TABLE.pop("largest_gap", None)


def test_it_is_in_the_row_the_table_and_every_list_of_metrics(evaluate, run):
    before = rows(run)
    said = evaluate("fid,own_metrics.mine")
    assert said.code == 0, said.err
    (row,) = rows(run)[len(before) :]
    assert row["largest_gap"] > 0 and row["metrics"] == "fid largest_gap"
    heading = next(line for line in said.out.splitlines() if "gap" in line and "T" in line)
    assert heading.split()[-2:] == ["gap", "img/s"] or "gap" in heading.split()
    assert f"{row['largest_gap']:.4f}" in said.out
    assert "largest_gap" in [metric.key for metric in registry.of_rows([row])]
    assert registry.is_measured("largest_gap") and registry.metric_of("largest_gap").better == "min"
    assert evaluate("fid,own_metrics.mine").code == 0 and rows(run) == [*before, row]  # measured once


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        ("fid,own_metrics.mime", "eval.metrics=own_metrics.mime is not possible"),
        ("fid,own_metrics.largest_gap", "own_metrics.largest_gap is not a Metric of maskgit_lab.metrics.registry"),
        ("fid,nowhere.mine", "eval.metrics=nowhere.mine is not possible (No module named 'nowhere')"),
        ("own_metrics.mine,own_metrics.mine", "name every one of them once"),
    ],
)
def test_mistakes_are_one_sentence(evaluate, metrics, says):
    expect_refused(evaluate(metrics), says)
    assert says.startswith("name") or "largest_gap" not in registry.TABLE
