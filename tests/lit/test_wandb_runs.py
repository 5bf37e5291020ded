"""Rows of results read back from W&B, held against a stand-in for its server."""

import json

import pytest

from maskgit_lab.errors import UserError
from maskgit_lab.lit.loggers.base import Described
from maskgit_lab.lit.loggers.group import logging
from maskgit_lab.lit.wandb_runs import default_entity, logged_runs, read_rows
from maskgit_lab.runs.results import identity
from maskgit_lab.settings import LoggerConf
from wandb_server import ENTITY, ServedRun, in_use, serving


def row(steps: int, seed: int, **more) -> dict:
    settings = {"model": f"m{seed}", "schedule": "cosine", "decode_schedule": "cosine", "steps": steps, "seed": seed}
    decoding = {
        "choice_temperature": 25.0,
        "guidance": 0.0,
        "own_knob": 3.0,
        "is_own": True,
        "n_samples": 2000,
        "features": "inception",
    }
    kid = {"kid_subsets": 100, "kid_subset_size": 1000, "neighbours": 3, "splits": 1, "nll_draws": 1}
    measured = {"fid": 12.0 / steps, "recall": 1.0, "images_per_second": 64.0, "version_torch": "2.15.0"}
    return settings | decoding | kid | measured | more


def served(name: str, group: str | None, rows: list[dict]) -> ServedRun:
    """As W&B keeps it: whole numbers lose their point, and other things are logged before, between and after."""
    whole = [{k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in r.items()} for r in rows]
    points = [{f"eval/{key}": value for key, value in r.items()} for r in whole]
    table = {"eval/points": {"_type": "table-file", "nrows": len(rows)}, "eval/steps": 8}
    history = [{"mvtm/loss": 1.0}, *points, {"tokenizer/rfd": 2.0}, table]
    return ServedRun(name, "lab-project", group=group, history=[{"_step": i, **h} for i, h in enumerate(history)])


FIRST, SECOND, OTHER = [row(4, 0), row(8, 0)], [row(4, 1), row(8, 1)], [row(8, 2, choice_temperature=4.5)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving("lab-project", "empty") as server:
        runs = [served("a1", "sweep", FIRST), served("a2", "sweep", [*SECOND, SECOND[0]]), served("a3", None, OTHER)]
        server.runs |= {run.name: run for run in runs}
        with in_use(server.environment, tmp_path_factory.mktemp("home")):
            yield server


def text_of(rows: list[dict]) -> str:
    """Unequal for 4 and 4.0, unlike the rows themselves."""
    return json.dumps(rows, sort_keys=True)


def test_rows_come_back_as_they_were_measured_each_point_once(server):
    rows = read_rows("lab-project", ENTITY)
    assert text_of(rows) == text_of([*FIRST, *SECOND, *OTHER])
    assert [identity(r) for r in rows] == [identity(r) for r in [*FIRST, *SECOND, *OTHER]]


def test_what_a_logger_has_logged_comes_back_as_whole_rows(tmp_path):
    use = {"wandb": {"_target_": "lightning.pytorch.loggers.WandbLogger"}}
    changed = row(16, 0, version_torch="2.16.0")  # it went on with another version
    with serving() as server, in_use(server.environment, tmp_path):
        about = Described(name="x", job_type="train", id="r1", folder=tmp_path)
        with logging(LoggerConf(use=use, project="lab-project"), about) as logger:
            logger.lightning[0].log_metrics({"mvtm/loss": 1.0}, step=9)
            for each in (*FIRST, changed):
                logger.point(each)
            logger.points([*FIRST, changed])
        read = read_rows("lab-project")
    assert text_of(read) == text_of([*FIRST, changed])


def test_rows_of_one_sweep(server):
    assert text_of(read_rows("lab-project", group="sweep")) == text_of([*FIRST, *SECOND])


def test_a_point_that_was_measured_again_is_there_as_it_was_last(server):
    again = row(8, 0, fid=1.25, version_torch="2.16.0")
    server.runs["a4"] = served("a4", "again", [FIRST[1], again])
    assert text_of(read_rows("lab-project", group="again")) == text_of([again])
    del server.runs["a4"]


def test_runs_are_found_by_their_ids(server):
    found = logged_runs("lab-project", ENTITY, ["a1", "a3", "elsewhere"])
    assert found == {"a1": "sweep", "a3": None}
    assert default_entity() == ENTITY and default_entity("team") == "team"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"project": "missing"}, "returns no runs of the project lab/missing"),
        ({"project": "empty"}, "the W&B project lab/empty has no points"),
        ({"project": "lab-project", "group": "g"}, "lab/lab-project, group g has no points"),
    ],
)
def test_what_is_not_there_gives_one_sentence(server, asked, sentence):
    with pytest.raises(UserError, match=sentence):
        read_rows(**asked)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"WANDB_API_KEY": ""}, "no account: `wandb login` adds one"),
        ({"WANDB_API_KEY": "short"}, "the API key is not valid"),
        ({"WANDB_MODE": "offline"}, "because of WANDB_MODE"),
        ({"WANDB_BASE_URL": "http://127.0.0.1:9"}, r"no connection to 127\.0\.0\.1"),
    ],
)
def test_without_an_account_or_a_server_the_error_names_what_is_missing(change, sentence, tmp_path):
    with serving("lab-project") as server, in_use(server.environment | change, tmp_path):
        with pytest.raises(UserError, match=sentence) as caught:
            read_rows("lab-project")
        assert "wandb login" in str(caught.value) and "\n" not in str(caught.value)


def test_an_account_that_the_server_does_not_know(tmp_path):
    with serving("lab-project") as server, in_use(server.environment, tmp_path):
        server.knows_key = False
        with pytest.raises(UserError, match=r"127\.0\.0\.1 does not know this account"):
            read_rows("lab-project")
