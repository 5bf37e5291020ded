"""Curves over T: means, bands, sweet spots, and the panels and maps that are drawn from them."""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from maskgit_lab.ablation.curves import curves, distance_of, metrics_of, spread
from maskgit_lab.ablation.heats import decoupled_heat, surface_heats
from maskgit_lab.ablation.panels import curve_panels, format_value, guidance_panels, papers_panel, side_by_side
from maskgit_lab.ablation.plots import heat_spec, panel_spec, surface_spec
from maskgit_lab.ablation.published import fid_curves, table3
from maskgit_lab.ablation.runs import Run, find_runs
from maskgit_lab.ablation.studies import Study, studies
from synthetic_runs import make_everything, row


def study_of(*rows) -> Study:
    return studies([Run(Path("run"), list(rows), "t")])[0]


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Study:
    return studies(find_runs(make_everything(tmp_path_factory.mktemp("runs"))))[0]


def test_mean_band_and_sweet_spot():
    values = {0: {2: 9.0, 4: 5.0, 8: 6.0}, 1: {2: 7.0, 4: 7.0, 8: 5.0}}
    rows = [row("cosine", seed, t, fd_classifier=v) for seed, line in values.items() for t, v in line.items()]
    study = study_of(*rows)
    (curve,) = curves(study.main, distance_of(study))
    assert curve.steps == (2, 4, 8) and curve.seeds == (0, 1) and curve.has_band
    assert curve.mean_T.tolist() == [8, 6, 5.5]
    assert curve.low_T.tolist() == [7, 5, 5] and curve.high_T.tolist() == [9, 7, 6]
    assert curve.best_steps == 8 and curve.is_at_edge


def test_the_best_is_the_highest_where_higher_is_better():
    study = study_of(*(row("cosine", 0, t, precision=p) for t, p in ((2, 0.1), (4, 0.9), (8, 0.2))))
    precision = next(metric for metric in metrics_of(study) if metric.key == "precision")
    (curve,) = curves(study.main, precision)
    assert curve.best_steps == 4 and not curve.is_at_edge and not curve.has_band


def test_what_a_seed_lacks_is_no_zero():
    study = study_of(row("cosine", 0, 4), row("cosine", 1, 4, fd_classifier=float("nan")), row("cosine", 1, 8))
    (curve,) = curves(study.main, distance_of(study))
    assert curve.counts_T.tolist() == [1, 1] and np.isfinite(curve.mean_T).all()


def test_spread_needs_two_values():
    assert spread([2.0]) == (2.0, None)
    assert spread([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))


@pytest.mark.parametrize(
    ("value", "said"),
    [(6.06, "6.06"), (39.0, "39.0"), (181.5, "181.5"), (1234.5, "1234"), (99.97, "100.0"), (0, "0.00")],
)
def test_values_have_three_or_four_digits(value, said):
    assert format_value(value) == said


def test_a_panel_for_each_metric_in_the_papers_order(everything):
    panels = curve_panels(everything)
    assert [panel.y_title for panel in panels] == ["FD", "IS", "CAS", "precision", "recall"]
    assert all([line.schedule for line in panel.lines] == list(table3()) for panel in panels)
    assert panels[0].is_log_y and not panels[1].is_log_y
    assert panels[0].x_ticks == [2, 4, 8, 16]
    told = panels[0].lines[3].told[2]
    assert told[0] == "cosine, T = 8" and told[1].startswith("FD 7.6") and " to " in told[1]
    assert told[2:] == ["2 seeds: 0, 1", "n = 1,437 samples each", "its best T"]


def test_levels_to_compare_with_are_drawn_near_the_lines_and_told_elsewhere(everything):
    distance, *_, cas = curve_panels(everything)[:3]
    assert distance.floors == [] and "the tokenizer's reconstructions: 1.45" in distance.note
    assert cas.floors == [("trained on real images", pytest.approx(0.98))]
    near = curve_panels(study_of(row("cosine", 0, 8, rfd_classifier=6.0)))[0]
    assert near.floors == [("the tokenizer's reconstructions", 6.0)]


def test_the_papers_curves_are_the_published_ones_over_the_same_t(everything):
    ours, papers = side_by_side([curve_panels(everything)[0], papers_panel()])
    assert ours.x_range == papers.x_range == (2, 60) and "Another data set" in papers.note
    for line in papers.lines:
        drawn = dict(zip(line.x, line.mean, strict=True))
        assert all(drawn[t] == fid for t, fid in fid_curves()[line.schedule].items() if t != 60)
        assert line.best is not None and line.x[line.best] == table3()[line.schedule].best_steps


def test_the_surface_marks_its_best_cell(everything):
    (heat,) = surface_heats(everything)
    assert heat.x == ["2", "4", "8", "16"] and heat.y == ["1", "2", "4.5", "9"]
    best = heat.values_YX[heat.best]
    assert best == np.nanmin(heat.values_YX) and heat.sentence.startswith("Best: cosine, T = ")
    spec = surface_spec(heat)
    assert spec is not None and spec["data"][1]["z"] == [best]


def test_the_square_of_schedules_is_at_each_cells_best_t(everything):
    heat = decoupled_heat(everything)
    assert heat is not None and heat.values_YX.shape == (7, 7) and np.isfinite(heat.values_YX).all()
    assert (np.diag(heat.values_YX) == heat.values_YX.min(axis=1)).all()
    assert heat.told[3][3][:2] == ["trained cosine, decoded cosine", "FD 7.61 at T = 8"]
    assert decoupled_heat(study_of(row("cosine", 0, 8))) is None


def test_a_cell_that_was_not_measured_is_left_empty():
    rows = [row("cosine", 0, 8), row("linear", 0, 8), row("linear", 0, 8, decode_schedule="cosine")]
    heat = decoupled_heat(study_of(*rows))
    assert heat is not None and np.isnan(heat.values_YX).tolist() == [[False, True], [False, False]]
    assert heat_spec(heat)["data"][0]["z"][0][1] is None
    assert heat.cells[0][1] == "" and heat.told[0][1] == ["trained cosine, decoded linear", "not measured"]


def test_guidance_is_shown_at_the_best_t_of_each(everything):
    panels = guidance_panels(everything)
    (line,) = panels[0].lines
    assert line.schedule == "linear" and line.x == [0, 0.5, 1, 2] and line.best == 2
    assert guidance_panels(study_of(row("cosine", 0, 8))) == []


def test_plotly_takes_every_figure(everything):
    panels = [*curve_panels(everything), papers_panel(), *guidance_panels(everything)]
    heats = [*surface_heats(everything), decoupled_heat(everything)]
    specs = [panel_spec(panel) for panel in panels] + [heat_spec(heat) for heat in heats if heat is not None]
    specs += [spec for heat in heats if heat is not None and (spec := surface_spec(heat)) is not None]
    assert len(specs) == 14
    for spec in specs:
        go.Figure(spec)  # raises for a key or a value that there is not
    bands = [trace for trace in specs[0]["data"] if trace.get("fill") == "toself"]
    stars = [trace for trace in specs[0]["data"] if trace.get("marker", {}).get("symbol") == "star"]
    assert len(bands) == len(stars) == 7


def test_one_t_has_no_sweet_spot_and_no_trouble():
    panel = curve_panels(study_of(row("cosine", 0, 8)))[0]
    assert panel.lines[0].best is None and panel.x_ticks == [8]
    go.Figure(panel_spec(panel))
