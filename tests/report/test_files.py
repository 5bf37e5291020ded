"""What the report writes: tables, sentences, Markdown, CSV and figures."""

import csv
import json
import re
from pathlib import Path

import pytest
from PIL import Image

from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.published import table3
from maskgit_lab.ablation.ranking import rank
from maskgit_lab.ablation.reading import Run, find_runs, short_names
from maskgit_lab.ablation.studies import studies
from maskgit_lab.ablation.study import Study
from maskgit_lab.metrics.registry import TABLE, Metric, add
from maskgit_lab.report.agreement import MEANING, NAME, order_sentences
from maskgit_lab.report.chapters import Report, make_report
from maskgit_lab.report.csv_files import curves_csv, points_csv, table_csv
from maskgit_lab.report.files import write_report
from maskgit_lab.report.levels import how_to_read
from maskgit_lab.report.pages import html_page, markdown_page
from maskgit_lab.report.samples import encode
from maskgit_lab.report.sentences import facts, faults_of, warnings
from maskgit_lab.report.tables import external_table, papers_form, settings_table, sweet_spots
from maskgit_lab.report.words import NONE
from maskgit_lab.runs.outputs import MARK
from synthetic_runs import SCHEDULES, floors, make_everything, make_run, make_sweep, row, write_code

FILES = {"report.html", "report.md", "points.csv", "curves.csv", "table.csv", "table1.csv", "temperature.csv"}


def study_of(*rows) -> Study:
    return studies([Run(Path("run"), list(rows), "t")])[0]


def report(runs: list[Run], out: Path) -> Report:
    out.mkdir(exist_ok=True)
    return write_report(runs, studies(runs), out, bootstrap=50, seed=0)


def pages(runs: list[Run]) -> tuple[str, str]:
    """HTML and Markdown, without the figures beside them, which take most of the time."""
    every = studies(runs)
    made = make_report(runs, every, short_names(runs), bootstrap=50, seed=0)
    return html_page(made), markdown_page(made, {chapter.number: [] for chapter in made.chapters})


