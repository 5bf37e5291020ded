"""The chapters of edits on the page, in Markdown, on the terminal and as files."""

import csv
import re
from pathlib import Path

import pytest

from maskgit_lab.ablation.edits import EditStudy, edit_studies
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.reading import Run, find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.commands.report import run as report
from maskgit_lab.report.csv_files import table_csv
from maskgit_lab.report.editing import EditChapter, edit_chapters, overview
from maskgit_lab.report.plotly_figures import panel_spec
from maskgit_lab.report.words import NONE
from maskgit_lab.settings import ReportConf
from synthetic_runs import SCHEDULES, add_edits, edit_floors, edit_row, make_run, row

RANDOM = {"choice_temperature": 1e6}
SEEDS, STEPS = (0, 1, 2), (1, 4, 8)


def chapters(*rows, samples=()) -> list[EditChapter]:
    run = Run(Path("run/editing"), list(rows), "t", settings={"depth": 4})
    plain = Run(Path("run"), list(samples), "t", settings={"depth": 4})
    runs = [plain, run]
    every: list[EditStudy] = edit_studies([run], Origins.of(runs))
    names = {run.path: "run"}
    return edit_chapters(every, studies([plain], Origins.of(runs)), names, bootstrap=20, seed=0)


def usual(schedules=("cosine", "linear"), **other) -> list[dict]:
    rows = [edit_row(name, s, t, **other) for name in schedules for s in SEEDS for t in STEPS]
    return [*rows, *(edit_row("cosine", s, t, **RANDOM, **other) for s in SEEDS for t in (4, 8)), *edit_floors(**other)]


