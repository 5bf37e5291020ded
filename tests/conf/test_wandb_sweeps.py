"""The W&B sweep files: each combination of their parameters composes, in the form in which W&B's agent passes it on."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hydra import compose, initialize_config_dir
from wandb import env, wandb_agent

from maskgit_lab import config
from maskgit_lab.evaluation.asked import check_arguments
from maskgit_lab.evaluation.edit_settings import check_asked
from maskgit_lab.settings import plain

ROOT = Path(__file__).resolve().parents[2]
FILES = {file.stem: file for file in sorted((ROOT / "sweeps" / "wandb").glob("*.yaml"))}
JOBS = {"mask_schedule": 21, "decode_steps": 15, "temperature_by_steps": 48, "decode_schedule": 7, "guidance": 5}
JOBS |= {"tokenizer_seeds": 21, "classifier_seeds": 2, "table1": 6, "editing": 14}


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """What W&B's own agent would start for each job of a sweep."""
    monkeypatch.chdir(tmp_path)
    for name in (env.RUN_ID, env.SWEEP_ID, env.SWEEP_PARAM_PATH):
        monkeypatch.setenv(name, "set by the agent")
    started = []
    monkeypatch.setattr(
        wandb_agent, "AgentProcess", lambda command, **how: started.append(command) or SimpleNamespace()
    )

    def of(sweep: dict) -> list[list[str]]:
        agent = wandb_agent.Agent(api=None, queue=None)
        agent._sweep_command = sweep["command"]
        values = [p.get("values", [p.get("value")]) for p in sweep["parameters"].values()]
        for i, combination in enumerate(itertools.product(*values)):
            args = {key: {"value": value} for key, value in zip(sweep["parameters"], combination, strict=True)}
            agent._command_run({"run_id": f"run{i}", "program": sweep["program"], "args": args})
        return started

    return of


# A choice is written when all jobs are finished, which no agent knows; and times are no runs of W&B.
WITHOUT = {"choose_temperature", "best_temperature", "runtime"}


def test_there_is_a_file_for_each_of_the_suites_sweeps():
    assert FILES.keys() == JOBS.keys() == {file.stem for file in (ROOT / "sweeps").glob("*.yaml")} - WITHOUT


@pytest.mark.parametrize("name", JOBS)
def test_each_opens_with_its_command_its_cost_and_what_to_expect(name):
    lines = FILES[name].read_text().splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["# Command", "# Cost", "# Expect"]
    assert f"wandb sweep --project maskgit-lab sweeps/wandb/{name}.yaml" in lines[0] and "wandb agent" in lines[0]
    if name == "guidance":
        assert "mvtm.label_dropout=" in lines[0]


@pytest.mark.parametrize("name", JOBS)
def test_every_combination_composes(name, commands, monkeypatch):
    monkeypatch.setenv("CHECKPOINT", "outputs/run")
    sweep = yaml.safe_load(FILES[name].read_text())
    assert sweep["method"] == "grid" and sweep["metric"]["goal"] == "minimize"
    verb = Path(sweep["program"]).stem
    assert (ROOT / sweep["program"]).is_file()
    seen = set()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for start in commands(sweep):
            assert start[:3] == ["/usr/bin/env", "python", sweep["program"]]
            settings = config.typed(compose(verb, overrides=start[3:]), config.SCHEMAS[verb])
            if verb == "evaluate":
                check_asked(settings)
                check_arguments(settings)
                assert settings.checkpoint == "outputs/run"
            values = plain(settings)
            chance = [(values.get(group) or {}).get("seed") for group in ("tokenizer", "classifier")]
            seen.add(str([values.get("schedule"), values.get("task"), settings.seed, settings.decode, *chance]))
    assert len(seen) == JOBS[name]


def test_lists_of_steps_survive_the_agent(commands):
    sweep = {
        "program": "evaluate.py",
        "command": ["${args_no_hyphens}"],
        "parameters": {"decode.steps": {"value": [1, 2, 4]}},
    }
    ((override,),) = commands(sweep)
    assert override == "decode.steps=[1, 2, 4]"
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        assert compose("evaluate", overrides=[override]).decode.steps == [1, 2, 4]
