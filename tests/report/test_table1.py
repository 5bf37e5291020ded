"""The form of Table 1 in the report, and the levels of autoregressive models in its figures."""

import csv
import re
from itertools import pairwise
from pathlib import Path

import plotly.graph_objects as go
import pytest

from maskgit_lab.ablation.baselines import baselines, with_baselines
from maskgit_lab.ablation.reading import Run, find_runs, short_names
from maskgit_lab.ablation.studies import studies
from maskgit_lab.commands.report import run as report
from maskgit_lab.report.chapters import make_report
from maskgit_lab.report.csv_files import points_csv, table1_csv
from maskgit_lab.report.files import write_report
from maskgit_lab.report.level_lines import Level
from maskgit_lab.report.levels import how_to_read
from maskgit_lab.report.matplotlib_figures import draw_panels
from maskgit_lab.report.pages import html_page, markdown_page
from maskgit_lab.report.panels import Panel, curve_panels, papers_panel
from maskgit_lab.report.plotly_figures import panel_spec
from maskgit_lab.report.sentences import facts
from maskgit_lab.report.table1 import ModelsChapter
from maskgit_lab.report.words import NONE, format_count, format_difference, format_mean
from maskgit_lab.settings import ReportConf
from synthetic_runs import add_rows, draw_grids, floors, make_baseline, make_run, row, sequential_row

SIZES = {"tokens": 64, "transformer": 800_000, "tokenizer": 61_000}
SEEDS = (0, 1, 2)


def of_memory(*rows) -> Run:
    return Run(Path("run"), list(rows), "t", settings={"depth": 4}, sizes=SIZES)


def panels(*rows) -> dict[str, Panel]:
    runs = [of_memory(*rows)]
    (study,) = with_baselines(studies(runs), baselines(runs))
    return {panel.metric.key: panel for panel in curve_panels(study)}


def chapter(*rows) -> ModelsChapter:
    runs = [of_memory(*rows)]
    made = make_report(runs, studies(runs), short_names(runs), bootstrap=50, seed=0, baselines=baselines(runs))
    return made.models[0]


def cells(made: ModelsChapter, model: str) -> dict[str, str]:
    (found,) = (line for line in made.table.rows if line[0] == model)
    return dict(zip(made.table.head, found, strict=True))


def both(**other) -> list[dict]:
    ours = [row("cosine", s, t, fd_classifier=6.0 + s / 10, nll_bound=3.5, **other) for s in SEEDS for t in (4, 8)]
    return [*ours, *(sequential_row(seed) for seed in SEEDS)]


def test_a_baseline_is_a_level_with_a_band_in_every_panel():
    found = panels(*both())
    levels = {key: [level.text for level in panel.levels] for key, panel in found.items()}
    assert levels["fd_classifier"] == ["autoregressive: 10.5 (10.0 to 11.0)"]
    assert levels["cas_top1"] == ["classifier on real images: 0.980", "autoregressive: 0.910 (0.900 to 0.920)"]
    assert levels["recall"] == ["autoregressive: 0.500"]  # the same for all seeds
    assert levels["nll_bound"] == ["autoregressive: 3.10 exact (3.00 to 3.20)"]
    bound = found["nll_bound"]
    assert "the same at every T: lower is better" in bound.note and all(line.best is None for line in bound.lines)
    assert "nll_bound" not in panels(*both()[:6])  # without a baseline, its panel would be of flat lines alone


def test_levels_that_are_far_away_are_written_below_the_title():
    rows = [row("cosine", 0, t) for t in (4, 8)]
    panel = panels(*rows, *(sequential_row(seed, fd_classifier=1000.0 + seed) for seed in SEEDS))["fd_classifier"]
    assert panel.levels == [] and panel.note.endswith("autoregressive: 1001 (1000 to 1002)") and panel.far
    recall = panels(row("cosine", 0, 8, recall=0.1), sequential_row(0, recall=0.9), *floors(recall=0.95))["recall"]
    assert [level.value for level in recall.levels] == [0.95, 0.95, 0.9]  # of which only the baseline's is compared