def read_csv(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    report(find_runs(make_everything(folder / "runs")), folder / "out")
    return folder / "out"


def test_the_table_has_ours_beside_the_papers():
    values = {0: 6.0, 1: 6.2}
    table = papers_form(study_of(*(row("cosine", seed, 8, fd_classifier=v, nll=4.0) for seed, v in values.items())))
    cells = dict(zip(table.head[2:6], table.rows[3][2:6], strict=True))
    assert table.rows[3][:2] == ["cosine", "concave"] and cells["best T"] == "8†" and cells["FD"] == "6.10 ± 0.14"
    assert cells["NLL"] == "4.00" and table.rows[3][6:] == ["10", "6.06", "181.5", "4.22"]
    assert [r[0] for r in table.rows] == [name.replace("_", " ") for name in table3()]
    assert table.rows[0][2:6] == [NONE] * 4 and table.rows[0][7] == "7.89"
    assert {(3, 7), (3, 8), (6, 9)} <= table.bold  # the paper's best FID, IS and NLL


def test_the_table_has_the_bound_where_it_was_measured():
    bounds = {"cosine": 3.2, "linear": 3.1}
    table = papers_form(study_of(*(row(name, 0, 8, nll_bound=v, nll_bound_se=0.01) for name, v in bounds.items())))
    column = table.head.index("NLL bound")
    found = {r[0]: (i, r[column]) for i, r in enumerate(table.rows)}
    assert column == 6 and found["cosine"][1] == "3.20" and found["linear"][1] == "3.10" and found["cubic"][1] == NONE
    assert (found["linear"][0], column) in table.bold and (found["cosine"][0], column) not in table.bold
    assert [n for _, n in table.groups] == [2, 5, 4] and all(len(r) == len(table.head) == 11 for r in table.rows)


def test_what_the_runs_have_cost_is_added_up(tmp_path):
    for number in (1, 2):
        run = make_run(tmp_path / f"run{number}", [row("cosine", number, 8)], grids=False)
        (run / "costs").mkdir()
        spent = {"tokenizer": {"core_hours": 0.25, "images": 100}, "evaluation": {"gpu_hours": 2.0, "core_hours": 1.0}}
        (run / "costs" / f"{number}.json").write_text(json.dumps(spent))
    for page in pages(find_runs(tmp_path)):
        text = " ".join(re.sub(r"<[^>]*>|\|", " ", page).split())
        assert "stage core-hours GPU-hours images" in text.replace("--- ---: ---: ---: ", "")
        assert "tokenizer 0.500 0.00 200" in text and "together 2.50 4.00 200" in text


def test_a_schedule_that_is_not_in_the_paper_has_a_row_without_the_papers_numbers():
    table = papers_form(study_of(row("arccos", 0, 8)))
    assert table.rows[-1][:2] == ["arccos", "not in the paper"] and table.rows[-1][6:] == [NONE] * 4


def test_sweet_spots_at_the_edge_are_marked():
    distances = {2: 9.0, 4: 5.0, 8: 6.0}
    study = study_of(*(row("cosine", 0, t, fd_classifier=v, recall=v / 10) for t, v in distances.items()))
    cells = dict(zip(sweet_spots(study).head, sweet_spots(study).rows[0], strict=True))
    assert cells["FD"] == "4 (5.00)" and cells["recall"] == "2† (0.900)"


def test_what_the_points_were_measured_with(tmp_path):
    (study,) = studies(find_runs(make_sweep(tmp_path)))
    cells = dict(settings_table(study).rows)
    assert cells["n_samples"] == "1437" and cells["features_weights"] == "9594da18959e" and cells["seeds"] == "0, 1"
    assert (cells["runs"], cells["points"], cells["version_torch"]) == ("14", "56", "2.15.0")
    assert (cells["choice_temperature (curves)"], cells["guidance (curves)"]) == ("4.5", "0")


def test_the_order_in_words():
    rows = [row(s, seed, t) for s in SCHEDULES for seed in (0, 1) for t in (4, 8)]
    study = study_of(*rows)
    text = order_sentences(study, rank(curves(study.main, study.distance), bootstrap=20, seed=0))
    assert "our order of 7 schedules" in text[0] and "95 % interval" in text[0]
    assert (
        "The intervals are expanded percentiles of a nested, paired bootstrap: 20 times, training seeds are drawn"
        in text[-1]
    )
    one = study_of(*(each for each in rows if each["seed"] == 0))
    text = order_sentences(one, rank(curves(one.main, one.distance), bootstrap=20, seed=0))
    assert "no interval, since there is one model of each schedule only" in text[0] and text[-1] == MEANING
    assert "One model of each schedule (seed 0), so there is no band" in how_to_read(
        one
    ) and "from the lowest to the highest" in how_to_read(study)
    (few,) = order_sentences(study_of(row("cosine", 0, 8)), None)
    assert few.startswith("1 of the paper's seven schedules is measured here") and "none is given" in few


def test_tau_is_one_number_with_one_name_everywhere(tmp_path):
    runs = find_runs(make_sweep(tmp_path, SCHEDULES, steps=(4, 8)))
    (study,) = studies(runs)
    ranking = rank(curves(study.main, study.distance), bootstrap=50, seed=0)
    assert ranking is not None and ranking.order.tau is not None
    tau = f"{ranking.order.tau:+.2f}"
    assert facts(study, ranking)[-1][0] == f"τ = {tau}" and facts(study, ranking)[-1][1].startswith(NAME)
    for text in pages(runs):
        text = text.replace("\\", "").replace("&#39;", "'")
        assert text.count(f"τ = {tau}") == 1 and f"(by FID in Table 3): {tau}, 95 % interval" in text
        assert MEANING in text and text.count("Kendall") == text.count(NAME) == 2


def test_tau_of_ties_is_undefined():
    study = study_of(*(row(s, 0, t, fd_classifier=5.0) for s in SCHEDULES for t in (4, 8)))
    ranking = rank(curves(study.main, study.distance), bootstrap=20, seed=0)
    assert ranking is not None and facts(study, ranking)[-1][0] == "τ undefined"
    assert order_sentences(study, ranking)[0].endswith("undefined, since one of the two orders is all ties.")


def test_seeds_of_the_samples_alone_are_named_as_such():
    study = study_of(*(row("cosine", seed, 8, model="the same") for seed in (0, 1)))
    assert "(seed 0), whose points are means over 2 draws of its samples, so there is no band" in how_to_read(study)


def test_warnings():
    study = study_of(row("cosine", 0, 8), row("linear", 0, 8, inception_score=float("nan")))
    text = " ".join(warnings(study, {Path("run"): "run"}))
    assert "FD is from 1,437 samples instead of 50,000" in text
    assert "exponential, cubic, square, square root, logarithmic are not measured" in text
    assert "Only T = 8 was measured" in text and "1 value of the rows is not finite" in text
    rows = [row(s, 0, t, n_samples=50000) for s in SCHEDULES for t in (4, 8)]
    more = [row("cosine", 0, 4, n_samples=50000, choice_temperature=9.0, guidance=2.0)]
    assert "1 point in points.csv but in no figure" in " ".join(warnings(study_of(*rows, *more), {Path("run"): "run"}))
    whole = studies([Run(Path("run"), [*rows, *floors(n_samples=50000)], "t", settings={"depth": 4})])[0]
    assert warnings(whole, {Path("run"): "run"}) == []


def test_warnings_about_held_out_images():
    def said(*others, **shared):
        return " ".join(warnings(study_of(row("cosine", 0, 8, **shared), *others), {Path("run"): "run"}))

    assert "Held-out images were not measured here" in said() and "Held-out images" not in said(*floors())
    fewer = said(*floors(n_samples=360))
    assert "reconstructions are 360, and samples 1,437" in fewer and "eval.n_samples=360" in fewer
    saw = {"features_saw_reference": True}
    assert "The extractor was trained on the images of the reference" in said(*floors(**saw), **saw)


def test_tables_end_with_what_real_images_reach():
    study = study_of(row("cosine", 0, 4), row("cosine", 0, 8), *floors())
    assert papers_form(study).rows[-2:] == [
        ["held-out images", "n = 1,437", NONE, "0.600", "9.00", *[NONE] * 5],
        ["reconstructions", "n = 1,437", NONE, "1.45", "8.80", *[NONE] * 5],
    ]
    spots = sweet_spots(study)
    floor_names = ["held-out images", "reconstructions", "classifier on real images"]
    assert [line[0] for line in spots.rows] == ["cosine", *floor_names]
    assert spots.rows[1][spots.head.index("FD")] == "0.600" and spots.rows[3][spots.head.index("CAS")] == "0.980"
    last = list(csv.DictReader(table_csv([study]).splitlines()))[-1]
    assert (last["source"], last["distance"], last["schedule"]) == ("reconstructions", "1.45", "")


def test_the_files_that_are_written(out):
    assert {path.name for path in out.iterdir() if path.name != MARK} == FILES | {"figures"}
    figures = {path.name for path in (out / "figures").iterdir()}
    parts = ("-choice_temperature", "-guidance", "-surface-choice_temperature-cosine", "-surface-guidance-linear")
    for part in ("", *parts, "-decode_schedule"):
        assert {f"1-digits-classifier-1437{part}.{form}" for form in ("png", "svg")} <= figures
    assert {f"1-digits-classifier-1437-samples-{name}.png" for name in SCHEDULES} <= figures


def test_every_link_of_the_markdown_is_a_file(out):
    text = (out / "report.md").read_text()
    links = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text)
    assert len(links) == 6 + 7 and all((out / link).is_file() for link in links)
    assert "| cosine | concave | 8 | **7.61 ± 0.04**" in text and "(by FID in Table 3): +1.00" in text


