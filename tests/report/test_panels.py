"""Panels and maps, and what Plotly is given of them."""

import re
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure

from maskgit_lab.ablation.published import fid_curves, table3
from maskgit_lab.ablation.reading import Run, find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import TABLE, Metric, add
from maskgit_lab.report.maps import Map, all_maps
from maskgit_lab.report.matplotlib_figures import draw_map, draw_panels
from maskgit_lab.report.panels import curve_panels, knob_panels, papers_panel, side_by_side
from maskgit_lab.report.plotly_figures import map_spec, panel_spec, surface_spec
from maskgit_lab.report.styles import PAPERS, styles
from maskgit_lab.report.words import format_value
from synthetic_runs import floors, make_everything, row


def study_of(*rows) -> Study:
    return studies([Run(Path("run"), list(rows), "t")])[0]


def maps_of(study: Study) -> dict[str, Map]:
    return {drawn.key: drawn for drawn in all_maps(study)}


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Study:
    return studies(find_runs(make_everything(tmp_path_factory.mktemp("runs"))))[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(6.06, "6.06"), (39.0, "39.0"), (181.5, "181.5"), (1234.5, "1234"), (99.97, "100.0"), (0, "0.00")],
)
def test_values_have_three_or_four_digits(value, text):
    assert format_value(value) == text


def test_a_panel_for_each_metric_in_the_papers_order(everything):
    panels = curve_panels(everything)
    assert [panel.metric.label for panel in panels] == ["FD", "IS", "precision", "recall", "CAS"]
    assert all([line.curve.schedule for line in panel.lines] == list(table3()) for panel in panels)
    assert panels[0].is_log_y and not panels[1].is_log_y
    assert panels[0].x_ticks == [2, 4, 8, 16]
    hover = panels[0].lines[3].hover[2]
    assert hover[0] == "cosine, T = 8" and hover[1].startswith("FD 7.6") and " to " in hover[1]
    assert hover[2:] == ["2 seeds: 0, 1", "n = 1,437 samples each", "its best T"]


def test_levels_to_compare_with_are_drawn_near_the_lines_and_written_elsewhere(everything):
    distance, *_, cas = curve_panels(everything)
    assert [level.text for level in distance.levels] == ["held-out images: 0.600", "reconstructions: 1.45"]
    assert [level.text for level in cas.levels] == ["classifier on real images: 0.980"]
    far = curve_panels(study_of(row("cosine", 0, 8), *floors(fd_classifier=0.01)))[0]
    assert far.levels == [] and "held-out images: 0.0100; reconstructions: 0.0100" in far.note


def test_every_metric_that_held_out_images_have_shows_theirs(everything):
    by_label = {panel.metric.label: [level.name for level in panel.levels] for panel in curve_panels(everything)}
    both = ["held-out images", "reconstructions"]
    assert by_label == {
        **dict.fromkeys(("FD", "IS", "precision", "recall"), both),
        "CAS": ["classifier on real images"],
    }


def test_held_out_images_of_another_number_are_written_with_it_and_not_drawn():
    panel = curve_panels(study_of(row("cosine", 0, 8), *floors(n_samples=360)))[0]
    assert panel.levels == [] and "held-out images (n = 360): 0.600; reconstructions (n = 360): 1.45" in panel.note


def test_held_out_images_against_another_reference_are_no_floor():
    panel = curve_panels(study_of(row("cosine", 0, 8), *floors(reference="elsewhere")))[0]
    assert panel.levels == [] and "held-out" not in panel.note


def test_the_papers_curves_are_the_published_ones_over_the_same_t(everything):
    ours, papers = side_by_side([curve_panels(everything)[0], papers_panel()])
    assert ours.x_range == papers.x_range == (2, 60) and "Another data set" in papers.note
    for line in papers.lines:
        drawn, name = dict(zip(line.curve.x, line.curve.mean_X, strict=True)), line.curve.schedule
        assert all(drawn[t] == fid for t, fid in fid_curves()[name].items() if t != 60)
        assert line.best is not None and line.curve.x[line.best] == table3()[name].best_steps


def test_every_knob_has_a_map_over_t_that_marks_its_best_cell(everything):
    maps = maps_of(everything)
    assert list(maps) == ["surface-choice_temperature-cosine", "surface-guidance-linear", "decode_schedule"]
    drawn = maps["surface-choice_temperature-cosine"]
    assert drawn.x == ["2", "4", "8", "16"] and drawn.y == ["1", "2", "4.5", "9"]
    best = drawn.values_YX[drawn.best]
    assert best == np.nanmin(drawn.values_YX) and drawn.note.startswith("Best: cosine, T = ")
    assert drawn.y_title == "choice temperature" and "choice temperature = 4.5" in drawn.note
    spec = surface_spec(drawn)
    assert spec is not None and spec["data"][1]["z"] == [best]


