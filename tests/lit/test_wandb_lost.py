"""What W&B loses, by a kill or without its server, and how it is sent again."""

import csv
import re
import shutil
import struct
import time

import pytest
import wandb

from maskgit_lab import ranks
from maskgit_lab.errors import UserError
from maskgit_lab.lit.loggers import group, wandb_connection, wandb_service, wandb_start
from maskgit_lab.lit.loggers.base import Described
from maskgit_lab.lit.loggers.wandb import WandbRun
from maskgit_lab.lit.loggers.wandb_connection import why_unreachable
from maskgit_lab.lit.loggers.wandb_folders import FILE_HEADER, Folders
from maskgit_lab.lit.loggers.wandb_guard import Guard
from maskgit_lab.lit.loggers.wandb_history import AXIS, History, is_logged, training_rows
from maskgit_lab.runs.run import NoLogger
from maskgit_lab.settings import LoggerConf
from wandb_server import in_use, serving

STEPS = range(400)  # more than a block of a log
USE = {"wandb": {"_target_": "lightning.pytorch.loggers.WandbLogger"}}
ROWS = [{"steps": steps, "seed": 1, "n_samples": 10, "fd_classifier": 8.0 / steps, "nll": 1.5} for steps in (2, 4, 8)]


def logging(folder, mode="auto", say=print):
    about = Described(
        name="x", job_type="train", id="r1", folder=folder, say=say, history=folder / "metrics.csv", config={}
    )
    return group.logging(LoggerConf(use=USE, project="lab", mode=mode), about)


