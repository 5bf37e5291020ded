"""What the training of a transformer begins with: fresh weights, a file's, or the state of another training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from maskgit_lab.errors import UserError
from maskgit_lab.nets.checkpoints import IDENTITY_KEY, is_intact, read_checkpoint
from maskgit_lab.nets.files import check_arrays, check_finite, check_fits, load_net, shapes_of
from maskgit_lab.objects import TARGET
from maskgit_lab.runs.names import CHECKPOINTS, CKPT, LAST
from maskgit_lab.settings import TrainConf

AVERAGE, RAW = "ema.module.", "net."  # before the names of weights in a checkpoint


@dataclass(frozen=True)
class Start:
    """A file that a training begins with."""

    key: str  # the setting that names it
    given: str  # its value
    path: Path
    resumes: bool  # goes on with the whole training state, instead of starting anew from the weights

    def check(self, net: nn.Module, settings: TrainConf) -> None:
        """Raises a `UserError` unless a network, which may be on the meta device, can begin with the file."""
        if self.path.suffix != CKPT:
            if self.resumes:
                raise UserError(f"{self.key}={self.given} has only weights: give ckpt_mode=weights, or a checkpoint")
            check_fits(net, self.path)
            return
        checkpoint = self._read()
        check_arrays(shapes_of(net.state_dict()), shapes_of(_weights(checkpoint)), str(self.path))
        if self.resumes:
            self._check_training(checkpoint, settings)

    def fill(self, net: nn.Module) -> None:
        """Gives a network the weights, the averaged ones where there is an average."""
        if self.path.suffix != CKPT:
            load_net(net, self.path)
            return
        weights = _weights(self._read())
        check_finite(weights, str(self.path))
        net.load_state_dict(dict(weights))

    def check_tokens(self, digest: str) -> None:
        """Raises a `UserError` unless the state is of a training on the same codes."""
        if self._read()[IDENTITY_KEY].get("tokens") != digest:
            raise UserError(
                f"{self.key}={self.given} was trained on other images or with another tokenizer: start from its "
                "weights alone with ckpt_mode=weights"
            )

    def _read(self) -> dict[str, Any]:
        if not is_intact(self.path):
            raise UserError(f"{self.key}: {self.path} is damaged, or not a checkpoint of this suite: give another")
        checkpoint = read_checkpoint(self.path)
        if not isinstance(checkpoint.get(IDENTITY_KEY), dict) or not _weights(checkpoint):
            raise UserError(f"{self.key}: {self.path} is not a checkpoint of a transformer: give one of a run")
        return checkpoint

    def _check_training(self, checkpoint: Mapping[str, Any], settings: TrainConf) -> None:
        own = checkpoint[IDENTITY_KEY].get("settings", {})
        if settings.part not in own:
            raise UserError(
                f"{self.key}={self.given} is of another model than model={settings.model}: give a checkpoint of the "
                "same, or ckpt_mode=weights"
            )
        there, here = own[settings.part].get("optim", {}), settings.transformer.optim
        pairs = {
            "optimizer": (_target(there.get("optimizer")), _target(here.optimizer)),
            "scheduler": (_target(there.get("scheduler")), _target(here.own_scheduler)),
            "an average of the weights": (there.get("ema_decay", 0) > 0, here.ema_decay > 0),
        }
        if different := [name for name, (one, other) in pairs.items() if one != other]:
            raise UserError(
                f"{self.key}={self.given} was trained with another setting of {settings.part}.optim ({different[0]}): "
                "give the same, or ckpt_mode=weights"
            )
        done = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
        if done >= here.epochs:
            raise UserError(
                f"{self.key}={self.given} has {done} epochs done and {settings.part}.optim.epochs is {here.epochs}: "
                "set more, or ckpt_mode=weights"
            )


def start_of(settings: TrainConf) -> Start | None:
    """What the settings name, if they name anything."""
    if (given := settings.transformer.weights) is not None:
        return Start(f"{settings.part}.weights", given, Path(given), resumes=False)
    if settings.ckpt_path is None:
        return None
    path = Path(settings.ckpt_path)
    path = path / CHECKPOINTS / LAST if path.is_dir() else path
    return Start("ckpt_path", settings.ckpt_path, path, settings.ckpt_mode == "resume")


def _weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of the transformer, averaged where there is an average."""
    state = checkpoint["state_dict"]
    prefix = AVERAGE if any(name.startswith(AVERAGE) for name in state) else RAW
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _target(node: Any) -> Any:
    return node.get(TARGET) if isinstance(node, Mapping) else None
