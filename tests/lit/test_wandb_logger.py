"""What W&B is sent of a run, held against a stand-in for its server."""

import json
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from maskgit_lab.lit.loggers import wandb as wandb_logger
from maskgit_lab.lit.loggers.base import Described
from maskgit_lab.lit.loggers.group import logging as logging_to
from maskgit_lab.lit.loggers.wandb import curve_settings, in_wandb_sweep
from maskgit_lab.runs.results import Results, grid_path
from maskgit_lab.runs.run import NoLogger
from maskgit_lab.sampling.drawing import draw_tiles
from maskgit_lab.settings import LoggerConf
from wandb_server import WandbServer, in_use, serving

SETTINGS = {
    "schedule": "cosine",
    "decoder": "maskgit",
    "decode_schedule": "cosine",
    "choice_temperature": 4.5,
    "guidance": 0.0,
    "seed": 1,
}
MEASURED = [(4, 4.7, 9.2), (8, 4.2, 9.6), (16, 4.4, 9.5)]
ROWS = [
    {**SETTINGS, "n_samples": 1437, "features": "classifier", "kid_subsets": 10, "nll_draws": 8, "steps": steps}
    | {"fd_classifier": fd, "kd_classifier_std": 0.1, "inception_score": score, "nll": 1.3, "version_torch": "2.15.0"}
    for steps, fd, score in MEASURED
]


USE = {"wandb": {"_target_": "lightning.pytorch.loggers.WandbLogger"}}
ABOUT = {"name": "schedule=cosine seed=1", "job_type": "train", "id": "r1"}