def test_the_csv_files_hold_every_row_and_every_point(out):
    points, drawn, table = (read_csv(out / name) for name in ("points.csv", "curves.csv", "table.csv"))
    assert len(points) == 56 + 12 + 12 + 84 + 14 * 2 and points[0]["run"] == "schedule_cosine+seed_0"
    assert float(points[0]["fd_classifier"]) == row("cosine", 0, 2)["fd_classifier"]
    assert len(drawn) == 7 * 4 * 5 and {line["seeds"] for line in drawn} == {"2"}
    cosine = next(line for line in table if line["schedule"] == "cosine")
    assert float(cosine["distance"]) == pytest.approx(7.61, abs=0.01) and cosine["paper_distance"] == "6.06"


def test_the_page_needs_nothing_but_itself(out):
    page = (out / "report.html").read_text()
    own = page.replace(re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0], "")  # Plotly names its makers
    assert page.count("Plotly.react") >= 1 and len(page) < 8e6
    assert "http://" not in own and "https://" not in own and 'src="figures' not in own
    specs = json.loads(re.findall(r'id="figures">(.*?)</script>', page, re.DOTALL)[0])
    assert {"study-1-fd_classifier", "study-1-paper", "study-1-recall", "study-1-guidance-recall"} <= specs.keys()
    assert {"study-1-surface-choice_temperature-cosine", "study-1-surface-guidance-linear-surface"} <= specs.keys()


