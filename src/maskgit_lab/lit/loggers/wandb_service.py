"""The end of W&B's service process, whose server may be gone.

W&B's own `finish_timeout` does not help there: while the server is gone, the process holds back what it is given, the
request to finish included, and tries to send what came before for hours.
"""

from __future__ import annotations

from contextlib import suppress
from subprocess import Popen, TimeoutExpired
from threading import Thread
from typing import Any

import wandb
from wandb.sdk.lib.module import unset_globals

SECONDS_TO_STOP = 3  # that the service process, and what waits for it here, may take to stop


def stop() -> None:
    """Ends the service process; what it has not sent is on the disk, where `wandb sync` finds it."""
    if (process := _service_process()) is not None:
        process.terminate()
        try:
            process.wait(SECONDS_TO_STOP)
        except TimeoutExpired:
            process.kill()
            process.wait()
    thread = Thread(target=_tear_down, daemon=True)
    thread.start()
    thread.join(SECONDS_TO_STOP)
    unset_globals()  # else the next run in this process would be taken for this one


def _tear_down() -> None:
    with suppress(SystemExit, Exception):  # it passes on the exit code of its process
        wandb.teardown()


def _service_process() -> Popen[bytes] | None:
    """The process that sends what is logged, for which W&B has no public name."""
    found: Any = wandb.setup()
    for name in ("_connection", "_proc", "_process"):
        found = getattr(found, name, None)
    return found if isinstance(found, Popen) else None
