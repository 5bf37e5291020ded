"""Sweeps: which jobs there are, which of them are run, and what is said of those that fail."""

import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from hydra_plugins.maskgit_lab_jobs.launcher import LocalLauncher
from hydra_plugins.maskgit_lab_jobs.sweeper import JobSweeper
from maskgit_lab import config
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.launch.local import LocalJobs
from maskgit_lab.launch.sweeps import expand_sweep_dir
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import CONFIG
from records import change_record
from refusals import expect_refused

ROOT = Path(__file__).resolve().parents[2]
PAPER = ["exponential", "cubic", "square", "cosine", "linear", "square_root", "logarithmic"]
EVALUATED = ["decode_steps", "temperature_by_steps", "decode_schedule", "guidance", "classifier_seeds", "editing"]
SWEEPS = {"mask_schedule": "train", "tokenizer_seeds": "train", "table1": "train"} | dict.fromkeys(
    [*EVALUATED, "choose_temperature", "best_temperature", "runtime"], "evaluate"
)
JOBS = dict(zip(EVALUATED, (1, 8, 7, 5, 2, 14), strict=True))  # of one checkpoint


@pytest.fixture
def launched(monkeypatch):
    """The jobs that would be run; `reasons` says why some of them fail."""

    seen = SimpleNamespace(jobs=[], lines=[], reasons={})

    def run(self, jobs):
        seen.lines = jobs
        seen.jobs = [dict(override.partition("=")[::2] for override in job) for job in jobs]
        return [seen.reasons.get(i) for i in range(len(jobs))]

    monkeypatch.setattr(LocalJobs, "run", run)
    return seen