def test_studies_are_kept_apart(tmp_path):
    make_sweep(tmp_path / "runs" / "digits", ("cosine", "linear"))
    other = {"data": "cifar10", "reference": "cifar10-train", "features": "inception", "fid": 9.0, "n_samples": 50000}
    make_run(tmp_path / "runs" / "cifar", [row("cosine", 0, t, **other) for t in (4, 8)])
    external = {"samples": "a.npz", "n_samples": 24, "features": "inception", "fid": 3.0}
    make_run(tmp_path / "runs" / "external", [row("cosine", 0, 8)])
    with (tmp_path / "runs" / "external" / "results.jsonl").open("a") as file:
        file.write(json.dumps(external) + "\n")
    runs = find_runs(tmp_path / "runs")
    every = studies(runs)
    assert [(study.data, study.distance.label) for study in every] == [("digits", "FD"), ("cifar10", "FID")]
    for page in pages(runs):
        assert "External images" in page and "a.npz" in page
    assert pages(runs)[0].count('<section class="study"') == 4
    lines = csv.DictReader(points_csv(every, runs, short_names(runs)).splitlines())
    assert {line["study"] for line in lines} == {"0", "1", "2"}


def test_every_study_has_the_same_title_everywhere(tmp_path):
    for depth in (4, 8):
        make_run(tmp_path / str(depth), [row("cosine", 0, t, model=str(depth)) for t in (4, 8)], depth=depth)
    runs = find_runs(tmp_path)
    every = studies(runs)
    plain = "digits, classifier features, 1,437 samples, reference digits-train"
    titles = [f"{plain}, depth=4", f"{plain}, depth=8"]
    page, text = pages(runs)
    assert re.findall(r"<h2>(.*?)</h2>", page) == [*titles, "In the form of the paper&#39;s Table 1"]
    assert re.findall(r'<li><a href="#study-\d">(.*?)</a>', page) == titles
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [*titles, "In the form of the paper's Table 1"]
    for content in (points_csv(every, runs, short_names(runs)), curves_csv(every), table_csv(every)):
        assert list(dict.fromkeys(line["title"] for line in csv.DictReader(content.splitlines()))) == titles


def test_debug_runs_are_kept_out_of_the_headline_and_come_last(tmp_path):
    tries = [row("linear", s, t, model="try", data="tries", debug="tiny") for s in (0, 1, 2) for t in (2, 4, 8)]
    make_run(tmp_path / "a", tries)
    make_run(tmp_path / "b", [row("cosine", 0, t) for t in (4, 8)])
    page, text = pages(find_runs(tmp_path))
    for each in (page, text):
        assert "MaskGIT ablations: digits" in each and "MaskGIT ablations: digits, tries" not in each
        assert "2 points of 1 run. 9 points of debug runs are in the last chapters." in each
        assert "These are debug runs (tiny): their numbers say nothing about the schedules." in each
    assert re.findall(r"<h2>(.*?),", page) == ["digits", "Debug runs (tiny): tries"]
    only = pages([run for run in find_runs(tmp_path) if run.path.name == "a"])[1]
    assert "MaskGIT ablations: tries" in only and "9 points of 1 run." in only