def logging(folder, id="r1", say=print, **conf):
    settings = LoggerConf(**{"use": USE, "project": "lab-project", "group": "mask_schedule"} | conf)
    config = curve_settings(SETTINGS) | {"decode": {"choice_temperature": 4.5}}
    return logging_to(settings, Described(**ABOUT | {"id": id}, folder=folder, config=config, say=say))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A run that was interrupted after its second point and went on."""
    folder = tmp_path_factory.mktemp("wandb")
    with serving() as server, in_use(server.environment, folder):
        with pytest.raises(KeyboardInterrupt), logging(folder) as first:
            assert len(first.lightning) == 1
            first.earlier(ROWS[:1])
            first.point(ROWS[1])
            raise KeyboardInterrupt
        with logging(folder) as second:
            second.earlier(ROWS[:2])  # which are there
            second.point(ROWS[2])
            second.points(ROWS)
        yield server


def defined(server: WandbServer, key: str) -> dict:
    """What `define_metric` said of a key; W&B numbers the metrics, and the fields of what is said of each."""
    metrics = server.runs["r1"].config["_wandb"]["m"]
    (found,) = [metric for metric in metrics if metric.get("1") == key]
    return {"step": metrics[found["5"] - 1]["1"]}


def test_a_run_has_its_sweep_its_verb_and_its_overrides(server):
    run = server.runs["r1"]
    assert (run.group, run.job_type, run.display_name) == ("mask_schedule", "train", "schedule=cosine seed=1")
    assert run.project == "lab-project" and list(server.runs) == ["r1"]
    assert run.config["schedule_name"] == run.config["decode_schedule_name"] == "cosine"


def test_the_best_value_is_the_summary_and_t_is_the_axis(server):
    summary = server.runs["r1"].summary
    assert summary["eval/fd_classifier"] == {"min": 4.2} and summary["eval/inception_score"] == {"max": 9.6}
    assert summary["eval/nll"] == {"min": 1.3}
    assert (summary["best/fd_classifier"], summary["best/fd_classifier_T"]) == (4.2, 8)
    assert (summary["best/inception_score"], summary["best/inception_score_T"]) == (9.6, 8)
    for key in ("fd_classifier", "inception_score", "nll"):
        assert defined(server, f"eval/{key}")["step"] == "eval/steps"


def test_what_all_points_share_is_in_the_config_and_no_panel(server):
    points = [row for row in server.runs["r1"].history if "eval/nll" in row]
    assert {key for point in points for key in point if key.startswith("eval/")} == {
        f"eval/{key}" for key in ("steps", "fd_classifier", "kd_classifier_std", "inception_score", "nll")
    }
    shared = server.runs["r1"].config["measured_with"]
    logged = [{key.removeprefix("eval/"): value for key, value in p.items() if key.startswith("eval/")} for p in points]
    assert [shared | point for point in logged] == ROWS


def test_the_curves_are_drawn_over_t_on_a_logarithmic_axis(server):
    (figure,) = [json.loads(file) for name, file in server.runs["r1"].files.items() if "plotly/eval/curves" in name]
    assert figure["layout"]["xaxis"]["type"] == "log" and figure["layout"]["xaxis"]["ticktext"] == ["4", "8", "16"]
    assert figure["data"][0]["x"] == [4, 8, 16] and figure["data"][0]["y"] == [4.7, 4.2, 4.4]


def test_the_table_has_each_point_once_although_the_run_was_resumed(server):
    (table,) = [json.loads(file) for name, file in server.runs["r1"].files.items() if "table/eval/points" in name]
    rows = [dict(zip(table["columns"], cells, strict=True)) for cells in table["data"]]
    assert rows == ROWS
    assert server.runs["r1"].summary["eval/points"]["nrows"] == 3


def test_points_that_were_measured_by_different_metrics_share_the_table(server, tmp_path):
    rows = [{**ROWS[0], "guidance": 0}, {**ROWS[1], "cas_top1": 0.9, "guidance": 0.5}]
    with logging(tmp_path, id="r2") as logger:
        logger.points(rows)
    (table,) = [json.loads(file) for name, file in server.runs["r2"].files.items() if "table/eval/points" in name]
    told = [dict(zip(table["columns"], cells, strict=True)) for cells in table["data"]]
    assert [row["cas_top1"] for row in told] == [None, 0.9] and [row["guidance"] for row in told] == [0, 0.5]
    del server.runs["r2"]


def test_a_server_that_goes_away_does_not_hold_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(wandb_logger, "FINISH_SECONDS", 1)
    said, stop = [], ExitStack()
    server = stop.enter_context(serving())
    with in_use(server.environment, tmp_path):
        with logging(tmp_path, say=said.append, log_model=True) as logger:
            logger.point(ROWS[0])
            stop.close()
            logger.points(ROWS)
            logger.checkpoints([Path(__file__)])
            start = time.perf_counter()
        assert time.perf_counter() - start < 12
        (folder,) = (tmp_path / "wandb").glob("run-*-r1")
    assert ["W&B does not answer (no connection to 127.0.0.1)" in said[0], len(said)] == [True, 2]
    assert said[1].endswith(f"sends the rest later, and so does `wandb sync --include-online {folder}`")


def test_checkpoints_and_samples_are_artifacts_if_asked_for(tmp_path):
    (tmp_path / "last.ckpt").write_bytes(b"weights")
    grid = grid_path(tmp_path, ROWS[0])
    draw_tiles(torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8), grid)
    for log_model in (False, True):
        with serving() as server, in_use(server.environment, tmp_path):
            with logging(tmp_path, log_model=log_model, tags=["a", "b"], notes="why") as logger:
                logger.checkpoints([tmp_path / "last.ckpt"])
                logger.points(ROWS)
            kinds = [artifact["artifactTypeName"] for artifact in server.artifacts]
        assert {"model", "samples"} <= set(kinds) if log_model else not {"model", "samples"} & set(kinds)
        assert (server.runs["r1"].tags, server.runs["r1"].notes) == (["a", "b"], "why")


def test_an_agents_run_is_the_agents(tmp_path):
    agents = {"WANDB_SWEEP_ID": "swp", "WANDB_RUN_ID": "chosen", "WANDB_PROJECT": "of-the-sweep"}
    with serving() as server, in_use(server.environment | agents, tmp_path):
        assert in_wandb_sweep()
        with logging(tmp_path, group=None) as logger:
            logger.point(ROWS[0])
        (run,) = server.runs.values()
    assert (run.name, run.project, run.sweep, run.group) == ("chosen", "of-the-sweep", "swp", "swp")
    assert run.display_name == "schedule=cosine seed=1" and run.job_type == "train"


def test_an_agent_gets_the_points_of_a_finished_evaluation(command, run, tiny_cache, tmp_path):
    asked = [f"checkpoint={run}", "decode.steps=[2, 3]", "eval.n_samples=20", "eval.metrics=[fid]", "trainer=cpu"]
    asked.append(f"cache_dir={tiny_cache}")
    assert command("evaluate", *asked, "logger=none").code == 0
    before = Results(run / "results.jsonl").rows()
    with serving() as server:
        agents = {"WANDB_SWEEP_ID": "swp", "WANDB_RUN_ID": "chosen"}
        with in_use(server.environment | agents, tmp_path / "home"):
            said = command("evaluate", *asked)
            assert (said.code, said.err) == (0, "")
        logged = server.runs["chosen"]
    assert [row["eval/steps"] for row in logged.history if "eval/fd_classifier" in row] == [2, 3]
    config = logged.config
    assert logged.job_type == "evaluate" and config["schedule_name"] == "cosine"
    assert (config["decode"]["steps"], config["eval"]["n_samples"], config["data"]["size"]) == ([2, 3], 20, 16)
    assert not {"run", "logger", "run_dir", "seed_fingerprint"} & config.keys() and config["model"] == "maskgit"
    assert config["measured_with"]["n_samples"] == 20 and logged.display_name.startswith("checkpoint=run decode.steps=")
    assert Results(run / "results.jsonl").rows() == before  # measured once


def test_a_finished_evaluation_that_wandb_was_not_given_is_sent_by_the_same_command(
    command, run, tiny_cache, tmp_path, monkeypatch
):
    asked = [f"checkpoint={run}", "decode.steps=[2, 3]", "eval.n_samples=20", "eval.metrics=[fid]", "trainer=cpu"]
    asked += [f"cache_dir={tiny_cache}", "logger=wandb"]
    with serving() as server, in_use(server.environment, tmp_path):
        with monkeypatch.context() as broken:
            broken.setattr(wandb_logger.wandb.Run, "log", lambda *arguments: 1 / 0)
            first = command("evaluate", *asked)
        second = command("evaluate", *asked)
        (logged,) = server.runs.values()
    assert (first.code, second.code) == (0, 0)
    assert first.out.count("W&B does not answer (division by zero): the run continues without it") == 1
    assert [row["eval/steps"] for row in logged.history if "eval/fd_classifier" in row] == [2, 3]
    assert not list(run.glob("wandb/open-*")) and "W&B" not in second.out


@pytest.mark.parametrize("how", [{"WANDB_MODE": "disabled"}, {}])
def test_without_wandb_nothing_is_kept(tmp_path, how):
    mode = {} if how else {"mode": "none"}
    with in_use(how, tmp_path), logging(tmp_path, **mode) as logger:
        assert isinstance(logger, NoLogger) and not logger.lightning
        logger.earlier(ROWS)
        logger.point(ROWS[0])
        logger.points(ROWS)
        logger.scores("tokenizer", {"mse": 0.1})
        logger.pictures({})
    assert not list(tmp_path.rglob("offline-run-*"))


def test_the_decoders_own_settings_are_plain_keys_of_the_config():
    row = {**ROWS[0], "decoder": "mine", "knob": 2.5}
    assert curve_settings(row) == {
        **{"schedule_name": "cosine", "decode_schedule_name": "cosine"},
        **{"choice_temperature": 4.5, "guidance": 0.0, "knob": 2.5},
    }


def test_the_server_leaves_no_thread():
    before = threading.active_count()
    with serving() as server:
        assert server.url
    assert threading.active_count() == before
