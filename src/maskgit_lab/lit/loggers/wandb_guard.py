"""The one place through which W&B is called while a run goes on: it neither fails the run nor holds it up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Thread
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import WandbLogger

from maskgit_lab.errors import first_line


class Guard:
    """Makes calls one after the other in a thread of its own; what fails is one line, once.

    Args:
        say: is called with a line for the user.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.has_failed = False
        self._calls = SimpleQueue[Callable[[], object] | None]()
        self._thread = Thread(target=self._work, daemon=True, name="wandb")

    def __call__(self, call: Callable[[], object]) -> None:
        """Makes a call as soon as those before it are done."""
        self._calls.put(call)
        if self._thread.ident is None:  # it is not started yet
            self._thread.start()

    def fail(self, reason: str) -> None:
        """Says that something was not sent, the first time."""
        if not self.has_failed:
            self.has_failed = True
            self.say(
                f"W&B does not answer ({reason}): the run continues without it, and its folder has everything; the "
                "same command sends what is missing"
            )

    def end(self, seconds: float) -> bool:
        """Waits until all calls are made.

        Args:
            seconds: to wait.

        Returns:
            Whether they are.
        """
        self._calls.put(None)
        if self._thread.ident is not None:
            self._thread.join(seconds)
        if is_late := self._thread.is_alive():
            self.has_failed = True  # which its caller says
        return not is_late

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except Exception as error:  # whatever W&B raises
                self.fail(first_line(error))


class GuardedLogger(WandbLogger):
    """Lightning's logger, whose trainer calls W&B through the guard as well.

    Args:
        guard: makes the calls.
        arguments: of `WandbLogger`.
    """

    def __init__(self, guard: Guard, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.guard = guard

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Logs numbers of a training."""
        numbers = dict(metrics)
        self.guard(lambda: super(GuardedLogger, self).log_metrics(numbers, step))

    def log_hyperparams(self, params: Any) -> None:
        """Logs settings of a module."""
        self.guard(lambda: super(GuardedLogger, self).log_hyperparams(params))

    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Uploads checkpoints of Lightning's callback, where the logger has `log_model`."""
        self.guard(lambda: super(GuardedLogger, self).after_save_checkpoint(checkpoint_callback))

    def finalize(self, status: str) -> None:
        """Uploads what is left of these."""
        self.guard(lambda: super(GuardedLogger, self).finalize(status))