def test_the_square_of_schedules_is_at_each_cells_best_t(everything):
    drawn = maps_of(everything)["decode_schedule"]
    assert drawn.values_YX.shape == (7, 7) and np.isfinite(drawn.values_YX).all()
    assert (np.diag(drawn.values_YX) == drawn.values_YX.min(axis=1)).all()
    assert drawn.cells[3][3].hover[:2] == ["trained cosine, decoding schedule cosine, T = 8", "FD 7.58"]
    assert drawn.cells[3][3].text == "7.58\nT 8" and len(map_spec(drawn)["layout"]["shapes"]) == 7
    assert maps_of(study_of(row("cosine", 0, 8))) == {}


def test_the_square_compares_the_seeds_that_all_its_cells_have(everything):
    """Two schedules that differ were decoded with the first seed alone."""
    drawn = maps_of(everything)["decode_schedule"]
    assert {cell.hover[-1] for line in drawn.cells for cell in line} == {"1 seed"}
    assert drawn.note.endswith(" All cells are of seed 0, which they share.")
    rows = [row("cosine", 0, 8), row("cosine", 1, 8, decode_schedule="linear")]
    assert maps_of(study_of(*rows))["decode_schedule"].note.endswith(" The cells share no seed.")


def test_the_star_of_a_line_is_where_the_tables_have_its_best_t():
    """T = 16 was measured with the luckier seed alone."""
    values = {(0, 4): 8.0, (1, 4): 6.0, (0, 8): 7.0, (1, 8): 5.0, (1, 16): 5.5}
    study = study_of(*(row("cosine", seed, t, fd_classifier=v) for (seed, t), v in values.items()))
    (line,) = curve_panels(study)[0].lines
    assert line.curve.x == (4, 8, 16) and line.curve.mean_X.tolist() == [7, 6, 5.5] and line.best == 1
    assert line.hover[1][-1] == "its best T" and line.hover[2][-1] != "its best T"


CONSTANT = {"fd_classifier": 3.5, "inception_score": 9.0, "precision": 0.0, "recall": 1.0, "cas_top1": 0.98 + 1e-16}


def test_an_axis_of_equal_values_stays_close_to_them(tmp_path, monkeypatch):
    panels = curve_panels(study_of(*(row("cosine", 0, t, **CONSTANT) for t in (2, 4, 8))))
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **options: drawn.append(figure))
    draw_panels(panels, "title", tmp_path / "panels")
    for panel, axes in zip(panels, drawn[0].axes, strict=False):
        low, high = panel_spec(panel)["layout"]["yaxis"]["range"]
        value = CONSTANT[panel.metric.key]
        assert low < value < high and high - low <= max(0.11 * value, 0.11)
        assert axes.get_ylim() == pytest.approx((low, high)) and len(axes.get_yticks()) > 2
    _, scores, *_, cas = curve_panels(study_of(row("cosine", 0, 8), row("cosine", 0, 4)))
    assert scores.y_room is None and "range" not in panel_spec(scores)["layout"]["yaxis"]
    assert [level.value for level in cas.levels] == [0.98]
    assert panel_spec(cas)["layout"]["yaxis"]["range"][1] > 0.98  # so that the level does not lie on the frame


def test_a_map_with_holes_or_few_points_is_no_surface(tmp_path):
    rows = [row("cosine", 0, t, choice_temperature=c) for t in (4, 8, 16) for c in (1.0, 4.5, 9.0)]
    (whole,) = all_maps(study_of(*rows))
    (holed,) = all_maps(study_of(*(each for each in rows if (each["steps"], each["choice_temperature"]) != (8, 9.0))))
    (small,) = all_maps(study_of(*(each for each in rows if each["steps"] != 8)))
    assert whole.is_surface and surface_spec(whole) is not None and whole.note.endswith("1 seed.")
    for each in (holed, small):
        assert not each.is_surface and surface_spec(each) is None
    assert holed.note.endswith("1 of 9 cells were not measured (–).")  # noqa: RUF001
    cells, holes = map_spec(holed)["data"]
    assert cells["z"][2][1] is None and "zsmooth" not in cells and "connectgaps" not in cells
    assert (holes["x"], holes["y"], holes["text"]) == (["8"], ["9"], ["–"])  # noqa: RUF001
    assert "not measured" in holes["hovertext"][0] and len(map_spec(whole)["data"]) == 1
    go.Figure(map_spec(holed))
    draw_map(holed, "title", tmp_path / "map")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / "map.svg").read_text())
    assert texts.count("–") == 1  # noqa: RUF001


