"""The content of the W&B Report that is saved, held against a stand-in for the server."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from maskgit_lab.ablation.baselines import baselines
from maskgit_lab.ablation.edits import edit_names, edit_studies, find_edits
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.reading import find_runs, short_names
from maskgit_lab.ablation.studies import studies
from maskgit_lab.errors import UserError
from maskgit_lab.report.chapters import Report, make_report
from maskgit_lab.report.editing import edit_chapters
from maskgit_lab.report.table1 import TITLE
from maskgit_lab.runs.results import RESULTS, Results
from synthetic_runs import add_edits, edit_row
from wandb_server import ENTITY, ServedRun, in_use, serving

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")

PROJECT = "lab-project"
SCHEDULES = ("cosine", "linear", "square_root")


def add_run(folder: Path, schedule: str, seed: int, features: str = "classifier", temperature: float = 4.5) -> str:
    """A finished run; returns the id that it has in W&B."""
    name = f"{schedule}{seed}{features}"
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    (path / "run.json").write_text(json.dumps({"fingerprint": name, "wandb_id": f"id{name}", "done": {}}))
    distance = "fid" if features == "inception" else f"fd_{features}"
    for steps in (4, 8, 16):
        settings = {"model": name, "schedule": schedule, "decode_schedule": schedule, "steps": steps, "seed": seed}
        decoding = {"choice_temperature": temperature, "guidance": 0.0, "n_samples": 1437, "features": features}
        measured = {distance: 5.0 + seed / 10, "inception_score": 9.0, "cas_top1": 0.9, "precision": 0.7, "recall": 0.2}
        Results(path / RESULTS).append({**settings, **decoding, "data": "digits", **measured, "nll": 1.3})
    return f"id{name}"


@pytest.fixture
def server(tmp_path):
    with serving(PROJECT) as server, in_use(server.environment, tmp_path / "home"):
        yield server


def serve(server, ids, group="mask_schedule"):
    server.runs |= {name: ServedRun(name, PROJECT, group=group) for name in ids}


def publish_made(made: Report, folder: Path, **where) -> None:
    from maskgit_lab.report.wandb import publish  # not sooner: wandb-workspaces warns as it is imported

    publish(made, str(folder), **({"project": PROJECT, "entity": None, "group": None} | where))


def publish_all(folder: Path, **where) -> None:
    runs = find_runs(folder)
    known = baselines(runs)
    made = make_report(runs, studies(runs), short_names(runs), bootstrap=50, seed=0, baselines=known)
    publish_made(made, folder, **where)


def grids(server) -> list[dict]:
    (view,) = server.views
    return [b["metadata"] for b in json.loads(view["spec"])["blocks"] if b["type"] == "panel-grid"]


def panels(grid: dict, kind: str) -> list[dict]:
    return [p["config"] for p in grid["panelBankSectionConfig"]["panels"] if p["viewType"] == kind]


def chosen(grid: dict) -> tuple[str, list[str]]:
    ((condition,),) = [runs["filters"]["filters"] for runs in grid["runSets"]]
    assert condition["op"] == "IN" and condition["key"]["section"] == "run"
    return condition["key"]["name"], condition["value"]


@pytest.fixture
def sweep(server, tmp_path):
    """A sweep of three schedules and two seeds, in W&B."""
    serve(server, [add_run(tmp_path / "runs", schedule, seed) for schedule in SCHEDULES for seed in (0, 1)])
    return tmp_path / "runs"


def test_curves_over_t_grouped_by_schedule(server, sweep, capsys):
    publish_all(sweep)
    curves, _ = grids(server)
    plots = panels(curves, "Run History Line Plot")
    keys = ["fd_classifier", "inception_score", "precision", "recall", "cas_top1"]
    assert [plot["metrics"] for plot in plots] == [[f"eval/{key}"] for key in keys]
    assert all(plot["xAxis"] == "eval/steps" and plot["xLogScale"] for plot in plots)
    assert all((plot["groupAgg"], plot["groupArea"]) == ("mean", "stddev") for plot in plots)
    (runs,) = curves["runSets"]
    assert runs["grouping"] == [{"section": "config", "name": "schedule_name.value"}]
    assert runs["project"] == {"name": PROJECT, "entityName": ENTITY, "id": "7"}
    colours = {key.rsplit(":", 1)[1]: value for key, value in curves["customRunColors"].items() if key != "ref"}
    assert colours == {"cosine": "#0072B2", "linear": "#000000", "square_root": "#56B4E9"}
    (view,) = server.views
    assert (view["projectName"], view["entityName"], view["type"]) == (PROJECT, ENTITY, "runs")
    assert "digits" in view["displayName"]
    assert f"{server.url}/{ENTITY}/{PROJECT}/reports/" in capsys.readouterr().out.replace("\n", "")


def test_samples_a_run_comparer_and_the_table(server, sweep):
    publish_all(sweep)
    _, runs = grids(server)
    (media,) = panels(runs, "Media Browser")
    assert media["mediaKeys"] == ["pictures/samples", "pictures/filling", "pictures/curve"]
    assert panels(runs, "Run Comparer") == [{"diffOnly": "split"}]
    assert runs["runSets"][0]["grouping"] == []
    (view,) = server.views
    table, order, *_ = [b["content"] for b in json.loads(view["spec"])["blocks"] if b["type"] == "markdown-block"]
    head, line, *rows = table.splitlines()
    assert head.startswith("| schedule | shape |") and "paper: FID" in head
    assert len(rows) == 7 and len({row.count("|") for row in (head, line, *rows)}) == 1
    assert any(row.startswith("| cosine | concave | ") and "5.05" in row for row in rows)
    assert order.startswith("Kendall's tau-b between our order of 3 schedules (by FD at the best T")


def test_runs_are_chosen_by_their_sweep_if_it_holds_no_others(server, sweep):
    publish_all(sweep)
    assert [chosen(grid) for grid in grids(server)] == [("group", ["mask_schedule"])] * 2


def test_runs_of_no_sweep_are_chosen_by_their_ids(server, sweep):
    serve(server, own := sorted(server.runs), group=None)
    publish_all(sweep)
    assert [chosen(grid) for grid in grids(server)] == [("name", own)] * 2


def test_studies_are_kept_apart(server, sweep):
    serve(server, [add_run(sweep, "cosine", 0, features="inception")])
    publish_all(sweep)
    of_classifier, _, of_inception, _ = grids(server)
    assert chosen(of_inception) == ("name", ["idcosine0inception"])
    assert len(chosen(of_classifier)[1]) == 6 and "idcosine0inception" not in chosen(of_classifier)[1]
    assert panels(of_inception, "Run History Line Plot")[0]["metrics"] == ["eval/fid"]


def test_studies_have_the_titles_of_the_page_and_the_filter_is_named(server, sweep):
    serve(server, [add_run(sweep, "cosine", 0, features="inception")])
    publish_all(sweep, where="data=digits")
    (view,) = server.views
    headings = [b["children"][0]["text"] for b in json.loads(view["spec"])["blocks"] if b.get("level") == 1]
    found = studies(find_runs(sweep))
    assert headings == [study.title for study in found] + [f"{TITLE}: {study.measured}" for study in found]
    assert "Filtered by data=digits." in view["description"]


def test_curves_that_differ_in_more_than_the_schedule_are_not_averaged(server, sweep):
    serve(server, [add_run(sweep, "linear", 2, temperature=10.0)])
    publish_all(sweep)
    grouping = grids(server)[0]["runSets"][0]["grouping"]
    assert [key["name"] for key in grouping] == ["schedule_name.value", "choice_temperature.value"]


def test_evaluations_are_part_of_it_under_the_ids_that_wandb_noted(server, sweep):
    for name in ("run-20250101_120000-idcosine0classifier", "offline-run-20250101_130000-later", "latest-run"):
        (sweep / "cosine0classifier" / "wandb" / name).mkdir(parents=True)
    serve(server, ["later"], group=None)
    publish_all(sweep)
    kind, ids = chosen(grids(server)[0])
    assert kind == "name" and {"idcosine0classifier", "later"} < set(ids) and len(ids) == 7


def test_runs_that_are_not_in_wandb(server, sweep, capsys):
    add_run(sweep, "cosine", 0, features="inception")
    publish_all(sweep)
    assert "left out, since none of its runs is in W&B: digits, inception" in " ".join(capsys.readouterr().out.split())
    assert len(grids(server)) == 2
    with pytest.raises(UserError, match=r"none of the runs .* is in the W&B project lab/lab-project"):
        publish_all(sweep, group="another")
    server.runs.clear()
    with pytest.raises(UserError, match="`wandb sync"):
        publish_all(sweep)


def test_a_project_that_is_not_there(server, sweep):
    with pytest.raises(UserError, match="returns no runs of the project lab/missing"):
        publish_all(sweep, project="missing")


def test_without_an_account_the_error_names_what_is_missing(tmp_path):
    add_run(tmp_path / "runs", "cosine", 0)
    with serving(PROJECT) as server, in_use(server.environment | {"WANDB_API_KEY": ""}, tmp_path / "home"):
        with pytest.raises(UserError, match="`wandb login`"):
            publish_all(tmp_path / "runs")
        assert server.views == []


def add_baseline(folder: Path, seed: int) -> str:
    """A finished autoregressive run, measured as those of `add_run`."""
    name = f"sequential{seed}"
    path = folder / name
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({"fingerprint": name, "wandb_id": f"id{name}"}))
    row = {"model": name, "order": "raster", "decoder": "autoregressive", "seed": seed, "n_samples": 1437}
    measured = {"fd_classifier": 9.0 + seed, "inception_score": 8.0, "precision": 0.6, "recall": 0.1}
    Results(path / RESULTS).append({**row, "features": "classifier", "data": "digits", **measured})
    return f"id{name}"


def texts(server) -> list[str]:
    (view,) = server.views
    return [b["content"] for b in json.loads(view["spec"])["blocks"] if b["type"] == "markdown-block"]


def test_autoregressive_models_are_in_words_above_the_curves_and_in_the_form_of_table_1(server, sweep):
    serve(server, own := [add_baseline(sweep, seed) for seed in (0, 1)], group="table1")
    publish_all(sweep)
    _, _, levels, table, notes, differences, about = texts(server)
    assert "FD, autoregressive: 9.50 (9.00 to 10.0); IS, autoregressive: 8.00" in levels
    assert "| MaskGIT, cosine | here | **5.05 ± 0.07** |" in table and "| autoregressive | here | 9.5 ± 0.7 |" in table
    assert "NLL is in nats per token" in notes and "fewer than 3" in about
    assert "| FD | -4.45 | -12.47 |" in differences
    curves, _, of_baselines = grids(server)
    assert chosen(of_baselines) == ("group", ["table1"]) and len(own) == 2
    assert chosen(curves) == ("group", ["mask_schedule"])


def test_autoregressive_runs_alone_have_a_report(server, tmp_path):
    serve(server, [add_baseline(tmp_path / "runs", 0)], group=None)
    publish_all(tmp_path / "runs")
    (only,) = grids(server)
    assert chosen(only) == ("name", ["idsequential0"]) and "| autoregressive | here | 9.00 |" in texts(server)[0]


def test_edits_are_tables_and_sentences_of_the_same_report(server, tmp_path):
    serve(server, [add_run(tmp_path / "runs", "cosine", seed) for seed in (0, 1)])
    for seed in (0, 1):
        rows = [edit_row("cosine", seed, t, hole=hole) for t in (4, 8) for hole in ("center50", "left50")]
        add_edits(tmp_path / "runs" / f"cosine{seed}classifier", rows)
    runs, edited = find_runs(tmp_path / "runs"), find_edits(tmp_path / "runs")
    every, origins = studies(runs), Origins.of([*runs, *edited])
    edits = edit_studies(edited, origins)
    made = make_report(runs, every, short_names(runs), bootstrap=10, seed=0)
    chapters = edit_chapters(edits, every, edit_names(edits), bootstrap=10, seed=0)
    publish_made(replace(made, edits=chapters), tmp_path / "runs")
    (view,) = server.views
    blocks = json.loads(view["spec"])["blocks"]
    titles = [block["children"][0]["text"] for block in blocks if block["type"] == "heading"]
    assert next(title for title in titles if "Edits" in title) == "Edits: does the paper's ablation hold?"
    assert len([title for title in titles if title.startswith("Edits: inpaint")]) == 2
    texts = [block["content"] for block in blocks if block["type"] == "markdown-block"]
    assert any("| MaskGIT | the paper | " in text for text in texts) and any("PSNR is over" in text for text in texts)