def test_every_way_of_decoding_has_a_look_of_its_own():
    rows = [row("cosine", 0, 8), sequential_row(0), sequential_row(0, top_k=9), sequential_row(0, temperature=0.5)]
    looks = [level.style for level in panels(*rows)["fd_classifier"].levels]
    assert len(set(looks)) == 3 and not any(look.marker for look in looks)


def test_the_papers_baseline_stands_beside_its_curves_where_ours_does():
    assert papers_panel().levels == []
    (level,) = papers_panel(with_baseline=True).levels
    assert level.text == "autoregressive: 18.65" and not level.has_band


def test_plotly_draws_line_and_band_across_the_axis_and_no_text_on_them():
    panel = panels(*both())["fd_classifier"]
    band, line, *_ = panel_spec(panel)["data"]
    assert set(band["y"]) == {10.0, 11.0} and band["fill"] == "toself" and line["y"] == [10.5, 10.5]
    assert line["x"][0] < 4 and line["x"][1] > 8 and "text" not in line
    one = panel_spec(panels(row("cosine", 0, 8), sequential_row(0))["fd_classifier"])["data"][0]
    assert one["x"][0] < 8 < one["x"][1]  # with one T, too
    go.Figure(panel_spec(panel))


def test_matplotlib_writes_names_in_the_legend_and_values_beside_the_axes(tmp_path):
    draw_panels(list(panels(*both()).values()), "title", tmp_path / "panels")
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / "panels.svg").read_text())
    assert texts.count("autoregressive") == 1 and {"10.5", "0.910", "3.10 exact"} <= set(texts)


def test_values_beside_the_axes_do_not_lie_on_each_other(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **options: drawn.append(figure))
    draw_panels([panels(*both(), *floors(fd_classifier=10.49))["fd_classifier"]], "title", tmp_path / "panels")
    heights = sorted(text.xy[1] for text in drawn[0].axes[0].texts)
    assert len(heights) == 3 and all(b - a >= 0.059 for a, b in pairwise(heights))


def test_the_opening_says_what_the_levels_are():
    runs = [of_memory(*both())]
    (study,) = with_baselines(studies(runs), baselines(runs))
    assert "A horizontal line is an autoregressive model, which has no T" in how_to_read(study)
    assert ("FD 10.5", "autoregressive, seeds 0, 1, 2") in facts(study, None)


def test_rows_are_in_the_form_of_the_papers_table_beside_the_papers_own():
    made = chapter(*both())
    assert made.title == "digits, classifier features, 1,437 samples, reference digits-train"
    ours = cells(made, "MaskGIT, cosine")
    assert (ours["from"], ours["FD (paper: FID)"], ours["steps"], ours["seeds"]) == ("here", "6.10 ± 0.10", "4†", "3")
    assert (ours["parameters"], ours["NLL"], ours["s/image"]) == ("861k", "≤ 3.50", NONE)
    theirs = cells(made, "autoregressive")
    assert (theirs["FD (paper: FID)"], theirs["CAS top-1"]) == ("10.5 ± 0.5", "0.910 ± 0.010")
    assert (theirs["steps"], theirs["NLL"], theirs["s/image"]) == ("64", "3.10 ± 0.10", "0.0200")
    paper = cells(made, "VQGAN (same hyper-parameters)")
    assert list(paper.values()) == [
        *("VQGAN (same hyper-parameters)", "the paper", "18.65", "80.4", "0.78", "0.26", "0.531", "0.762"),
        *("227M", "256", NONE, NONE, NONE),
    ]
    assert cells(made, "ADM")["from"] == "quoted there" and cells(made, "Real data")["CAS top-1"] == "0.766"
    assert (0, 2) in made.table.bold and (1, 2) not in made.table.bold


def test_what_was_not_measured_is_a_dash():
    bare = {
        key: value for key, value in sequential_row(0).items() if not key.startswith(("cas", "nll", "decode_", "fd"))
    }
    run = Run(Path("run"), [bare], "t")
    made = make_report([run], [], {Path("run"): "run"}, bootstrap=5, seed=0, baselines=baselines([run])).models[0]
    found = cells(made, "autoregressive")
    assert [key for key, cell in found.items() if cell == NONE] == [
        *("FD (paper: FID)", "CAS top-1", "CAS top-5", "parameters", "steps", "s/image", "NLL"),
    ]