def test_the_folder_of_the_logs_is_a_path_like_all_others(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    def hydra(folder):
        cfg = OmegaConf.create({"hydra": {"sweep": {"dir": folder}, "overrides": {"hydra": ["hydra.sweep.dir='~/l'"]}}})
        OmegaConf.set_readonly(cfg.hydra, True)
        expand_sweep_dir(cfg)
        return cfg.hydra

    made = hydra("~/l")
    assert made.sweep.dir == f"{tmp_path}/l" and made.overrides.hydra == [f"hydra.sweep.dir={tmp_path}/l"]
    assert hydra("outputs/multirun").sweep.dir == "outputs/multirun"
    with pytest.raises(UserError, match=r"^hydra.sweep.dir= is not possible: give the path"):
        hydra("")


def test_different_runs_have_a_folder_each(command, launched):
    expect_refused(command("train", "-m", "run_dir=x", "seed=1,2"), "run_dir=x is one folder of several different runs")
    assert command("train", "-m", "run_dir=x", "eval.batch_size=8,16").code == 0 and len(launched.jobs) == 2


def test_a_model_for_each_schedule_and_seed(command, launched):
    said = command("train", "sweeps=mask_schedule", "sweep.seeds=[0,2]", "experiment=digits", "trainer=cpu")
    assert said.code == 0 and "14 jobs, 0 of them finished before" in said.out
    assert [(job["schedule"], job["seed"]) for job in launched.jobs] == [(s, n) for s in PAPER for n in "02"]
    assert all(job["trainer"] == "cpu" and job["wait"] == "true" for job in launched.jobs)
    assert {job["logger.group"] for job in launched.jobs} == {"mask_schedule-digits"}
    assert not any("sweep" in override.split("=")[0] for line in launched.lines for override in line)


def test_a_model_for_each_schedule_and_tokenizer(command, launched):
    said = command("train", "sweeps=tokenizer_seeds", "sweep.seeds=[4]", "experiment=digits", "trainer=cpu")
    assert said.code == 0 and "21 jobs, 0 of them finished before" in said.out
    found = {(job["schedule"], job["tokenizer.seed"], job["seed"]) for job in launched.jobs}
    assert found == {(s, t, n) for s in PAPER for t in "012" for n in "4"}


def test_the_command_line_goes_over_the_sweep(command, launched):
    command("train", "sweeps=mask_schedule", "schedule=cosine,arccos", "seed=5", "logger.group=mine", "wait=false")
    assert [(job["schedule"], job["seed"]) for job in launched.jobs] == [("cosine", "5"), ("arccos", "5")]
    assert {(job["logger.group"], job["wait"]) for job in launched.jobs} == {("mine", "False")}


def test_a_multirun_by_hand(command, launched):
    assert command("train", "-m", "schedule=cosine,linear", "seed=0,1").code == 0
    assert len(launched.jobs) == 4 and launched.jobs[3]["schedule"] == "linear" and launched.jobs[3]["seed"] == "1"
    assert launched.jobs[0]["logger.group"] == "schedule-seed-digits"


def test_the_forms_in_which_hydra_takes_several_values(command, launched):
    several = ("schedule=glob(c*)", "seed=range(0,2)", "mvtm.optim.lr=choice(1e-3,1e-4)", "decode.steps=[4],[4,8]")
    assert command("train", "-m", *several, "~cas").code == 0
    jobs = launched.jobs
    assert len(jobs) == 16 and {job["schedule"] for job in jobs} == {"cosine", "cubic"}
    assert {job["decode.steps"] for job in jobs} == {"[4]", "[4,8]"} and {job["seed"] for job in jobs} == {"0", "1"}
    assert all("~cas" in line for line in launched.lines)


BOTH = "model=maskgit,autoregressive"
OF_BOTH = {
    ("schedule=cosine,linear",): [
        *({"model": "maskgit", "schedule": schedule} for schedule in ("cosine", "linear")),
        {"model": "autoregressive"},
    ],
    ("order=raster,spiral", "decode.steps=[4]"): [
        {"model": "maskgit", "decode.steps": "[4]"},
        *({"model": "autoregressive", "order": order} for order in ("raster", "spiral")),
    ],
    ("seed=0,1", "mvtm.optim.lr=1e-3"): [
        {"model": model, "seed": seed, "mvtm.optim.lr": "0.001"}
        for model in ("maskgit", "autoregressive")
        for seed in "01"
    ],
}


@pytest.mark.parametrize("given", OF_BOTH, ids=str)
def test_of_two_models_each_has_the_jobs_of_its_own_settings(command, launched, given):
    said = command("train", "-m", BOTH, *given, "wait=true", "logger.group=g")
    assert said.code == 0, said.err
    jobs = [{key: value for key, value in job.items() if key not in ("wait", "logger.group")} for job in launched.jobs]
    assert jobs == OF_BOTH[given]


def test_table_1_has_both_models_and_the_seeds(command, launched):
    assert command("train", "sweeps=table1", "sweep.seeds=[0,4]", "schedule=linear").code == 0
    found = [(job["model"], job["seed"], job.get("schedule")) for job in launched.jobs]
    assert found == [
        *(("maskgit", seed, "linear") for seed in "04"),
        *(("autoregressive", seed, None) for seed in "04"),
    ]


def test_only_what_is_missing_is_run(command, launched, tiny_run, tiny_cache):
    other = ("debug=tiny", f"cache_dir={tiny_cache}")
    said = command("train", "-m", f"run_dir={tiny_run},new", *other)
    assert "2 jobs, 1 of them finished before" in said.out and [job["run_dir"] for job in launched.jobs] == ["new"]
    launched.jobs.clear()
    said = command("train", "-m", f"run_dir={tiny_run}", *other)
    assert said.code == 0 and not launched.jobs and "1 job, 1 of them" in said.out and "the job is finished" in said.out
    command("train", "-m", f"run_dir={tiny_run}", *other, "eval.steps=[3]")  # another run: it will say so itself
    assert len(launched.jobs) == 1


def test_what_failed_is_said_with_the_command_that_runs_it_again(command, launched):
    launched.reasons = {1: "the disk is full: empty it"}
    said = command("train", "-m", "schedule=cosine,linear", "eval.steps=[2,4]")
    assert said.code == 2 and "failed     the disk is full: empty it" in said.err
    again = next(line.strip() for line in said.err.splitlines() if "python train.py" in line)
    assert shlex.split(again) == ["python", "train.py", *launched.lines[1]]
    assert said.err.splitlines()[-1].startswith("error: 1 of 2 jobs failed and the others are finished")
    assert launched.lines[1][:2] == ["schedule=linear", "eval.steps=[2,4]"]


@pytest.mark.parametrize("name", sorted(SWEEPS))
def test_the_files_open_with_what_a_user_has_to_know(name):
    lines = (ROOT / "sweeps" / f"{name}.yaml").read_text().splitlines()
    assert [line.split(":")[0] for line in lines[:3]] == ["# Command", "# Cost", "# Expect"]
    assert all(len(line.split(":", 1)[1].strip()) > 8 for line in lines[:3])
    assert f"python {SWEEPS[name]}.py" in lines[0] and f"sweeps={name}" in lines[0]


def test_there_is_no_other_file():
    assert {file.stem for file in (ROOT / "sweeps").glob("*.yaml")} == SWEEPS.keys()


@pytest.mark.parametrize("name", sorted(JOBS))
def test_sweeps_of_one_checkpoint(command, launched, run, name):
    if name == "guidance":  # needs a model that knows no class too
        expect_refused(command("evaluate", "sweeps=guidance", f"checkpoint={run}"), "mvtm.label_dropout above 0")
        config_file = run / CONFIG
        config_file.write_text(config_file.read_text().replace("label_dropout: 0.0", "label_dropout: 0.1"))
        change_record(run, config=file_sha256(config_file))
    command("evaluate", f"sweeps={name}", f"checkpoint={run}")
    assert all(job["checkpoint"] == str(run) and job["decode.steps"].startswith("[") for job in launched.jobs)
    assert len(launched.jobs) == JOBS[name]
    assert launched.jobs[0]["logger.group"] == name


def test_every_trained_run_of_a_folder_is_a_checkpoint(command, launched, run, tmp_path):
    (tmp_path / "empty").mkdir()
    said = command("evaluate", "sweeps=decode_schedule", f"sweep.runs={tmp_path}")
    assert said.code == 0 and len(launched.jobs) == 7
    assert {job["checkpoint"].strip("'") for job in launched.jobs} == {str(run)}
    expect_refused(
        command("evaluate", "sweeps=decode_schedule", "sweep.runs=empty"), "has no trained run of model=maskgit in it"
    )


def test_a_temperature_is_chosen_on_one_seed_and_taken_for_all(command, launched, run, tmp_path, monkeypatch):
    second = shutil.copytree(run, tmp_path / "second")
    settings = RunFolder.settings

    def of_seed_1(self):
        found = settings(self)
        found.seed += self.path == second
        return found

    monkeypatch.setattr(RunFolder, "settings", of_seed_1)
    assert command("evaluate", "sweeps=choose_temperature", f"sweep.runs={tmp_path}").code == 0
    assert [job["checkpoint"].strip("'") for job in launched.jobs] == [str(run)]
    assert "decode.steps" not in launched.jobs[0] and launched.jobs[0]["choose_temperature"].startswith("[0,0.5,")
    (run / "temperature").mkdir()
    (run / "temperature" / "digits.yaml").write_text("choice_temperature: 2.0")
    assert command("evaluate", "sweeps=best_temperature", f"sweep.runs={tmp_path}").code == 0
    assert {job["decode.choice_temperature"] for job in launched.jobs} == {"chosen"} and len(launched.jobs) == 2


@pytest.mark.parametrize(
    ("verb", "arguments", "says"),
    [
        ("train", ["sweeps=mask_schedul"], "did you mean mask_schedule?"),
        ("train", ["sweeps=mask_schedule", "sweep.seedz=[1]"], "did you mean sweep.seeds?"),
        ("train", ["sweeps=mask_schedule", "sweep.seeds=[]"], "leaves no job"),
        ("train", ["sweeps=decode_steps"], "give python evaluate.py sweeps=decode_steps"),
        ("evaluate", ["sweeps=mask_schedule", "checkpoint=x"], "give python train.py sweeps=mask_schedule"),
        ("train", ["-m", "model=autoregressive", "schedule=cosine,linear"], "does not apply to model=autoregressive"),
        ("train", ["-m", "order=raster,spiral"], "order=raster does not apply to model=maskgit"),
        ("train", ["-m", "model=maskgit,gpt"], "model=gpt: there is no such option"),
        ("train", ["-m", "schedule=cosine,cosin"], "schedule=cosin: there is no such option"),
        ("train", ["-m", "seed=0,x"], "seed=x is not possible: give a whole number"),
        ("train", ["-m", "seed=interval(0,3)"], "seed=interval(0,3) is a range without steps: give values one by one"),
        ("train", ["-m", "seed=range(3,0)"], "seed=range(3,0) has no value, which leaves no job"),
        ("train", ["-m", "seed=range(0,1000000000)"], "a sweep has at most 10,000 jobs, and these are more"),
        ("train", ["-m", "schedule=glob(x*)"], "schedule=glob(x*) has no value, which leaves no job"),
        ("train", ["-m", "seed=0,1", "hydra.launcher._target_=os.system"], "one of the options of hydra/launcher"),
        ("train", ["-m", "seed=0,1", "hydra.sweeper._target_=os.system"], "one of the options of hydra/sweeper"),
        ("train", ["-m", "eval.steps=[2],[0]"], "eval.steps=[0] is not possible: give whole numbers from 1 to 4096"),
        ("train", ["sweeps=mask_schedule", "hydra/launcher=slurm"], "hydra/launcher=slurm could not run the jobs"),
        ("train", ["sweeps=mask_schedule", "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs=0 is not possible"),
        ("train", ["sweeps=mask_schedule", "hydra.launcher.gpus=64"], "a job asks for 64 GPUs"),
    ],
)
def test_mistakes_are_one_sentence_before_any_job_is_run(command, launched, monkeypatch, verb, arguments, says):
    monkeypatch.setenv("PATH", "/nowhere")  # no scheduler answers
    expect_refused(command(verb, *arguments), says)
    assert not launched.jobs


def test_a_decoding_that_is_not_possible_is_refused_before_any_evaluation_is_run(command, launched, tiny_run):
    asked = ["-m", f"checkpoint={tiny_run}", "decode.choice_temperature=1,x", "decode.steps=[2]"]
    expect_refused(command("evaluate", *asked), "decode.choice_temperature=x is not possible: give a number")
    assert not launched.jobs


@pytest.mark.parametrize(("part", "plugin"), [("sweeper", LocalLauncher(1, None, None)), ("launcher", JobSweeper())])
def test_hydras_own_are_refused_where_a_config_chooses_them(part, plugin):
    config = OmegaConf.create({"hydra": {"runtime": {"choices": {f"hydra/{part}": "basic"}}}})
    with pytest.raises(UserError, match=f"hydra/{part}=basic is not possible: "):
        plugin.setup(hydra_context=None, task_function=None, config=config)


def test_ctrl_c_in_a_sweep(command, launched, monkeypatch):
    def stop(self, jobs):
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalJobs, "run", stop)
    said = command("train", "-m", "seed=0,1")
    assert said.code == 130
    assert said.err == "interrupted: jobs that were finished stay finished, and the same command runs what is missing\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sweep:\n  parms: {seed: [0]}\nhydra: {mode: MULTIRUN}\n", "sweep.parms: there is no such setting"),
        ("sweep:\n  params: {sead: [0]}\nhydra: {mode: MULTIRUN}\n", "sead: there is no such setting"),
        (
            "sweep: [0]\nhydra: {mode: MULTIRUN}\n",
            "sweep is a group of settings: give them one by one, as sweep.NAME=VALUE",
        ),
        (
            "sweep:\n  params: {seed: [0, 1]}\n",
            "sweep.params are for several jobs: give -m too, or write hydra: ",
        ),
        ("sweep: {params: {seed: [0}\n", "mine.yaml cannot be read"),
        ("- 1\n", "mine.yaml has no settings: write lines of the form KEY: VALUE"),
        (
            "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1'}}}\n",
            "values go into sweep.params of",
        ),
    ],
)
def test_a_sweep_file_with_a_mistake(command, launched, monkeypatch, tmp_path, text, says):
    register = config.register_sweeps
    (tmp_path / "mine.yaml").write_text(text)
    monkeypatch.setattr(config, "register_sweeps", lambda _: register(tmp_path))
    expect_refused(command("train", "sweeps=mine"), says)
    assert not launched.jobs
