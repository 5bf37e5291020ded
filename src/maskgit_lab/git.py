"""The git commit of the code, where it lies in a repository."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

WAIT = 5.0  # seconds: on a slow disk no answer is better than a hanging command
CODE_FILES = ("*.py", "*.yaml", "*.toml")


@cache
def commit() -> dict[str, str | bool]:
    """`commit`, and `clean`: whether code and configs are as committed; empty unless the package is in a repository.

    A repository that only surrounds an installed package, such as one with an environment in it, is not the package's.
    """
    folder = Path(__file__).parent
    head = _git(folder, "rev-parse", "HEAD")
    if head is None or _git(folder, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return {}
    root = _git(folder, "rev-parse", "--show-toplevel") or str(folder)
    return {"commit": head, "clean": _git(Path(root), "status", "--porcelain", "--", *CODE_FILES) == ""}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails or is not installed."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