def cells(made: EditChapter, name: str) -> dict[str, str]:
    (found,) = (line for line in made.table.rows if line[0] == name)
    return dict(zip(made.table.head, found, strict=True))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a folder in which nothing but edits was measured, of two holes."""
    folder = tmp_path_factory.mktemp("edits")
    run = make_run(folder / "runs" / "run", [row("cosine", 0, 8)], grids=False)
    (run / "results.jsonl").unlink()
    rows = [edit_row("cosine", 0, t, hole=hole) for hole in ("center50", "left50") for t in (4, 8)]
    add_edits(run, rows, grids=True)
    report(ReportConf(runs=str(folder / "runs"), out=str(folder / "out"), bootstrap=20))
    return folder / "out"


def test_the_table_has_schedules_baselines_floors_and_the_papers_rows():
    (made,) = chapters(*usual())
    assert made.table_title == "In the form of the paper's Table 2"
    assert [line[0] for line in made.table.rows] == [
        *("cosine", "linear", "cosine, random order", "cosine, one step"),
        *("pasted reconstructions", "held-out images"),
        *("MaskGIT", "DeepFill v2", "ICT", "HiFill", "CoModGAN"),
    ]
    ours, theirs = cells(made, "cosine"), cells(made, "MaskGIT")
    assert (ours["from"], ours["T"], ours["seeds"], ours["recognised"]) == ("here", "8†", "3", "0.900")
    assert (theirs["from"], theirs["FD (paper: FID)"], theirs["IS"], theirs["PSNR"]) == (
        *("the paper", "7.92", "22.95", NONE),
    )
    assert cells(made, "pasted reconstructions")["PSNR"] == "20.0"
    assert cells(made, "held-out images")["feature distance"] == NONE
    assert ours["KD x 1,000"].startswith(ours["FD (paper: FID)"][:4])  # small numbers are written large
    assert (0, 3) in made.table.bold and not any(line > 3 for line, _ in made.table.bold)


def test_the_notes_say_what_the_columns_are_and_what_cannot_be_compared():
    (made,) = chapters(*usual())
    text = " ".join(made.notes)
    assert "stands in for LPIPS, whose weights were not given" in text and "LPIPS is that of" not in text
    assert "drawn at random and not by confidence" in text and "Places2 at 512 x 512" in text
    assert "the Fréchet distance of classifier features, of digits, over 1,437 edits" in text
    (with_weights,) = chapters(edit_row("cosine", 0, 8, lpips=0.2, diversity=0.1, hole="left50"))
    assert "LPIPS is that of the edited" in " ".join(with_weights.notes)
    assert "Places2" not in " ".join(with_weights.notes) and with_weights.table.head[3] == "FD"
    assert with_weights.table_title == "Each schedule at its best T"


def test_curves_have_a_line_for_random_order_and_the_floors_as_levels():
    (made,) = chapters(*usual())
    panels = {panel.metric.key: panel for panel in made.panels}
    assert {"fd_classifier", "psnr", "feature_distance", "feature_diversity", "sample_accuracy"} <= panels.keys()
    assert [line.curve.schedule for line in panels["psnr"].lines] == ["cosine", "linear", "cosine, random order"]
    assert len(set(made.looks.values())) == 3
    levels = [level.text for level in panels["fd_classifier"].levels]
    assert levels == ["held-out images: 0.600", "pasted reconstructions: 0.800"]
    assert (
        panels["psnr"].levels[0].style == panels["fd_classifier"].levels[1].style
    )  # a floor looks the same everywhere
    names = {trace.get("legendgroup") for trace in panel_spec(panels["psnr"])["data"]}
    assert "cosine, random order" in names
    assert panels["psnr"].x_range == (1, 8)


def test_the_answers_compare_with_baselines_samples_and_the_paper():
    samples = [row(name, s, t) for name in SCHEDULES for s in SEEDS for t in STEPS]
    (made,) = chapters(*usual(SCHEDULES), samples=samples)
    at_random, in_one, as_samples, as_paper = made.answers
    assert at_random.startswith("FD of cosine at T = 8 minus FD of filling the hole in random order")
    assert "3 training seeds of one tokenizer" in at_random and "does not hold 0" in at_random
    assert "in one step" in in_one
    assert (
        "between the order of 7 schedules by edits and by 1,437 plain samples" in as_samples and "+1.00" in as_samples
    )
    assert "(FID in Table 3): +" in as_paper
    assert made.order.head[:4] == ["schedule", "T, edits", "FD, edits", "T, samples"] and len(made.order.rows) == 7
    assert ("cosine, T = 8†", "the lowest FD: 1.26") in made.facts


def test_without_samples_or_with_few_schedules_the_answers_say_so():
    (made,) = chapters(*usual())
    assert made.answers[-1].startswith("Fewer than three of the paper's schedules")
    assert made.order.head == ["schedule", "T, edits", "FD, edits", "T, paper", "FID, paper"]
    (alone,) = chapters(edit_row("cosine", 0, 8))
    assert not alone.order.rows
    (decoded,) = chapters(*(edit_row("cosine", 0, 8, decode_schedule=name) for name in SCHEDULES))
    assert "differ in that of the decoding alone" in decoded.answers[0]
    assert "not measured alike" in decoded.answers[1] and "(FID in Table 3)" in decoded.answers[2]


def test_models_of_several_schedules_that_were_decoded_with_others_have_a_map():
    rows = [
        edit_row(name, 0, t, decode_schedule=other)
        for name in ("cosine", "linear")
        for other in SCHEDULES
        for t in (4, 8)
    ]
    (made,) = chapters(*rows)
    (drawn,) = made.maps
    assert (drawn.key, len(drawn.y), len(drawn.x)) == ("decode_schedule", 2, 7)
    assert [line.curve.schedule for line in made.panels[0].lines] == ["cosine", "linear"]


def test_edits_that_were_all_filled_in_random_order_are_said_to_be():
    (made,) = chapters(*(edit_row("cosine", 0, t, **RANDOM) for t in (4, 8)))
    assert made.warnings[-1].startswith("All of these edits were filled in random order")


def test_one_step_that_is_best_is_said_to_be():
    (made,) = chapters(*(edit_row("cosine", 0, t, fd_classifier=float(t)) for t in (1, 8)))
    assert made.answers[0] == "Of cosine, no T that was measured is better than one step."


def test_samples_that_were_decoded_otherwise_are_compared_and_the_difference_is_named():
    samples = [row(name, 0, 8, choice_temperature=2.0) for name in SCHEDULES]
    (made,) = chapters(*(edit_row(name, 0, 8) for name in SCHEDULES), samples=samples)
    assert "other settings (edits and samples): choice temperature 4.5 and 2.0" in made.answers[0]


def test_the_overview_has_a_row_for_each_task_and_hole():
    rows = [
        *usual(),
        *usual(task="outpaint", hole="right50"),
        edit_row("cosine", 0, 8, fd_classifier=float("nan"), grow=1),
    ]
    found = overview(chapters(*rows))
    assert [line[0].split(",")[0] for line in found.rows] == [
        "outpaint right50",
        "inpaint center50",
        "inpaint center50",
    ]
    first, _, last = found.rows
    assert first[1:3] == ["cosine, T = 8†", "1.26"] and first[5:7] == ["0.800", "0.600"]
    assert last[1:3] == [NONE, NONE]  # since its distance is no number


def test_a_folder_of_edits_alone_has_a_page_of_its_own(page):
    text = (page / "report.html").read_text()
    assert "<h1>MaskGIT edits: digits</h1>" in text and "4 points of edits, of 1 run, in 2 chapters." in text
    assert 'id="edits-1"' in text and "Edits: does the paper's ablation hold?" in text.replace("&#39;", "'")
    figures = set(re.findall(r'data-figure="(edits-[^"]*)"', text))
    assert figures and all(f'"{name}"' in text for name in figures)
    assert "cosine, T = 8, seed 0" in text  # the picture of its best T
    assert "table2.csv" in text


def test_markdown_has_the_same_with_figures_that_exist(page):
    text = (page / "report.md").read_text()
    assert "## Edits: inpaint center50, digits" in text and "| MaskGIT | the paper |" in text
    paths = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text)
    assert "figures/edits-1.png" in paths and "figures/edits-2-pictures-cosine.png" in paths
    assert all((page / path).is_file() for path in paths) and (page / "figures" / "edits-1.svg").is_file()


def test_numbers_are_written_as_csv(page):
    rows = list(csv.DictReader((page / "table2.csv").read_text().splitlines()))
    ours = [one for one in rows if one["from"] == "here"]
    assert [(one["task"], one["hole"], one["steps"]) for one in ours] == [
        ("inpaint", "center50", "8"),
        ("inpaint", "left50", "8"),
    ]
    assert float(ours[0]["distance"]) == pytest.approx(edit_row("cosine", 0, 8)["fd_classifier"])
    paper = next(one for one in rows if one["from"] == "the paper")
    assert (paper["row"], paper["distance"], paper["metric"]) == ("MaskGIT", "7.92", "fid")
    points = list(csv.DictReader((page / "points.csv").read_text().splitlines()))
    assert [(one["hole"], one["steps"]) for one in points] == [(h, t) for h in ("center50", "left50") for t in "48"]
    curves = list(csv.DictReader((page / "curves.csv").read_text().splitlines()))
    assert {one["study"] for one in curves} == {"0"} and "psnr" in {one["metric"] for one in curves}


def test_edits_beside_samples_leave_their_chapters_as_they_are(command, tmp_path, monkeypatch):
    for module in ("files", "editing"):  # drawing would take most of the time
        monkeypatch.setattr(f"maskgit_lab.report.{module}.draw_panels", lambda panels, title, path: path)
    run = make_run(tmp_path / "runs" / "run", [row("cosine", 0, t) for t in (4, 8)], grids=False)
    folder = add_edits(run, [edit_row("cosine", 0, t) for t in (4, 8)])
    with (folder / "results.jsonl").open("a") as file:
        file.write('{"cut')
    said = command("report", "runs=runs", "out=out", "bootstrap=20")
    assert said.code == 0, said.err
    assert "2 points of 1 run, 1 chapter" in said.out
    assert "1 line of the results of run could not be read" in said.out
    assert (tmp_path / "out" / "table.csv").read_text() == table_csv(studies(find_runs(run)))
    assert "2 points of edits: a chapter of their own." in (tmp_path / "out" / "report.md").read_text()
