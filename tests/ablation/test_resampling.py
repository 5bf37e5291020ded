"""The nested, paired bootstrap: what its units are, that schedules are paired, and how often its interval is right."""

from pathlib import Path

import numpy as np
import pytest

from maskgit_lab.ablation.curves import Curve, curves
from maskgit_lab.ablation.permutations import kendall_tau
from maskgit_lab.ablation.points import Draw
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.ranking import rank
from maskgit_lab.ablation.reading import Run, Seeds
from maskgit_lab.ablation.resampling import percentile_interval, resampled
from maskgit_lab.ablation.studies import studies
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import TABLE
from maskgit_lab.report.agreement import order_sentences
from maskgit_lab.report.levels import about_deviations, how_to_read
from maskgit_lab.report.tables import compared
from synthetic_runs import row

FD = TABLE["fid"].on("classifier")
SCHEDULES = ("square", "cosine", "linear", "square_root")


def curve_of(values_RD, seeds=None, schedule="cosine") -> Curve:
    """At one T; the draws of all models have the same seeds."""
    values = np.asarray(values_RD, dtype=float)
    draws = tuple(Draw(0, repeat) for repeat in range(values.shape[1]))
    return Curve(schedule, FD, (8.0,), seeds or tuple(map(Seeds, range(len(values)))), draws, values[..., None])


def means(curve: Curve, bootstrap: int = 4000) -> np.ndarray:
    (found,) = resampled([curve], bootstrap, np.random.default_rng(0))
    return found[:, 0]


def rows_of(schedule: str, seed: int, draws, tokenizer: int = 0) -> list[dict]:
    model = f"{schedule}{seed}-{tokenizer}"
    return [row(schedule, s, t, model=model, fd_classifier=10.0 + t + s) for s in draws for t in (4, 8)]


def study_of(runs) -> Study:
    (study,) = studies(runs)
    return study


def run(schedule: str, seed: int, draws, tokenizer: int = 0) -> Run:
    rows = rows_of(schedule, seed, draws, tokenizer)
    return Run(Path(f"{schedule}{seed}{tokenizer}"), rows, "t", seeds=Seeds(seed, tokenizer))


def test_a_model_with_five_draws_is_one_repeat():
    study = study_of([run(name, 0, range(5)) for name in SCHEDULES])
    drawn = curves(study.main, study.distance)
    assert study.seeds == [Seeds(0)] and len(study.points) == 4 * 5 * 2
    assert all(one.counts_X.tolist() == [1, 1] and not one.has_band for one in drawn)
    assert drawn[0].mean_X.tolist() == [16.0, 20.0] and drawn[0].draws_each == (5, 5)
    found = rank(drawn, bootstrap=50, seed=0)
    assert found is not None and found.order.interval is None and found.seeds == (Seeds(0),)
    assert compared(study)[2]["distance"] == 16.0 and compared(study)[2]["distance_std"] is None
    assert "means over 5 draws of its samples, so there is no band" in how_to_read(study)


def test_without_a_config_draws_are_of_the_model_that_they_name():
    study = study_of([Run(Path("wandb"), [each for name in SCHEDULES for each in rows_of(name, 0, (3, 4, 7))], "")])
    assert study.seeds == [Seeds(3)] and curves(study.main, study.distance)[0].draws_each == (3, 3)


def test_repeats_of_an_evaluation_are_draws_and_no_knob():
    rows = [row("cosine", 0, 8, fd_classifier=4.0), row("cosine", 0, 8, repeat=1, fd_classifier=6.0)]
    study = study_of([Run(Path("run"), rows, "t")])
    (one,) = curves(study.main, study.distance)
    assert (one.draws, one.mean_X.tolist(), study.axes, len(study.main)) == ((Draw(0), Draw(0, 1)), [5.0], [], 2)


def test_more_draws_of_one_model_do_not_weigh_more():
    study = study_of([run("cosine", 0, range(9)), run("cosine", 1, [1])])
    (one,) = curves(study.main, study.distance)
    assert one.values_RX[:, 0].tolist() == [18.0, 15.0] and one.mean_X[0] == 16.5 and one.draws_each == (1, 9)


def test_models_of_several_tokenizers_share_a_study():
    study = study_of([run(name, s, [s], t) for name in SCHEDULES for s in (0, 1) for t in (0, 1, 2)])
    assert study.seeds == [Seeds(s, t) for s in (0, 1) for t in (0, 1, 2)]
    text = "3 tokenizers, each with 2 training seeds, 1 draw of samples from each model, measured by one classifier"
    found = rank(curves(study.main, study.distance), bootstrap=50, seed=0)
    assert text in how_to_read(study) and text in about_deviations(study)[0]
    assert "seeds 0, 1 of tokenizer 0 and 0, 1 of tokenizer 1 and 0, 1 of tokenizer 2" in how_to_read(study)
    assert "tokenizers and within them training seeds are drawn" in order_sentences(study, found)[-1]


