"""Who works with a cache: a lease in `<cache>/.in_use/` for each process, so that nothing is removed under it.

A lease that nobody has any more belonged to a process that was killed, and whoever finds it may delete it. The gate, a
lease of its own, is held for a moment by whoever begins to work with the cache, and for as long as it takes by whoever
removes something from it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from maskgit_lab.runs.holder import Holder
from maskgit_lab.runs.lease import Lease, is_held, leased

FOLDER, GATE = ".in_use", "gate"
PATIENCE = 1.0  # seconds with a command that begins at the same moment


def hold(cache: Path, say: Callable[[str], None]) -> Lease:
    """A lease that keeps others from removing anything in a cache, for as long as it lives.

    Args:
        cache: the folder, with `.in_use/` in it.
        say: is told if the cache is being cleaned, which is waited for.
    """

    def waiting(holder: Holder) -> None:
        say(f"{cache} is being cleaned ({holder}); waiting")

    with leased(cache / FOLDER / GATE, waiting, PATIENCE):
        _forget_killed(cache)
        lease = Lease(cache / FOLDER / f"{os.getpid()}-{secrets.token_hex(4)}")
        lease.acquire(waiting)
    return lease


@contextmanager
def kept_free(cache: Path) -> Iterator[str | None]:
    """Keeps commands from beginning to work with a cache.

    Yields:
        Why nothing may be removed in the cache, as a sentence; None where something may.
    """
    if not cache.is_dir():
        yield None
        return
    with ExitStack() as held:
        try:
            (cache / FOLDER).mkdir(exist_ok=True)
            held.enter_context(leased(cache / FOLDER / GATE, lambda _: None))
            _forget_killed(cache)
            fault = f"a command is working with the cache {cache}: wait for it" if is_in_use(cache) else None
        except OSError as error:
            fault = f"cannot write the cache folder {cache} ({error.strerror}): nothing in it can be removed"
        yield fault


def is_in_use(cache: Path) -> bool:
    """Whether a command is working with a cache."""
    return any(map(is_held, _files(cache)))


def _forget_killed(cache: Path) -> None:
    """Deletes the leases of processes that were killed; for whoever holds the gate."""
    for path in _files(cache):
        if not is_held(path):
            with suppress(OSError):
                path.unlink()


def _files(cache: Path) -> list[Path]:
    folder = cache / FOLDER
    return [path for path in folder.iterdir() if path.name != GATE] if folder.is_dir() else []
