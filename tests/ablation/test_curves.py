"""Curves over T and over knobs: means, bands and sweet spots."""

from pathlib import Path

import numpy as np
import pytest

from maskgit_lab.ablation.curves import at_best_steps, curves, metrics_of, spread
from maskgit_lab.ablation.reading import Run, Seeds
from maskgit_lab.ablation.studies import studies
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import TABLE, Metric, add
from synthetic_runs import row


def study_of(*rows) -> Study:
    return studies([Run(Path("run"), list(rows), "t")])[0]


def test_mean_band_and_sweet_spot():
    values = {0: {2: 9.0, 4: 5.0, 8: 6.0}, 1: {2: 7.0, 4: 7.0, 8: 5.0}}
    rows = [row("cosine", seed, t, fd_classifier=v) for seed, line in values.items() for t, v in line.items()]
    study = study_of(*rows)
    (curve,) = curves(study.main, study.distance)
    assert curve.x == (2, 4, 8) and curve.seeds == (Seeds(0), Seeds(1)) and curve.has_band
    assert curve.mean_X.tolist() == [8, 6, 5.5]
    assert curve.low_X.tolist() == [7, 5, 5] and curve.high_X.tolist() == [9, 7, 6]
    assert curve.best_steps == 8 and curve.is_at_edge


def test_the_best_is_the_highest_where_higher_is_better():
    study = study_of(*(row("cosine", 0, t, precision=p) for t, p in ((2, 0.1), (4, 0.9), (8, 0.2))))
    precision = next(metric for metric in metrics_of(study) if metric.key == "precision")
    (curve,) = curves(study.main, precision)
    assert curve.best_steps == 4 and not curve.is_at_edge and not curve.has_band


def test_what_a_seed_lacks_is_no_zero():
    study = study_of(row("cosine", 0, 4), row("cosine", 1, 4, fd_classifier=float("nan")), row("cosine", 1, 8))
    (curve,) = curves(study.main, study.distance)
    assert curve.counts_X.tolist() == [1, 1] and np.isfinite(curve.mean_X).all()


def test_spread_needs_two_values():
    assert spread([]) == (None, None) and spread([2.0]) == (2.0, None)
    assert spread([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))


def test_each_value_of_a_knob_is_read_at_its_own_best_t():
    distances = {(1.0, 4): 5.0, (1.0, 8): 6.0, (2.0, 4): 9.0, (2.0, 8): 3.0}
    rows = [row("cosine", 0, t, guidance=g, fd_classifier=v, recall=v / 10) for (g, t), v in distances.items()]
    study = study_of(*rows)
    best = at_best_steps(study.along("guidance")["cosine"], "guidance", study.distance)
    (curve,) = curves(best, TABLE["recall"], "guidance")
    assert curve.x == (1.0, 2.0) and curve.mean_X.tolist() == [0.5, 0.3] and curve.best == 0


def test_a_metric_of_ones_own_is_measured_like_any_other(monkeypatch):
    monkeypatch.setattr("maskgit_lab.metrics.registry.TABLE", dict(TABLE))
    add(Metric("sharpness", "sharpness", "max", title="Sharpness"))
    study = study_of(*(row("cosine", 0, t, sharpness=float(t)) for t in (4, 8)))
    (curve,) = curves(study.main, metrics_of(study)[-1])
    assert len(study.main) == 2 and curve.metric.key == "sharpness" and curve.best_steps == 8