def test_an_effect_of_the_seed_on_all_schedules_moves_no_schedule_ahead():
    """Schedules 1 apart, and seeds 10 apart: drawn for each schedule by itself, as they were, tau has any value."""
    seeds, generator = 10.0 * np.arange(5), np.random.default_rng(0)
    fids = [row.fid for row in table3().values()]
    paired = [curve_of(np.argsort(np.argsort(fids))[i] + seeds[:, None], None, name) for i, name in enumerate(table3())]
    found = rank(paired, bootstrap=1000, seed=0)
    assert found is not None and found.order.interval == (1.0, 1.0) and found.order.p == pytest.approx(2 / 5040)
    assert found.shapes is not None and found.shapes.whole_seeds in (0, 5) and found.shapes.n_seeds == 5
    alone = np.stack([resampled([one], 1000, generator)[0][:, 0] for one in paired], axis=1)
    ranks = np.argsort(np.argsort(alone, axis=1), axis=1)
    assert np.mean((ranks == np.argsort(np.argsort(fids))).all(axis=1)) < 0.05


def test_a_seed_that_all_schedules_share_leaves_the_interval_of_tau_narrow():
    """The paper's distances, with a seed effect of 3 and noise of 0.2."""
    fids, generator = np.array([each.fid for each in table3().values()]), np.random.default_rng(0)
    values_SR = fids[:, None] + 3 * generator.normal(size=5) + 0.2 * generator.normal(size=(7, 5))
    every = [curve_of(values[:, None], None, name) for name, values in zip(table3(), values_SR, strict=True)]
    found = rank(every, bootstrap=1000, seed=0)
    assert found is not None and found.order.interval is not None and found.order.interval[0] > 0.85
    alone_BS = np.concatenate([resampled([one], 1000, generator)[0] for one in every], axis=1)
    assert percentile_interval(kendall_tau(alone_BS, fids)[1:], 5)[0] < 0.6  # as if each schedule had seeds of its own


def test_the_first_is_what_was_measured_and_the_mean_is_kept():
    curve = curve_of(np.random.default_rng(1).normal(size=(5, 3)))
    found = means(curve)
    assert found[0] == pytest.approx(curve.mean_X[0]) and found[1:].mean() == pytest.approx(found[0], abs=0.03)


def test_the_variance_is_that_of_models_and_of_draws_within_them():
    """Of means over R models drawn from R, each the mean of D draws from its D."""
    values = np.random.default_rng(2).normal(size=(6, 4)) + 3 * np.random.default_rng(3).normal(size=(6, 1))
    expected = (values.mean(axis=1).var() + values.var(axis=1).mean() / 4) / 6
    assert means(curve_of(values), 20_000)[1:].var() == pytest.approx(expected, rel=0.05)


def test_the_variance_of_several_tokenizers_is_that_of_tokenizers_and_of_seeds_within_them():
    values_TR = np.random.default_rng(4).normal(size=(4, 3)) + 2 * np.random.default_rng(5).normal(size=(4, 1))
    seeds = tuple(Seeds(s, t) for t in range(4) for s in range(3))
    expected = (values_TR.mean(axis=1).var() + values_TR.var(axis=1).mean() / 3) / 4
    assert means(curve_of(values_TR.reshape(12, 1), seeds), 20_000)[1:].var() == pytest.approx(expected, rel=0.05)


def test_a_draw_that_a_t_lacks_leaves_the_others():
    values = np.array([[[1.0, np.nan], [3.0, 5.0]], [[2.0, 7.0], [np.nan, np.nan]]])  # the second model has one draw
    curve = Curve("cosine", FD, (4.0, 8.0), (Seeds(0), Seeds(1)), (Draw(0), Draw(1)), values)
    (found,) = resampled([curve], 200, np.random.default_rng(0))
    assert found[0].tolist() == curve.mean_X.tolist() == [2.0, 6.0] and np.isfinite(found).all()
    assert {5.0, 6.0, 7.0} == set(found[:, 1].tolist())


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Of five models with three draws each; draws that count as repeats would cover far less."""
    generator, nested, pooled = np.random.default_rng(6), 0, 0
    for _ in range(100):
        values = generator.normal(size=(5, 1)) + 0.5 * generator.normal(size=(5, 3))
        low, high = percentile_interval(resampled([curve_of(values)], 200, generator)[0][1:, 0], 5)
        nested += low <= 0 <= high
        low, high = percentile_interval(resampled([curve_of(values.reshape(-1, 1))], 200, generator)[0][1:, 0], 15)
        pooled += low <= 0 <= high
    assert nested >= 88 and pooled < 80  # in percent