def test_a_cell_that_was_not_measured_is_left_empty():
    rows = [row("cosine", 0, 8), row("linear", 0, 8), row("linear", 0, 8, decode_schedule="cosine")]
    drawn = maps_of(study_of(*rows))["decode_schedule"]
    assert np.isnan(drawn.values_YX).tolist() == [[False, True], [False, False]]
    assert map_spec(drawn)["data"][0]["z"][0][1] is None
    assert drawn.cells[0][1].text == ""
    assert drawn.cells[0][1].hover == ["trained cosine, decoding schedule linear", "not measured"]


def test_a_knob_that_is_a_word_has_a_map_and_no_axis():
    rows = [row(s, 0, t, decoder=d) for s in ("cosine", "linear") for t in (4, 8) for d in ("maskgit", "halton")]
    study = study_of(*rows, row("cosine", 1, 4, decoder="maskgit"))
    drawn = maps_of(study)["decoder"]
    assert (drawn.x, drawn.y, drawn.numbers) == (["halton", "maskgit"], ["cosine", "linear"], None)
    assert study.axes == [] and surface_spec(drawn) is None


def test_every_knob_has_panels_at_the_best_t_of_each_value(everything):
    panels = knob_panels(everything, "guidance")
    (line,) = panels[0].lines
    assert panels[0].key == "guidance-fd_classifier" and panels[0].x_title == "guidance (each at its best T)"
    assert line.curve.schedule == "linear" and line.curve.x == (0, 0.5, 1, 2) and line.best == 2
    assert line.hover[2][0] == "linear, guidance = 1, T = 16" and line.hover[2][-1] == "its best guidance"
    (line,) = knob_panels(everything, "choice_temperature")[0].lines
    assert line.curve.schedule == "cosine" and line.curve.x == (1, 2, 4.5, 9)


def test_a_metric_of_ones_own_has_a_panel(monkeypatch):
    monkeypatch.setattr("maskgit_lab.metrics.registry.TABLE", dict(TABLE))
    add(Metric("sharpness", "sharpness", "max", title="Sharpness"))
    add(Metric("colour", "colour", title="Colour"))
    *_, sharpness, colour = curve_panels(study_of(*(row("cosine", 0, t, sharpness=t, colour=t) for t in (4, 8))))
    assert (sharpness.title, sharpness.note, sharpness.lines[0].best) == ("Sharpness", "sharpness: higher is better", 1)
    assert (colour.title, colour.note, colour.lines[0].best) == ("Colour", "colour", None)


def test_plotly_takes_every_figure(everything):
    panels = [*curve_panels(everything), papers_panel()]
    panels += [panel for knob in everything.axes for panel in knob_panels(everything, knob)]
    maps = all_maps(everything)
    specs = [panel_spec(panel) for panel in panels] + [map_spec(drawn) for drawn in maps]
    specs += [spec for drawn in maps if (spec := surface_spec(drawn)) is not None]
    assert len(specs) == 6 + 10 + 3 + 2
    for spec in specs:
        go.Figure(spec)  # raises for a key or a value that there is not
    bands = [trace for trace in specs[0]["data"] if trace.get("fill") == "toself" and "legendgroup" in trace]
    stars = [trace for trace in specs[0]["data"] if trace.get("marker", {}).get("symbol") == "star"]
    assert len(bands) == len(stars) == 7


def test_a_long_title_is_wrapped_to_its_figure(everything, tmp_path):
    title = "digits, classifier features, 1,437 samples, measured by older code (parallel.py), code=a1b2c3"
    draw_map(all_maps(everything)[0], title, tmp_path / "map")
    svg = (tmp_path / "map.svg").read_text()
    assert title not in svg and "code=a1b2c3" in svg and "digits, classifier features, 1,437 samples" in svg


def test_one_t_has_no_sweet_spot():
    panel = curve_panels(study_of(row("cosine", 0, 8)))[0]
    assert panel.lines[0].best is None and panel.x_ticks == [8]
    go.Figure(panel_spec(panel))


def test_each_schedule_has_a_look_of_its_own():
    looks = styles([*table3(), "arccos", "mine"])
    assert len({look.colour for look in PAPERS.values()}) == len({look.marker for look in PAPERS.values()}) == 7
    assert len({(look.colour, look.marker) for look in looks.values()}) == 9
    assert looks["cosine"] == styles(["cosine"])["cosine"]
