"""Jobs that another command works on are not launched again, and what a cold cache costs is said before."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.launch.claims import FOLDER, claims
from maskgit_lab.launch.local import LocalJobs
from maskgit_lab.runs.holder import Holder
from maskgit_lab.runs.lease import leased
from maskgit_lab.runs.naming import LOCK
from maskgit_lab.runs.record import Record

RUN = Record(fingerprint="0" * 12, config="", command=[], code="1" * 12, cache="../cache", wandb_id="id")
SWEEP = ("-m", "debug=tiny", "logger=none", "schedule=cosine,linear,square")
COLD = "one of the jobs trains the tokenizer and encodes the images"


@pytest.fixture
def launched(monkeypatch):
    """The jobs that would be run, round after round."""
    rounds = []
    monkeypatch.setattr(LocalJobs, "run", lambda self, jobs: rounds.append(jobs) or [None] * len(jobs))
    return rounds


def test_jobs_of_another_sweep_are_left_to_it(command, launched):
    command("train", *SWEEP)
    jobs = launched.pop()
    with claims(Path("outputs/multirun")) as other:
        assert other.claim([fingerprint({"job": job}) for job in jobs[:2]])
        said = command("train", *SWEEP)
        assert said.code == 0 and "other commands work on 2 of the jobs, which are not launched again" in said.out
        assert "2 of 3 jobs are left to the commands that work on them" in said.out
        assert launched == [jobs[2:]]
    assert not list(Path("outputs/multirun", FOLDER).iterdir())


def test_jobs_of_a_sweep_that_was_killed_are_launched(command, launched):
    command("train", *SWEEP)
    place = Path("outputs/multirun", FOLDER)
    (place / "1-0.json").write_text(json.dumps([fingerprint({"job": job}) for job in launched.pop()]))
    (place / "1-0.lock").write_text(json.dumps(asdict(replace(Holder.own(), start="0"))))
    assert "all 3 jobs are finished" in command("train", *SWEEP).out
    assert len(launched.pop()) == 3 and not list(place.iterdir())


def test_a_job_whose_run_is_held_is_launched_when_that_ends_without_a_result(command, launched, monkeypatch):
    for name in ("a", "b"):
        Path(name).mkdir()
        RUN.write(Path(name))
    asked = ("-m", "debug=tiny", "logger=none", "run_dir=a,b")
    with leased(Path("a", LOCK), lambda _: None):
        said = command("train", *asked)
        assert "other commands work on 1 of the jobs" in said.out and "1 of 2 jobs are left" in said.out
    assert [[job[-3] for job in jobs] for jobs in launched] == [["run_dir=b"]]
    launched.clear()
    other = leased(Path("a", LOCK), lambda _: None)
    other.__enter__()

    def run(self, jobs):
        other.__exit__(None, None, None)
        return launched.append(jobs) or [None] * len(jobs)

    monkeypatch.setattr(LocalJobs, "run", run)
    assert "all 2 jobs are finished" in command("train", *asked).out
    assert [[job[-3] for job in jobs] for jobs in launched] == [["run_dir=b"], ["run_dir=a"]]


def test_jobs_that_begin_together_on_a_cold_cache(command, launched, tiny_run, tiny_cache):
    two = "hydra.launcher.n_jobs=2"
    said = command("train", *SWEEP, two)
    assert COLD in said.out and "stage=tokens`" in " ".join(said.out.split())
    for given in ((two, f"cache_dir={tiny_cache}"), (two, "stage=tokens"), ()):
        assert COLD not in command("train", *SWEEP, *given).out
