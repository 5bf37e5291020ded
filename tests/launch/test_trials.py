"""A search over settings: trials are jobs, and what they return is `optimized_metric`."""

import json
from contextlib import redirect_stdout
from types import SimpleNamespace

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton

from conftest import call
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.optimized import is_better_lower, printed_value, show_optimized
from maskgit_lab.launch.local import LocalJobs
from maskgit_lab.runs.results import samples_in
from refusals import expect_refused

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
SEARCH = ("-m", "hydra/sweeper=optuna", "decode.choice_temperature=interval(1,8)")


@pytest.fixture
def in_this_process(monkeypatch):
    """Jobs run in this process, with logs as they have in one of their own."""

    def run(self, jobs):
        self.logs.mkdir(parents=True, exist_ok=True)
        return [one(self, job) for job in jobs]

    def one(self, job):
        state = Singleton.get_state()
        GlobalHydra.instance().clear()
        with self._log(job).open("w") as log, redirect_stdout(log):
            code = call(self.command[1], job)
        Singleton.set_state(state)
        return None if code == 0 else "it failed"

    monkeypatch.setattr(LocalJobs, "run", run)


@pytest.fixture
def asked(monkeypatch):
    """The trials that would be run, whose values are the temperatures; `reasons` says why some of them fail."""
    seen = SimpleNamespace(jobs=[], reasons={})

    def run(self, jobs):
        first = len(seen.jobs)
        seen.jobs += [dict(override.lstrip("~").partition("=")[::2] for override in job) for job in jobs]
        return [seen.reasons.get(first + i) for i in range(len(jobs))]

    monkeypatch.setattr(LocalJobs, "run", run)
    monkeypatch.setattr(LocalJobs, "value", lambda self, job: float(job[0].removeprefix("decode.choice_temperature=")))
    return seen


def test_two_trials_of_a_temperature(command, in_this_process, run, tmp_path):
    what = ("decode.steps=[2,3]", "eval.metrics=[fid]", "optimized_metric=fd_classifier", "hydra.sweeper.n_trials=2")
    said = command("evaluate", *SEARCH, f"checkpoint={run}", *what, "logger=none", "trainer.threads=1")
    assert said.code == 0 and not said.err
    rows = samples_in(json.loads(line) for line in (run / "results.jsonl").read_text().splitlines())
    trials = dict[float, list[float]]()
    own = rows[0]["choice_temperature"]
    for row in rows:
        if row["steps"] == 3 or row["choice_temperature"] != own:
            trials.setdefault(row["choice_temperature"], []).append(row["fd_classifier"])
    assert len(trials) == 2 and all(len(points) == 2 for points in trials.values())
    best = min(trials, key=lambda temperature: min(trials[temperature]))
    found = yaml.safe_load((tmp_path / "outputs" / "multirun" / "optimization_results.yaml").read_text())
    assert found["best_params"] == {"decode.choice_temperature": best}
    assert found["best_value"] == min(trials[best])
    assert f"best       fd_classifier = {min(trials[best]):.6g}\n" in said.out
    assert f"python evaluate.py decode.choice_temperature={best}" in said.out


def test_trials_are_a_group_and_the_same_each_time(command, asked, run):
    jobs = []
    for _ in range(2):
        asked.jobs.clear()
        said = command(
            "evaluate", *SEARCH, f"checkpoint={run}", "optimized_metric=nll", "hydra.sweeper.n_trials=3",
            "hydra.launcher.n_jobs=2",
        )  # fmt: skip
        assert said.code == 0 and "trial      3 of 3: nll = " in said.out
        jobs.append(list(asked.jobs))
    assert jobs[0] == jobs[1] and len(jobs[0]) == 3
    assert len({job["decode.choice_temperature"] for job in jobs[0]}) == 3
    assert {(job["logger.group"], job["checkpoint"]) for job in jobs[0]} == {("optuna-choice_temperature", str(run))}


@pytest.mark.parametrize(("key", "choose"), [("fd_classifier", min), ("inception_score", max)])
def test_the_direction_is_that_of_the_metric(command, asked, run, tmp_path, key, choose):
    command("evaluate", *SEARCH, f"checkpoint={run}", f"optimized_metric={key}", "hydra.sweeper.n_trials=3")
    found = yaml.safe_load((tmp_path / "outputs" / "multirun" / "optimization_results.yaml").read_text())
    assert found["best_value"] == choose(float(job["decode.choice_temperature"]) for job in asked.jobs)


def test_a_trial_that_fails(command, asked, run):
    asked.reasons = {1: "the disk is full"}
    arguments = (*SEARCH, f"checkpoint={run}", "optimized_metric=nll", "hydra.sweeper.n_trials=3")
    said = command("evaluate", *arguments)
    expect_refused(said, "a trial failed, as shown above")
    assert "trial      2 of 3: the disk is full" in said.out and len(asked.jobs) == 2
    asked.jobs.clear()
    said = command("evaluate", *arguments, "hydra.sweeper.max_failure_rate=1")
    expect_refused(said, "a trial failed, as shown above; the best is that of the others")
    assert len(asked.jobs) == 3 and "best       nll = " in said.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["decode.choice_temperature=interval(1,8)"], "has nothing to optimise: give optimized_metric=KEY"),
        (["optimized_metric=nll"], "has nothing to search: give KEY=interval(LOW,HIGH)"),
        (["optimized_metric=fidd", "seed=0,1"], "there is no such metric; choose one of fd_FEATURES"),
        (["optimized_metric=images_per_second", "seed=0,1"], "there is no such metric"),
        (["optimized_metric=fid", "seed=0,1"], "is not measured by this command: choose one of fd_classifier"),
        (["optimized_metric=nll", "seed=0,1", "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0 is not possible"),
        (["optimized_metric=nll", "seed=0,1", "hydra.sweeper.direction=up"], "give minimize or maximize"),
        (["optimized_metric=nll", "seed=interval(8,1)"], "hydra/sweeper=optuna stopped ("),
        (["optimized_metric=nll", "seed=0,1", "hydra/sweeper/sampler=cmes"], "did you mean cmaes?"),
        (["optimized_metric=nll", "seed=0,1", "hydra.sweeper.storage=x"], "hydra.sweeper.storage=x cannot be opened"),
        (["optimized_metric=nll", "sed=0,1"], "did you mean seed?"),
        (["optimized_metric=nll", "decode.steps=[0],[0,1]"], "give whole numbers from 1 to 4096"),
    ],
)
def test_mistakes_are_one_sentence_before_any_trial_is_run(command, asked, run, arguments, says):
    expect_refused(command("evaluate", "-m", "hydra/sweeper=optuna", f"checkpoint={run}", *arguments), says)
    assert not asked.jobs


def test_the_best_of_several_points(capsys):
    values = [{"nll": 3.0, "recall": 0.5}, {"nll": 2.5}, {"nll": float("nan")}]
    rows = [{"steps": steps} | value for steps, value in enumerate(values, start=1)]
    assert show_optimized(Terminal(), "nll", rows) == 2.5 == printed_value(capsys.readouterr().out)
    assert show_optimized(Terminal(), "recall", rows) == 0.5
    assert show_optimized(Terminal(), None, rows) is None
    with pytest.raises(UserError, match="no point has been measured by it"):
        show_optimized(Terminal(), "precision", rows)
    assert printed_value("a log without it") is None


def test_directions():
    assert is_better_lower("fd_vgg16") and is_better_lower("kid") and not is_better_lower("cas_top1")
