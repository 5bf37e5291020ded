"""Which jobs the sweeps of a folder have launched, so that the same sweep, given twice, launches none of them twice."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from maskgit_lab.runs.lease import is_held, leased

FOLDER, GATE = ".sweeps", "gate.lock"
LIST, LEASE = ".json", ".lock"


class Claims:
    """The jobs of one sweep, which waits for them, and those of others.

    Args:
        folder: that the sweeps share.
    """

    def __init__(self, folder: Path) -> None:
        self.place = folder / FOLDER
        self.own = self.place / f"{os.getpid()}-{secrets.token_hex(4)}{LIST}"
        self.jobs: set[str] = set()

    def claim(self, jobs: Collection[str]) -> set[str]:
        """Of some jobs, by their fingerprints, those that no other sweep has launched: they are this one's from now."""
        with leased(self.place / GATE, lambda _: None, patience=1.0):
            free = set(jobs) - self._of_others()
            self.jobs |= free
            self.own.write_text(json.dumps(sorted(self.jobs)), encoding="utf-8")
        return free

    def _of_others(self) -> set[str]:
        """The jobs of sweeps that are alive; the lists of those that were killed are deleted."""
        jobs: set[str] = set()
        for path in self.place.glob(f"*{LIST}"):
            if path != self.own and is_held(path.with_suffix(LEASE)):
                with suppress(OSError, ValueError):
                    jobs |= set(map(str, json.loads(path.read_text(encoding="utf-8"))))
            elif path != self.own:
                path.unlink(missing_ok=True)
                path.with_suffix(LEASE).unlink(missing_ok=True)
        return jobs


@contextmanager
def claims(folder: Path) -> Iterator[Claims]:
    """The claims of a sweep, until it ends."""
    made = Claims(folder)
    made.place.mkdir(parents=True, exist_ok=True)
    with leased(made.own.with_suffix(LEASE), lambda _: None):
        try:
            yield made
        finally:
            made.own.unlink(missing_ok=True)