def test_older_code_reused_rows_and_seeds_that_are_left_out_are_warned_of(tmp_path):
    make_run(tmp_path / "a", [row("cosine", 0, t, code="old") for t in (4, 8)])
    first, second = ([row("cosine", seed, t, code="new", reused_code="old") for t in (4, 8)] for seed in (0, 1))
    make_run(tmp_path / "b", [*first, row("cosine", 0, 16, code="new")])
    make_run(tmp_path / "c", second)
    write_code(tmp_path / "b", {"old": {"decoding/parallel.py": "1"}, "new": {"decoding/parallel.py": "2"}})
    for each in pages(find_runs(tmp_path)):
        assert "measured by older code than the current ones: decoding/parallel.py differs" in each
        assert "4 of 5 points were measured by earlier code and reused" in each.replace("\\", "")
        assert "cosine: seeds 0, 1 at T = 4, 8 and seed 0 at T = 16" in each
        assert each.index("4 of 5 points") < each.index("older code than the current ones")


def test_names_cannot_break_page_or_table(tmp_path):
    evil = "</script><b>|x"
    runs = [Run(tmp_path / evil, [row("cosine", 0, t, data=evil) for t in (4, 8)], "t")]
    page, text = pages(runs)
    assert "<b>|x" not in page and page.count("</script>") == 3
    assert r"\</script>\<b>\|x" in text


def test_a_cut_line_and_an_unfinished_run_are_on_the_page(tmp_path):
    run = make_run(tmp_path / "runs" / "cut", [row("cosine", 0, t) for t in (4, 8)], done=False)
    with (run / "results.jsonl").open("a") as file:
        file.write('{"steps": 16')
    for text in pages(find_runs(tmp_path / "runs")):
        assert "1 line of the results of cut could not be read" in text and "Run cut: unfinished" in text


def test_an_earlier_report_is_replaced_and_other_files_stay(tmp_path):
    runs = find_runs(make_sweep(tmp_path / "runs", ("cosine",), steps=(4, 8)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    report(runs, tmp_path / "out")
    first = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    report(runs, tmp_path / "out")
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == first
    assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"


def test_pictures_are_made_to_fit(tmp_path):
    noise = Image.effect_noise((2400, 2000), 100).convert("RGB")
    noise.save(tmp_path / "large.png", compress_level=1)
    noise.resize((96, 80)).save(tmp_path / "small.png")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    small, large = encode(tmp_path / "small.png", 300_000), encode(tmp_path / "large.png", 100_000)
    assert small is not None and (small[0], small[2]) == ("png", (96, 80))
    assert large is not None and large[0] == "webp" and len(large[1]) <= 100_000
    assert encode(tmp_path / "broken.png", 300_000) is None


def test_rows_that_do_not_identify_their_point_are_counted():
    runs = [Run(Path("run"), [row("cosine", 0, 4), row("cosine", -1, 8)], "t")]
    assert "1 row of the results of run left out" in faults_of(runs, {Path("run"): "run"})[0]


def test_a_metric_of_ones_own_has_a_column_and_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("maskgit_lab.metrics.registry.TABLE", dict(TABLE))
    add(Metric("sharpness", "sharp", "max", title="Sharpness"))
    rows = [row("cosine", 0, t, sharpness=float(t)) for t in (2, 4, 8)]
    external = {"samples": "a.npz", "n_samples": 24, "sharpness": 3.0}
    assert sweet_spots(study_of(*rows)).head[-1] == "sharp"
    assert external_table([("run", external)]).head[-1] == "sharpness"
    drawn = csv.DictReader(curves_csv([study_of(*rows)]).splitlines())
    assert [line["mean"] for line in drawn if line["metric"] == "sharpness"] == ["2.0", "4.0", "8.0"]
