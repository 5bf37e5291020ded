"""The end of a W&B run whose server may be gone.

W&B's own `finish_timeout` does not help there: while the server is gone, its service process holds back what it is
given, the request to finish included, and tries to send what came before for hours.
"""

from __future__ import annotations

from contextlib import suppress
from subprocess import Popen, TimeoutExpired
from threading import Thread
from typing import Any

import wandb

SECONDS_TO_STOP = 10  # that the service process may take to stop


def finish(run: wandb.Run, exit_code: int, seconds: float) -> bool:
    """Finishes a run if that can be done in time, and else ends W&B's service process.

    Args:
        run: in W&B.
        exit_code: 0, or 1 if it failed.
        seconds: to wait.

    Returns:
        Whether all was uploaded. What was not is on the disk, where `wandb sync` finds it.
    """

    def work() -> None:
        with suppress(Exception):  # of a service process that has ended
            run.finish(exit_code=exit_code)

    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not thread.is_alive():
        return True
    if (process := _service_process()) is not None:
        _stop(process)
    thread.join(SECONDS_TO_STOP)
    with suppress(SystemExit, Exception):  # it passes on the exit code of its process
        wandb.teardown()
    return False


def _stop(process: Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(SECONDS_TO_STOP)
    except TimeoutExpired:
        process.kill()
        process.wait()


def _service_process() -> Popen[bytes] | None:
    """The process that sends what is logged, for which W&B has no public name."""
    found: Any = wandb.setup()
    for name in ("_connection", "_proc", "_process"):
        found = getattr(found, name, None)
    return found if isinstance(found, Popen) else None
