"""Lightning's flags, callbacks and checkpoints on the command line, and what they make of a run."""

import json
import shutil

import pytest

from maskgit_lab.nets.checkpoints import is_intact, read_checkpoint
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import LAST
from maskgit_lab.runs.results import samples_in
from refusals import expect_refused

STOPPING = "callbacks.early_stopping"


def rows(folder):
    """Of samples."""
    return samples_in(json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines())


@pytest.fixture
def train(command, tiny_cache):
    def call(*overrides: str):
        return command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", *overrides)

    return call


REFUSED = {
    "trainer.devcies=2": "did you mean trainer.devices?",
    "+trainer.proflier=simple": "did you mean trainer.profiler?",
    "trainer.max_epochs=3": "trainer.max_epochs is not used here: give mvtm.optim.epochs or tokenizer.optim.epochs",
    "trainer.profiler=sample": "Lightning refuses these settings",
    "trainer.strategy=fsdp trainer=cpu": "requires a GPU accelerator",
    "trainer.strategy=ddp_spawn": "choose ddp",
    "trainer.max_time=later": "is not a valid duration",
    "trainer.profiler=[simple]": "choose one of simple, advanced, pytorch",
    "trainer.detect_anomaly=maybe": "trainer.detect_anomaly=maybe is not possible: give true or false",
    "trainer.limit_train_batches=0": "trainer.limit_train_batches=0 trains nothing",
    "mvtm.optim.scheduler={_target_:torch.optim.lr_scheduler.StepLR,step_size:0}": "scheduler fails (integer modulo",
    "mvtm.optim.optimizer._target_=torch.optim.SparseAdam mvtm.optim.weight_decay=0": "cannot make a step",
    "mvtm.optim.optimizer=3": "give its class as mvtm.optim.optimizer._target_=CLASS",
    "callbacks=early_stoping": "did you mean early_stopping?",
    f"callbacks=early_stopping {STOPPING}.monitor=val/acc": "choose one of tokenizer/val_mse, ",
    f"callbacks=early_stopping {STOPPING}.monitor=mvtm/loss": "mvtm/loss is not measured on held-out images",
    f"callbacks=early_stopping {STOPPING}.mode=least": "callbacks.early_stopping cannot be built",
    "callbacks=early_stopping trainer.validate_every_epochs=5": "set trainer.validate_every_epochs=1",
    "callbacks=early_stopping trainer.limit_val_batches=0": "measures nothing",
    "callbacks=model_checkpoint callbacks.model_checkpoint.filename=last": "every run keeps last.ckpt already",
    "callbacks=model_checkpoint callbacks.model_checkpoint.monitor=tokenizer/val_mse": "checkpoints of the transformer",
    "+callbacks.mine._target_=torch.nn.Identity": "callbacks.mine._target_ does not make the required Callback",
    "+callbacks.mine=5": "callbacks.mine=5 is not a callback",
    "ckpt_path=x": "weights starts a new training from its weights, resume continues with its whole training state",
    "ckpt_mode=resume": "needs ckpt_path",
    "ckpt_path=x ckpt_mode=weight": "choose one of weights, resume",
    "ckpt_path=x ckpt_mode=weights": "ckpt_path=x is not there",
    "ckpt_path=x ckpt_mode=weights mvtm.weights=y": "both name weights to start from",
    "ckpt_path=note.ckpt ckpt_mode=resume": "is damaged, or not a checkpoint of this suite",
    "ckpt_path=note.txt ckpt_mode=resume": "has only weights",
    "ckpt_path=note.txt ckpt_mode=weights": "is not a valid safetensors file",
}


@pytest.mark.parametrize("settings", REFUSED, ids=str)
def test_settings_that_are_refused(train, tmp_path, settings):
    for name in ("note.txt", "note.ckpt"):
        (tmp_path / name).write_text("mine")
    expect_refused(train(*settings.split()), REFUSED[settings])
    assert not (tmp_path / "outputs" / "digits").exists()


