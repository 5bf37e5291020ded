"""Mistakes with an autoregressive model: one sentence each, before anything is trained or written."""

import pytest

from refusals import expect_refused

OTHER = "model=autoregressive"
# Settings of `train.py model=autoregressive debug=tiny`, or of another model if they name one.
SETTINGS = {
    "model=autoregresive": "did you mean autoregressive?",
    "model=null": "model=null is not possible: choose one of autoregressive, maskgit",
    "decode.steps=[8]": "decode.steps=[8] does not apply to model=autoregressive, which has no decoding in T steps",
    "schedule=linear": "schedule=linear does not apply to model=autoregressive, which has no mask schedule",
    "+decode.choice_temperature=2": "does not apply to model=autoregressive",
    "mvtm.loss_on=all": "mvtm.loss_on=all does not apply to model=autoregressive, which has no masks",
    "decode=maskgit": "fills masked tokens, and the model is autoregressive: give decode=autoregressive",
    "stage=mvtm": "stage=mvtm does not belong to model=autoregressive: give stage=autoregressive",
    "decode.top_k=0": "decode.top_k=0 is not possible: give a whole number of at least 1, or null for all codes",
    "decode.top_k=1.5": "decode.top_k=1.5 is not possible: give a whole number",
    "decode.top_p=1.5": "decode.top_p=1.5 is not possible: give a number above 0 and at most 1",
    "decode.temperature=0": "decode.temperature=0.0 is not possible: give a number above 0",
    "decode.guidance=2": "decode.guidance=2.0 needs a model that was trained with",
    "decode.kv_cache=perhaps": "decode.kv_cache=perhaps is not possible: give true or false",
    "decode.top_q=1": "decode.top_q: there is no such setting",
    "order=zigzag": "choose one of column, random, raster, spiral",
    "order=random autoregressive.order.seed=-1": "autoregressive.order.seed=-1 is not possible",
    "autoregressive.order._target_=torch.nn.Identity": "autoregressive.order._target_ does not make the required Order",
    "autoregressive.net.heads=3": "not a multiple of its 3 heads",
    "autoregressive.optim.epoch=1": "did you mean autoregressive.optim.epochs?",
    "autoregressive.label_dropout=1": "autoregressive.label_dropout=1.0 is not possible",
    "autoregressive.weights=absent": "autoregressive.weights=absent is not there",
    "autoregressive.weights=x ckpt_path=y ckpt_mode=weights": "both name weights to start from",
    "autoregressive.net._target_=maskgit_lab.nets.transformer.Transformer": "autoregressive.net cannot be built",
    "optimized_metric=nll": "optimized_metric=nll is not measured by this command: choose one of fd_classifier",
    "callbacks=early_stopping callbacks.early_stopping.monitor=mvtm/loss": "autoregressive/val_nll",
    "model=maskgit decode=autoregressive": "needs an autoregressive model, and this one fills masked tokens",
    "model=maskgit order=spiral": "order=spiral does not apply to model=maskgit",
    "model=maskgit stage=autoregressive": "stage=autoregressive does not belong to model=maskgit: give stage=mvtm",
    "model=maskgit mvtm.net._target_=maskgit_lab.nets.causal.CausalTransformer": "give model=autoregressive",
}


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_settings(command, tmp_path, settings):
    given = settings.split() if settings.startswith("model=") else [OTHER, *settings.split()]
    expect_refused(command("train", "debug=tiny", "logger=none", *given), SETTINGS[settings])
    assert not list(tmp_path.iterdir())


MISMATCHED = {
    ("sample", "autoregressive", "decode.steps=8"): "is for models that fill masked tokens in T steps",
    ("sample", "autoregressive", "decode.schedule=linear"): "leave it out",
    ("sample", "autoregressive", "decode=maskgit"): "give decode=autoregressive, or leave decode out",
    ("sample", "autoregressive", "decode.top_k=0"): "decode.top_k=0 is not possible",
    ("sample", "autoregressive", "decode.top_p=1.5"): "decode.top_p=1.5 is not possible",
    ("sample", "masked", "decode=autoregressive"): "give decode=maskgit, or leave decode out",
    ("sample", "masked", "decode.top_k=3"): "decode.top_k: there is no such setting of MaskGIT",
    ("evaluate", "autoregressive", "decode.steps=[8]"): "decode.steps=[8] is for models that fill masked tokens in T",
    ("evaluate", "autoregressive", "eval.steps=[8]"): "decode.steps=[8] is for models that fill masked tokens in T",
    ("evaluate", "autoregressive", "decode.choice_temperature=2"): "is for models that fill masked tokens in T steps",
    ("evaluate", "autoregressive", "choose_temperature=[1,2]"): "has no choice_temperature: there is nothing to choose",
    ("evaluate", "autoregressive", "decode.guidance=-1"): "decode.guidance=-1.0 is not possible",
    ("evaluate", "masked", "decode=autoregressive"): "give decode=maskgit, or leave decode out",
}


@pytest.mark.parametrize(("verb", "model", "setting"), MISMATCHED, ids=str)
def test_a_checkpoint_and_settings_of_the_other_model(
    command, tiny_run, tiny_autoregressive, tmp_path, verb, model, setting
):
    run = {"masked": tiny_run, "autoregressive": tiny_autoregressive}[model]
    before = (run / "results.jsonl").read_bytes()
    own = ["out=samples"] if verb == "sample" else ["logger=none", "trainer=cpu"]
    expect_refused(command(verb, f"checkpoint={run}", *own, setting), MISMATCHED[verb, model, setting])
    assert (run / "results.jsonl").read_bytes() == before and not list(tmp_path.rglob("*.png"))
