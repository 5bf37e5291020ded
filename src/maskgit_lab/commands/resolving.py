"""The settings of `evaluate.py` laid over those of the run that is evaluated."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from maskgit_lab import config
from maskgit_lab.schema.parts import METRICS
from maskgit_lab.schema.verbs import TrainConf

OF_EVAL = (
    *("n_samples", "metrics", "splits", "neighbours", "kid_subsets", "kid_subset_size", "nll_draws", "reference"),
    *("reference_features", "precision_features", "precision_weights"),
)
OF_DECODING = ("schedule", "choice_temperature", "guidance")
NEED_DATA = ("nll", "cas")  # without a run these are computed only if they are asked for
GROUPS = ("data", "features", "classifier", "cas")


def resolved(cfg: DictConfig, run: DictConfig | None) -> DictConfig:
    """A config of `train.py` that evaluates as `cfg` says.

    Args:
        cfg: of `evaluate.py`.
        run: of the run; None for a file or for samples, where the defaults of the schema hold.
    """
    whole = _untyped(OmegaConf.structured(TrainConf) if run is None else run)
    if run is None:
        whole.decode.choice_temperature = whole.decode.guidance = None  # as the file of the transformer says
        whole.features.name = "inception"
        whole.classifier = None
        whole.eval.metrics = [metric for metric in METRICS if metric not in NEED_DATA]
    _lay_over(whole.eval, cfg, OF_EVAL)
    _lay_over(whole.decode, cfg.decode, OF_DECODING)
    _lay_over(whole, cfg, GROUPS)
    if cfg.decode.steps is not None:
        whole.eval.steps = list(cfg.decode.steps)
    whole.eval.batch_size = cfg.batch_size
    whole.seed = whole.seed if cfg.seed is None else cfg.seed
    whole.max_images = whole.max_images if cfg.max_images is None else cfg.max_images
    hardware = OmegaConf.to_container(cfg.trainer)
    whole.trainer = {**hardware, "precision": cfg.trainer.precision or whole.trainer.precision}  # type: ignore[dict-item]
    whole.logger, whole.cache_dir = config.plain(cfg.logger), cfg.cache_dir
    return whole


def _lay_over(there: DictConfig, here: DictConfig, names: Sequence[str]) -> None:
    for name in names:
        if here[name] is not None:
            there[name] = config.plain(here[name]) if OmegaConf.is_config(here[name]) else here[name]


def _untyped(cfg: DictConfig) -> DictConfig:
    """A copy without the schema's types, since null has a meaning here."""
    copy = OmegaConf.create(OmegaConf.to_container(cfg))
    assert isinstance(copy, DictConfig)
    return copy