def numbers(step):
    return {
        "mvtm/loss": 1 / (step + 1),
        "lr-AdamW": 0.1,
        "epoch": 0,
        **({"mvtm/val_nll": 2.0} if step % 100 == 99 else {}),
    }


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a run that was killed once everything was measured, with all of its log."""
    folder = tmp_path_factory.mktemp("killed")
    with in_use({}, folder), logging(folder, "offline") as logger:
        for step in STEPS:
            logger.lightning[0].log_metrics(numbers(step), step)
        for row in ROWS:
            logger.point(row)
        until = time.monotonic() + 20
        while time.monotonic() < until and not any(
            row.get("eval/steps") == 8 for row in Folders(folder, "r1").history()
        ):
            time.sleep(0.1)
        wandb_service._service_process().kill()
    with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [{"stage": "mvtm", "step": step, **numbers(step)} for step in STEPS]
        rows = [{("mvtm/lr-AdamW" if key == "lr-AdamW" else key): value for key, value in row.items()} for row in rows]
        writer = csv.DictWriter(file, list(rows[99]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving() as server, in_use(server.environment, tmp_path_factory.mktemp("home")):
        yield server


def copy(killed, tmp_path, size=None):
    """The same folder with its log cut short."""
    folder = tmp_path / "run"
    shutil.copytree(killed, folder, symlinks=True)
    (log,) = folder.glob("wandb/offline-run-*/*.wandb")
    log.write_bytes(log.read_bytes()[:size])
    return folder, log


def test_a_log_holds_all_that_was_logged_before_a_kill(killed):
    history = list(Folders(killed, "r1").history())
    assert [row["mvtm/loss"] for row in history if "mvtm/loss" in row] == [1 / (step + 1) for step in STEPS]
    known = History(history)
    assert list(known.lacks(training_rows(killed / "metrics.csv"))) == []
    assert all(is_logged({"eval/steps": row["steps"], "eval/nll": 1.5}, known.others) for row in ROWS)
    assert (
        not is_logged({"eval/steps": 2, "eval/nll": 1.6}, known.others)
        and Folders(killed, "r1").unfinished == "offline"
    )


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9])
def test_what_was_cut_off_a_log_is_what_is_missing(killed, tmp_path, share):
    folder, log = copy(killed, tmp_path)
    size = FILE_HEADER + int(share * (log.stat().st_size - FILE_HEADER))
    log.write_bytes(log.read_bytes()[:size])
    known = History(Folders(folder, "r1").history())
    lost = [row[AXIS] for row in known.lacks(training_rows(folder / "metrics.csv"))]
    assert lost == list(STEPS)[len(STEPS) - len(lost) :] and (len(lost) == len(STEPS)) == (share == 0)
    assert lost


@pytest.mark.parametrize("damage", [b"\0" * 64, b"\xff" * 64, struct.pack("<IHB", 0, 9, 1) + b"\xff" * 9])
def test_a_log_is_read_up_to_what_is_damaged(killed, tmp_path, damage):
    folder, log = copy(killed, tmp_path, 20_000)
    before = list(Folders(folder, "r1").history())
    log.write_bytes(log.read_bytes()[:19_900] + damage)
    assert list(Folders(folder, "r1").history()) == before[: len(list(Folders(folder, "r1").history()))]


def test_what_an_offline_run_lost_is_in_wandb_after_an_online_start(killed, server, tmp_path):
    folder, _ = copy(killed, tmp_path, 20_000)
    empty = folder / "wandb" / "offline-run-20200101_000000-r1"
    empty.mkdir()
    (empty / "run-r1.wandb").write_bytes(b":W&B\xe1\xbe\0")
    with logging(folder) as logger:
        logger.earlier(ROWS)
    history = server.runs["r1"].history
    for key, every in (("mvtm/loss", len(STEPS)), ("mvtm/val_nll", len(STEPS) // 100)):
        steps = [row[AXIS] for row in history if key in row]
        assert len(steps) == len(set(steps)) == every
    assert [row["eval/steps"] for row in history if "eval/nll" in row] == [2, 4, 8]
    assert not empty.exists() and not Folders(folder, "r1").offline() and not Folders(folder, "r1").unfinished


@pytest.mark.parametrize(
    ("content", "stays"), [(b"", False), (b":W&B\xe1\xbe\0", False), (b"x" * 40, False), ("whole", True), (None, True)]
)
def test_folders_at_which_an_upload_would_stop_are_removed(killed, tmp_path, content, stays):
    (whole,) = killed.glob("wandb/offline-run-*/*.wandb")
    folder = tmp_path / "wandb" / "offline-run-1_1-other"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "run-other.wandb").write_bytes(whole.read_bytes() if content == "whole" else content)
    Folders(tmp_path, "r1").remove_empty()
    assert folder.exists() == stays


@pytest.mark.parametrize(
    ("opened", "ended", "left"),
    [
        (["offline"], [], "offline"),
        (["offline"], ["offline"], ""),
        (["online"], ["online"], ""),
        (["online", "offline"], ["offline"], "online"),  # the server lacks what it lacked before
        (["online", "offline", "online"], ["offline", "online"], ""),
        (["offline", "online"], ["online"], ""),
    ],
)
def test_a_run_is_unfinished_until_all_is_written_or_sent(tmp_path, opened, ended, left):
    folders = Folders(tmp_path, "r1")
    for mode in opened:
        folders.begin(mode)
    for mode in ended:
        folders.end(mode)
    assert folders.unfinished == left


@pytest.mark.parametrize(
    ("unfinished", "offline", "mode", "owed"),
    [
        ("", "", "auto", False),
        ("offline", "no network", "auto", True),
        ("online", "no network", "auto", False),
        ("online", "", "auto", True),
        ("online", "", "none", False),
    ],
)
def test_a_finished_run_is_logged_again_where_wandb_lacks_some_of_it(
    tmp_path, monkeypatch, unfinished, offline, mode, owed
):
    monkeypatch.setattr(wandb_start, "why_offline", lambda mode: offline)
    if unfinished:
        Folders(tmp_path, "r1").begin(unfinished)
    about = Described(name="x", job_type="train", id="r1", folder=tmp_path)
    assert group.is_owed(LoggerConf(use=USE, mode=mode), about) == owed
    assert not group.is_owed(LoggerConf(mode=mode), about)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, ""),
        (401, "127.0.0.1 does not accept this account: `wandb login` sets another"),
        (403, ""),  # which W&B itself may understand
        (404, "127.0.0.1 answers with error 404"),
        (503, "127.0.0.1 answers with error 503"),
        ("unknown", "127.0.0.1 does not know this account: `wandb login` sets another"),
        ("silent", "no connection to 127.0.0.1"),
        ("strange", "127.0.0.1 does not answer as W&B does"),
    ],
)
def test_a_question_says_in_time_why_wandb_does_not_answer(server, monkeypatch, status, reason):
    monkeypatch.setattr(wandb_connection, "CONNECT_SECONDS", 0.4)
    monkeypatch.setattr(server, "status", status if isinstance(status, int) else 200)
    monkeypatch.setattr(server, "knows_key", status != "unknown")
    if status == "strange":
        monkeypatch.setattr(server, "answer", lambda path, body: ["<html>"])
    if status == "silent":
        server.answers.clear()
    start = time.perf_counter()
    assert why_unreachable() == reason
    server.answers.set()
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    ("mode", "error", "offline", "sentence"),
    [
        ("auto", wandb.errors.CommError("returned error 404: {more}"), True, r"offline \(returned error 404\); upload"),
        ("auto", wandb.errors.CommError("run: context deadline exceeded"), True, r"offline \(no answer within 30 s\)"),
        ("auto", RuntimeError("run ID is in use"), True, r"offline \(run ID is in use\)"),
        ("auto", wandb.errors.UsageError("Invalid project name"), False, r"cannot start \(Invalid project name\)"),
        ("online", wandb.errors.CommError("context deadline exceeded"), False, r"possible \(no answer within 30 s\)"),
        ("online", None, False, r"possible \(no connection to host\): check the network and the account, or leave"),
    ],
)
def test_a_run_that_cannot_start_online_is_offline_if_that_is_left_open(
    tmp_path, monkeypatch, mode, error, offline, sentence
):
    said, modes = [], []

    def opened(mode, *arguments):
        modes.append(mode)
        if mode == "online":
            raise error
        return WandbRun.__new__(WandbRun)

    monkeypatch.setattr(wandb_start, "_opened", opened)
    monkeypatch.setattr(wandb_start, "why_offline", lambda mode: "" if error else "no connection to host")
    monkeypatch.setattr(wandb_service, "stop", lambda: None)
    about = Described(name="x", job_type="train", id="r1", folder=tmp_path, say=said.append)
    try:
        wandb_start.start(LoggerConf(use=USE, mode=mode), {}, about)
    except UserError as refused:
        said.append(str(refused))
    (line,) = said
    assert ("offline" in modes) == offline and "deadline" not in line and "\n" not in line
    assert re.search(sentence, line)


def test_failures_of_wandb_are_one_line_and_never_an_error():
    said, done = [], []
    guard = Guard(said.append)

    def fail():
        raise wandb.errors.AuthenticationError("The API key could not be verified.\nTraceback")

    for call in (fail, lambda: done.append(1), fail, lambda: done.append(2)):
        guard(call)
    assert guard.end(5) and done == [1, 2] and guard.has_failed
    assert [line.partition(": the run continues")[0] for line in said] == [
        "W&B does not answer (The API key could not be verified)"
    ]


def test_a_call_that_hangs_does_not_hold_the_run_and_an_unused_guard_ends():
    guard, start = Guard(print), time.perf_counter()
    guard(lambda: time.sleep(3))
    assert not guard.end(0.1) and time.perf_counter() - start < 2
    assert Guard(print).end(5)


def test_wandb_is_left_to_the_main_process(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "rank", lambda: 1)
    monkeypatch.setattr(wandb_start, "start", lambda *arguments: pytest.fail("another process calls W&B"))
    with logging(tmp_path) as logger:
        assert isinstance(logger, NoLogger)
    assert not group.is_owed(LoggerConf(use=USE), Described(name="x", job_type="train", id="r1", folder=tmp_path))
