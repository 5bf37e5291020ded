"""The two models in one config: what each has, what a run of each is known by, and what is refused."""

from functools import cache
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from maskgit_lab import config
from maskgit_lab.errors import UserError
from maskgit_lab.sampling.loading import decoder_of
from maskgit_lab.sampling.transformers import build_order, build_transformer
from maskgit_lab.settings import check_overrides, checked, plain, run_fingerprint, training, without_others

ROOT = Path(__file__).resolve().parents[2]
OTHER = "model=autoregressive"
GROUPS = [
    f"{group}={file.stem}"
    for group in ("experiment", "debug")
    for file in sorted((ROOT / "conf" / group).glob("*.yaml"))
]


@cache
def composed(*overrides: str):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=list(overrides))
    for key in OmegaConf.missing_keys(cfg):  # what only a user can know: where files lie
        OmegaConf.update(cfg, key, "somewhere")
    return config.typed(cfg, config.SCHEMAS["train"])


def known_by(*overrides: str) -> str:
    return run_fingerprint(composed(*overrides))


@pytest.mark.parametrize("option", GROUPS)
def test_every_experiment_trains_a_transformer_of_the_same_size(option):
    masked, other = composed(option), composed(option, OTHER)
    size = masked.data.get("size") or 256
    with torch.device("meta"):
        nets = [build_transformer(settings, size, 1000) for settings in (masked, other)]
    counts = [sum(p.numel() for p in net.parameters()) for net in nets]
    assert counts[0] == counts[1] and [net.n_tokens for net in nets] == [nets[0].n_tokens] * 2
    assert other.autoregressive.optim == masked.mvtm.optim and build_order(other).name == "raster"
    decoder, schedule = decoder_of(other)
    assert decoder.is_autoregressive and schedule is None and not other.steps
    assert plain(other.eval) == plain(masked.eval) and other.tokenizer == masked.tokenizer


def test_a_run_of_maskgit_is_known_as_before_there_was_another_model():
    values = training(composed())
    assert not {"model", "autoregressive"} & values.keys() and {"mvtm", "schedule"} <= values.keys()
    older = {key: value for key, value in plain(composed()).items() if key not in ("model", "autoregressive")}
    assert run_fingerprint(checked(config.SCHEMAS["train"], older)) == known_by()


def test_an_autoregressive_run_is_known_by_its_own_settings():
    values = training(composed(OTHER))
    assert values["model"] == "autoregressive" and not {"mvtm", "schedule"} & values.keys()
    assert known_by(OTHER) != known_by()
    for same in ("schedule=linear", "mvtm.loss_on=all", "mvtm.min_masking_rate=0.5", "decode.temperature=0.5"):
        assert known_by(OTHER, same) == known_by(OTHER), same
    others = ["seed=1", "data.seed=1", "order=spiral", "order=random", "autoregressive.optim.lr=1", "mvtm.optim.lr=2"]
    others += ["autoregressive.label_dropout=0.1", "autoregressive.net.dropout=0.5", "mvtm.net.depth=1"]
    assert len({known_by(OTHER), *(known_by(OTHER, other) for other in others)}) == 1 + len(others)
    assert known_by(OTHER, "order=random", "autoregressive.order.seed=1") != known_by(OTHER, "order=random")


def test_what_is_given_to_one_model_leaves_the_other_as_it_is():
    given = composed(OTHER, "autoregressive.optim.lr=0.5", "autoregressive.net.depth=2")
    assert (given.autoregressive.optim.lr, given.autoregressive.net["depth"]) == (0.5, 2)
    assert given.mvtm == composed().mvtm and given.autoregressive.net["width"] == given.mvtm.net["width"]
    both = composed(OTHER, "mvtm.optim.lr=0.25", "mvtm.label_dropout=0.2", "mvtm.net.heads=1")
    own = both.autoregressive
    assert (own.optim.lr, own.label_dropout, own.net["heads"]) == (0.25, 0.2, 1)
    optimizer = composed(OTHER, "autoregressive.optim.optimizer.betas=[0.9,0.95]")
    assert optimizer.autoregressive.optim.optimizer["betas"] == [0.9, 0.95]


def test_callbacks_that_monitor_the_training_monitor_that_of_the_model():
    settings = composed(OTHER, "callbacks=[early_stopping,model_checkpoint]")
    assert {node["monitor"] for node in settings.callbacks.values()} == {"autoregressive/val_nll"}


ALONE = {
    "maskgit": ["schedule=linear", "decode.steps=[8]", "+decode.choice_temperature=1", "mvtm.loss_on=all"],
    "autoregressive": ["order=spiral", "+autoregressive.order.seed=1", "autoregressive=like_mvtm"],
}
COMMON = ["seed=1", "mvtm.optim.lr=1", "decode.guidance=1"]


@pytest.mark.parametrize(("model", "other"), [("maskgit", "autoregressive"), ("autoregressive", "maskgit")])
def test_settings_of_one_model_are_refused_with_the_other_and_left_out_of_its_jobs(model, other):
    for override in ALONE[model]:
        check_overrides([override, *COMMON], model)
        with pytest.raises(UserError, match=f"does not apply to model={other}"):
            check_overrides([*COMMON, override], other)
    assert without_others([*COMMON, *ALONE[model], *ALONE[other]], other) == [*COMMON, *ALONE[other]]