def test_a_metric_that_fewer_seeds_have_says_how_many():
    rows = both()
    for each in rows[7:]:
        del each["cas_top1"]
    assert cells(chapter(*rows), "autoregressive")["CAS top-1"] == "0.900 (1 seed)"


def test_of_as_many_tokens_as_the_papers_larger_images_it_has_their_rows():
    run = Run(Path("run"), [sequential_row(0)], "t", sizes=SIZES | {"tokens": 1024})
    made = make_report([run], [], {Path("run"): "run"}, bootstrap=5, seed=0, baselines=baselines([run])).models[0]
    assert cells(made, "MaskGIT")["FD (paper: FID)"] == "7.32" and cells(made, "autoregressive")["steps"] == "1,024"
    assert "ImageNet 512 x 512" in " ".join(made.notes)


def test_the_difference_stands_beside_the_papers_with_its_interval():
    made = chapter(*both())
    assert made.differences.head == [
        *("", "cosine, T = 4 minus autoregressive", "the paper: MaskGIT minus VQGAN (same hyper-parameters)"),
    ]
    found = {line[0]: line[1:] for line in made.differences.rows}
    assert found["FD"][0].startswith("-4.40 [-4.8") and found["FD"][1] == "-12.47"  # 6.1 - 10.5
    assert found["CAS top-1"][1] == "+0.100"
    assert "Differences are means over seeds 0, 1, 2, which both have" in made.about_differences[0]
    assert "50 times" in made.about_differences[0] and "3 training seeds of one tokenizer" in made.about_differences[0]
    two = chapter(*(each for each in both() if each["seed"] < 2))
    assert two.differences.rows[0][1] == "-4.20" and "fewer than 3" in two.about_differences[0]
    assert chapter(*both()[:6]).differences.rows == []  # without a baseline


def test_the_notes_say_what_the_spread_and_the_seconds_are():
    text = " ".join(chapter(*both()).notes)
    assert "± is the standard deviation over models: 3 training seeds of one tokenizer, each with 1 draw" in text
    assert "timed on cpu, threads: 1, images at once: 64" in text and "at choice temperature 4.5" in text
    assert "FD is from 1,437 samples instead of 50,000" in text
    others = [*both(decode_seconds_per_image=0.01, timed_on="NVIDIA H100, images at once: 64")]
    assert "different hardware" in " ".join(chapter(*others).notes)


def test_a_baseline_that_no_curve_shows_is_named(tmp_path):
    make_run(tmp_path / "a", [row("cosine", 0, 8)], grids=False)
    make_baseline(tmp_path / "b", [sequential_row(0)])
    config = tmp_path / "b" / "config.yaml"
    config.write_text(config.read_text().replace("codebook_size: 64", "codebook_size: 32"))
    runs = find_runs(tmp_path)
    made = make_report(runs, studies(runs), short_names(runs), bootstrap=5, seed=0, baselines=baselines(runs))
    assert "In no curve: autoregressive, since no MaskGIT model here has the same tokens" in made.models[0].notes[-1]
    assert made.chapters[0].study.baselines == [] and made.models[0].differences.rows == []


@pytest.fixture
def alone(tmp_path) -> Path:
    """Autoregressive runs alone: one with a grid, one with damaged rows, one that has not ended."""
    for seed in SEEDS:
        path = make_baseline(tmp_path / "runs" / f"seed{seed}", [sequential_row(seed)])
        add_rows(path, floors())
    draw_grids(tmp_path / "runs" / "seed0", [sequential_row(0)])
    with (tmp_path / "runs" / "seed1" / "results.jsonl").open("a") as file:
        file.write('{"order": 5, "n_samples": 10}\n{"order": "ras')
    (tmp_path / "runs" / "seed2" / "run.json").write_text('{"autoregressive": {}}')
    return tmp_path / "runs"


