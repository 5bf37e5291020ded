"""The choice temperature in the report: best T over it, and the table of each schedule at its own."""

import csv
import io

import pytest

from maskgit_lab.ablation.reading import find_runs, short_names
from maskgit_lab.ablation.studies import studies
from maskgit_lab.report.chapters import make_report
from maskgit_lab.report.csv_files import table_csv, temperature_csv
from maskgit_lab.report.matplotlib_figures import draw_panels
from maskgit_lab.report.pages import html_page, markdown_page
from maskgit_lab.report.plotly_figures import panel_spec
from synthetic_runs import add_rows, make_sweep, row

STEPS = (2, 4, 8, 16)
GRID = (1.0, 4.5, 9.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The report of three schedules at 4.5, of which two have another temperature too, chosen on other samples."""
    folder = make_sweep(tmp_path_factory.mktemp("runs"), ("cosine", "linear", "square_root"), (0, 1), STEPS)
    other = {"purpose": "choice", "n_samples": 64, "labels": "few"}
    for name, best in (("cosine", 4.5), ("linear", 9.0)):
        drawn = [
            row(name, 0, t, choice_temperature=c, fd_classifier=1 + abs(c - best) + abs(t - 2 * c), **other)
            for c in GRID
            for t in STEPS
        ]
        add_rows(folder / f"schedule_{name}+seed_0" / "temperature", drawn)
    for seed in (0, 1):
        add_rows(
            folder / f"schedule_linear+seed_{seed}", [row("linear", seed, t, choice_temperature=9.0) for t in STEPS]
        )
    runs = find_runs(folder)
    every = studies(runs)
    return every, make_report(runs, every, short_names(runs), bootstrap=20, seed=0)


def test_both_readings_are_tables_with_their_temperatures(made):
    every, report = made
    own = report.chapters[0].own
    assert own.shared == "All schedules at one choice temperature, 4.5."
    at = own.table.head.index("temp.")
    found = {cells[0]: cells[at] for cells in own.table.rows}
    assert (found["cosine"], found["linear"]) == ("4.5", "9") and found["square root"] == found["cubic"]
    assert sum(n for _, n in own.table.groups) == len(own.table.head) == len(report.chapters[0].table.head) + 1
    text = " ".join(own.notes)
    assert "cosine 4.5, linear 9" in text and "They were chosen on samples of seed 0 that are drawn for that" in text
    assert "Left out, since measured at one temperature: square root" in text
    for page in (html_page(report), markdown_page(report, {1: []})):
        assert "Each schedule at its own choice temperature" in page and own.notes[0] in page
    rows = [r for r in csv.DictReader(io.StringIO(table_csv(every))) if r["distance"]]
    both = {(r["reading"], r["schedule"]): r["choice_temperature"] for r in rows}
    assert both["one temperature", "linear"] == "4.5" and both["own temperature", "linear"] == "9.0"


def test_best_t_over_the_temperature_has_rings_at_the_edge(made, tmp_path):
    every, report = made
    steps, distance = report.chapters[0].choices
    cosine = next(line for line in steps.lines if line.curve.schedule == "cosine")
    assert cosine.curve.x == GRID and cosine.curve.mean_X.tolist() == [2, 8, 16]
    assert cosine.ringed == (0, 2) and "at the edge of the T that were measured" in cosine.hover[0][1]
    assert next(line for line in distance.lines if line.curve.schedule == "cosine").curve.mean_X[1] == 2.0
    spec = panel_spec(steps)
    rings = [trace["x"] for trace in spec["data"] if trace.get("marker", {}).get("symbol") == "circle-open"]
    assert [1.0, 9.0] in rings and spec["layout"]["yaxis"]["tickvals"] == [2, 4, 8, 16]
    assert draw_panels([steps, distance], "title", tmp_path / "drawn").is_file()
    rows = list(csv.DictReader(io.StringIO(temperature_csv(every))))
    edge = {r["temperature"]: r["at_edge"] for r in rows if (r["schedule"], r["samples"]) == ("cosine", "choice")}
    assert edge == {"1.0": "True", "4.5": "False", "9.0": "True"}


def test_without_several_temperatures_there_is_neither(tmp_path):
    runs = find_runs(make_sweep(tmp_path, ("cosine", "linear", "square"), (0,), (4, 8)))
    (chapter,) = make_report(runs, studies(runs), short_names(runs), bootstrap=20, seed=0).chapters
    assert chapter.own is None and not chapter.choices