def test_a_limited_training_and_its_profile(train, tmp_path):
    limited = ["trainer.limit_train_batches=2", "+trainer.profiler=simple"]
    said = train(*limited, "run_dir=run", "stage=mvtm")
    assert said.code == 0, said.err
    assert read_checkpoint(tmp_path / "run" / "checkpoints" / LAST)["global_step"] == 2
    assert {path.name for path in (tmp_path / "run" / "profiles").iterdir()} >= {"fit-mvtm.txt", "fit-tokenizer.txt"}


def test_a_profiled_run_is_the_same_run_and_a_limited_one_is_not(train, tiny_run):
    assert "the run is complete" in train("trainer.profiler=simple", "callbacks=lr_monitor", f"run_dir={tiny_run}").out
    for other in ("trainer.fast_dev_run=true", "callbacks=early_stopping"):
        expect_refused(train(other, f"run_dir={tiny_run}"), "holds a different run")


def test_fast_dev_run_goes_to_the_end_of_the_command(train, tmp_path):
    few = ["decode.steps=[2]", "eval.metrics=[fid]", "eval.n_samples=20"]
    said = train("+trainer.fast_dev_run=true", "run_dir=run", *few)
    assert said.code == 0 and "Quality over the number of decoding steps" in said.out, said.err
    assert len(rows(tmp_path / "run")) == 1


def test_the_best_checkpoint_is_evaluated_and_sampled_like_a_run(command, train, tmp_path):
    callbacks = "callbacks=[model_checkpoint,early_stopping]"
    said = train(callbacks, "mvtm.optim.epochs=2", "run_dir=run", "stage=mvtm", "callbacks.model_checkpoint.mode=max")
    assert said.code == 0, said.err
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    assert is_intact(best)
    few = ["decode.steps=[2]", "eval.metrics=[fid]", "eval.n_samples=20", "logger=none"]
    for checkpoint in ("run", best):
        assert command("evaluate", f"checkpoint={checkpoint}", *few).code == 0
    first, second = rows(tmp_path / "run")
    assert first["model"] != second["model"] and (first.get("checkpoint"), second["checkpoint"]) == (None, "best")
    assert command("sample", f"checkpoint={best}", "out=samples", "n=1", "classes=[3]", "decode.steps=2").code == 0
    expect_refused(command("sample", f"checkpoint={best.with_name('none.ckpt')}", "out=b"), "there is no checkpoint")


def test_weights_of_another_run_begin_a_training_anew(train, tiny_run, tmp_path):
    shutil.copytree(tiny_run / "checkpoints", tmp_path / "copied")
    said = train(f"ckpt_path={tiny_run}", "ckpt_mode=weights", "mvtm.optim.lr=1e-9", "run_dir=run", "stage=mvtm")
    assert said.code == 0, said.err
    states = [read_checkpoint(run / "checkpoints" / LAST) for run in (tiny_run, tmp_path / "run")]
    average, begun = states[0]["state_dict"]["ema.module.head_bias"], states[1]["state_dict"]["net.head_bias"]
    assert (average - begun).abs().max() < 1e-6 and states[0]["global_step"] == states[1]["global_step"]
    assert RunFolder(tmp_path / "run").record.begun_with is not None


def test_a_whole_training_state_goes_on(train, tiny_run, tmp_path):
    state = [f"ckpt_path={tiny_run / 'checkpoints' / LAST}", "ckpt_mode=resume", "stage=mvtm"]
    expect_refused(train(*state, "run_dir=run"), "has 1 epochs done and mvtm.optim.epochs is 1: set more")
    expect_refused(train(*state, "mvtm.optim.epochs=2", "mvtm.net.width=32", "run_dir=run"), "does not fit the network")
    other = "mvtm.optim.optimizer._target_=torch.optim.NAdam"
    expect_refused(train(*state, "mvtm.optim.epochs=2", other, "run_dir=run"), "another setting of mvtm.optim")
    said = train(*state, "mvtm.optim.epochs=2", "run_dir=run")
    assert said.code == 0 and "continues from" in said.out, said.err
    steps = [read_checkpoint(run / "checkpoints" / LAST)["global_step"] for run in (tiny_run, tmp_path / "run")]
    assert steps[1] == 2 * steps[0]
