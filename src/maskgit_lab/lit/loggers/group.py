"""All loggers of a run together, as the group `logger` chooses them: `logger=wandb`, `logger=[csv,tensorboard]`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger as LightningLogger
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

from maskgit_lab import ranks
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.lit.loggers import wandb_start
from maskgit_lab.lit.loggers.base import Described, RunLogger
from maskgit_lab.lit.loggers.lightning import LightningRun, TensorBoardRun
from maskgit_lab.objects import TARGET, build, locate
from maskgit_lab.runs.results import Row
from maskgit_lab.runs.run import Logger, NoLogger
from maskgit_lab.settings import LoggerConf


class Loggers:
    """Gives all of them everything."""

    def __init__(self, members: Sequence[RunLogger]) -> None:
        self.members = members

    @property
    def lightning(self) -> Sequence[LightningLogger]:
        """Those that Lightning's trainer knows."""
        return [member.logger for member in self.members if member.logger is not None]

    def earlier(self, rows: Sequence[Row]) -> None:
        """Points that earlier commands measured, for those that do not have them."""
        for member in self.members:
            member.earlier(rows)

    def point(self, row: Row) -> None:
        """One point of the curve."""
        for member in self.members:
            member.point(row)

    def points(self, rows: Sequence[Row]) -> None:
        """All points together, and the best of each metric."""
        for member in self.members:
            member.points(rows)

    def scores(self, group: str, scores: Mapping[str, float]) -> None:
        """Numbers that are measured once in a run."""
        for member in self.members:
            member.scores(group, scores)

    def pictures(self, pictures: Mapping[str, Path], step: int | None = None) -> None:
        """PNG files by their names, and the step of the training that they show; None: after it."""
        for member in self.members:
            member.pictures(pictures, step)

    def checkpoints(self, paths: Sequence[Path]) -> None:
        """The files of the trained model."""
        for member in self.members:
            member.checkpoints(paths)


@contextmanager
def logging(conf: LoggerConf, about: Described) -> Iterator[Logger]:
    """The loggers of one run, in the main process; at the end each is closed, as failed if there was an error.

    Args:
        conf: chooses them.
        about: the run.

    Raises:
        UserError: one of them cannot be opened.
    """
    check_loggers(conf)
    members: list[RunLogger] = []
    failed = True
    try:
        for name, node in conf.use.items() if ranks.is_main() else ():
            if (member := _opened(name, node, conf, about)) is not None:
                members.append(member)
        yield Loggers(members) if members else NoLogger()
        failed = False
    finally:
        for member in members:
            member.close(failed)


def check_loggers(conf: LoggerConf) -> None:
    """Raises a `UserError` if one of the loggers is of no known kind, or its package is not installed."""
    for name, node in conf.use.items():
        key = f"logger.use.{name}"
        if not isinstance(node, Mapping):
            raise UserError(f"{key}={node} is not possible: give it a {TARGET}, the name of one of Lightning's loggers")
        kind = locate(node.get(TARGET), f"{key}.{TARGET}", f"{key} cannot be built")
        if not (isinstance(kind, type) and issubclass(kind, LightningLogger | RunLogger)):
            raise UserError(f"{key}.{TARGET} is not a logger: name one of Lightning's, or a class derived from one")
        if issubclass(kind, TensorBoardLogger) and not (find_spec("tensorboard") or find_spec("tensorboardX")):
            raise UserError(
                f"logger={name} needs the package tensorboard: run `uv pip install '.[tensorboard]'` in the checkout, "
                "or choose another logger"
            )


def is_owed(conf: LoggerConf, about: Described) -> bool:
    """Whether a logger lacks something of a run that is finished; the same in every process.

    Args:
        conf: chooses the loggers.
        about: the run.
    """
    nodes = [node for node in conf.use.values() if isinstance(node, Mapping)] if ranks.is_main() else []
    kinds = [(locate(node[TARGET], "logger"), node) for node in nodes if TARGET in node]
    owed = [wandb_start.owes(conf, _arguments(node), about) for kind, node in kinds if _is_wandb(kind)]
    return ranks.share(any(owed))


def _is_wandb(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, WandbLogger)


def _arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key != TARGET}


def _opened(name: str, node: Mapping[str, Any], conf: LoggerConf, about: Described) -> RunLogger | None:
    key, kind = f"logger.use.{name}", locate(node[TARGET], name)
    if _is_wandb(kind):
        return wandb_start.start(conf, _arguments(node), about)
    if issubclass(kind, RunLogger):
        return build(node, key, RunLogger, about=about)
    if issubclass(kind, TensorBoardLogger):
        place = {"save_dir": about.folder, "name": name, "version": f"{about.job_type}-{about.id}"}
        return TensorBoardRun(_build(node, key, kind, place | {"default_hp_metric": False}), about)
    return LightningRun(_build(node, key, kind, {"save_dir": about.folder / "loggers" / name}), about)


def _build(node: Mapping[str, Any], key: str, kind: Callable[..., Any], defaults: Mapping[str, Any]) -> LightningLogger:
    """A logger of Lightning's, which writes into the folder of the run unless its settings say otherwise."""
    taken = signature(kind).parameters
    own = {name: value for name, value in defaults.items() if name in taken and name not in node}
    logger = build(node, key, LightningLogger, **own)  # type: ignore[type-abstract]
    try:
        getattr(logger, "experiment", None)  # many open what they write to only now
    except Exception as error:  # whatever it raises for settings that make no sense, or without a server
        raise UserError(f"{key} cannot be opened ({first_line(error)}): change its settings") from error
    return logger
