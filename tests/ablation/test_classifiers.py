"""The same models measured on several classifiers: no shared curve, and one mean of what has no scale."""

from pathlib import Path

import pytest

from maskgit_lab.ablation.classifiers import across, alike
from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.ranking import rank
from maskgit_lab.ablation.reading import Run, short_names
from maskgit_lab.ablation.studies import studies
from maskgit_lab.report.chapters import make_report
from synthetic_runs import SCHEDULES, row


def measured(weights: str, scale: float, seeds=(0, 1, 2), names=SCHEDULES) -> list[dict]:
    """Rows of the same models, whose distances a classifier scales; on the second, linear is bad."""
    rows = [row(name, s, t, features_weights=weights) for name in names for s in seeds for t in (4, 8)]
    for each in rows:
        each["fd_classifier"] *= scale * (10 if weights == "b" and each["schedule"] == "linear" else 1)
    return rows


def runs_of(*rows: list[dict]) -> list[Run]:
    return [Run(Path(f"run{i}"), several, "t") for i, several in enumerate(rows)]


def test_classifiers_share_no_curve_and_their_order_is_averaged():
    runs = runs_of(measured("a", 1.0), measured("b", 300.0))
    every = studies(runs)
    assert len(every) == 2 and alike(every[0], every) == every
    found = across(every, bootstrap=100, seed=0)
    alone = [rank(curves(study.main, study.distance), bootstrap=100, seed=0) for study in every]
    assert found is not None and list(found.tau.each) == [one.order.tau for one in alone if one is not None]
    assert found.tau.mean == pytest.approx(sum(found.tau.each) / 2) and found.tau.each[0] > found.tau.each[1]
    assert found.shapes.each == (14, 13) and found.shapes.interval == (13, 14)
    assert (found.levels.classifiers, len(found.levels.seeds), found.levels.n_drawn) == (2, 3, 2)
    for chapter in make_report(runs, every, short_names(runs), bootstrap=100, seed=0).chapters:
        assert "The same on 2 classifiers (features_weights a, b)" in chapter.order[-1]
        assert (
            "3 training seeds of one tokenizer, each with 1 draw of samples, measured by 2 classif" in chapter.order[-1]
        )


def test_what_differs_in_more_than_the_classifier_is_not_averaged():
    every = studies(runs_of(measured("a", 1.0), [{**each, "n_samples": 500} for each in measured("b", 1.0)]))
    assert [alike(study, every) for study in every] == [[study] for study in every]
    assert across(every[:1], bootstrap=10, seed=0) is None
    inception = studies(runs_of([{**each, "features": "inception", "fid": 1.0} for each in measured("a", 1.0)]))
    assert alike(inception[0], inception) == []


def test_classifiers_that_share_no_seed_or_too_few_schedules_are_not_averaged():
    unpaired = studies(runs_of(measured("a", 1.0, seeds=(0,)), measured("b", 1.0, seeds=(1,))))
    few = studies(runs_of(measured("a", 1.0), measured("b", 1.0, names=SCHEDULES[:2])))
    assert across(unpaired, bootstrap=10, seed=0) is None and across(few, bootstrap=10, seed=0) is None