def test_a_folder_of_autoregressive_runs_alone_has_its_chapter(alone, tmp_path):
    runs = find_runs(alone)
    known = baselines(runs)
    made = write_report(runs, studies(runs), tmp_path / "out", bootstrap=5, seed=0, baselines=known)
    assert made.title == "Autoregressive models: digits" and made.chapters == [] and not made.external.rows
    assert made.opening.startswith("3 points of autoregressive models, which have no T, of 3 runs.")
    assert made.models[0].warnings == ["Run seed2: unfinished: its evaluation is not marked as done."]
    assert [fault.split(" of the results")[0] for fault in made.faults] == ["1 line", "1 row"]
    page, text = ((tmp_path / "out" / name).read_text() for name in ("report.html", "report.md"))
    assert page.count('<section class="study"') == 1 and "seed 0</figcaption>" in page
    assert "| autoregressive | here | 10.5 ± 0.5 |" in text and "| held-out images | here | 0.600 |" in text
    (picture,) = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text)
    assert (tmp_path / "out" / picture).is_file()


def test_the_csv_files_have_every_model_and_every_row():
    runs = [of_memory(*both(), *floors())]
    made = make_report(runs, studies(runs), short_names(runs), bootstrap=5, seed=0, baselines=baselines(runs))
    found = {line["model"]: line for line in csv.DictReader(table1_csv(made.models).splitlines())}
    ours, theirs, paper = (found[name] for name in ("MaskGIT, cosine", "autoregressive", "MaskGIT"))
    assert (theirs["distance"], theirs["distance_std"], theirs["distance_models"]) == ("10.5", "0.5", "3")
    assert (theirs["steps"], theirs["transformer_parameters"], theirs["nll_is_bound"]) == ("64", "800000", "False")
    assert ours["nll_is_bound"] == "True" and ours["timed_on"] == "" and ours["decode_seconds_per_image"] == ""
    assert (paper["distance"], paper["from"], paper["cas_top1"]) == ("6.18", "MaskGIT Table 1", "0.6314")
    rows = list(csv.DictReader(points_csv(studies(runs), runs, short_names(runs), baselines(runs)).splitlines()))
    assert sum(line["order"] == "raster" and line["study"] == "0" for line in rows) == 3


def test_both_pages_and_the_console_have_it(tmp_path, capsys):
    for seed in SEEDS:
        make_run(tmp_path / "runs" / f"a{seed}", [row("cosine", seed, 8)], grids=False)
        make_baseline(tmp_path / "runs" / f"b{seed}", [sequential_row(seed)])
    report(ReportConf(runs=str(tmp_path / "runs"), out=str(tmp_path / "out"), bootstrap=50))
    said = capsys.readouterr().out
    assert "1 study, 1 baseline" in said and "In the form of the paper's Table 1" in said
    assert "MaskGIT minus its autoregressive baseline" in said and "autoregressive" in said
    page, text = ((tmp_path / "out" / name).read_text() for name in ("report.html", "report.md"))
    assert '<p class="levels"><span><svg' in page and "autoregressive: 10.5 (10.0 to 11.0)" in page
    assert 'href="#table-1"' in page and "## In the form of the paper's Table 1" in text
    assert (tmp_path / "out" / "table1.csv").is_file()


def test_pages_without_a_baseline_have_the_table_and_no_difference():
    runs = [of_memory(row("cosine", 0, 8))]
    made = make_report(runs, studies(runs), short_names(runs), bootstrap=5, seed=0)
    for page in (html_page(made), markdown_page(made, {1: []})):
        assert "MaskGIT, cosine" in page and "minus" not in page.split("VQGAN", 1)[1][:3000]


@pytest.mark.parametrize(
    ("n", "text"), [(950, "950"), (4331, "4.33k"), (860_000, "860k"), (226_980_000, "227M"), (13_500_000_000, "13.5B")]
)
def test_parameters_are_written_as_the_paper_does(n, text):
    assert format_count(n) == text


def test_differences_have_signs_and_equal_values_no_deviation():
    assert (
        format_difference(-1.204, (-2.0, 0.41)) == "-1.20 [-2.00, +0.410]"
        and format_difference(101.7, None) == "+101.7"
    )
    assert format_mean(0.99, 1e-17) == "0.990" and format_mean(6.1, 0.14) == "6.10 ± 0.14"


def test_a_level_without_a_band_is_one_number():
    (level,) = papers_panel(with_baseline=True).levels
    assert isinstance(level, Level) and (level.low, level.high) == (18.65, 18.65)
