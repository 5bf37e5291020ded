"""The git commit of the code, where it lies in a repository."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

WAIT = 5.0  # seconds: on a slow disk no answer is better than a hanging command
CODE_FILES = ("*.py", "*.yaml", "*.toml")


@cache
def commit() -> dict[str, str | bool]:
    """`commit`, and `clean`: whether code and configs are as committed; empty without a repository.

    Of the package's own folder if it is in a repository, and else of the working folder.
    """
    for folder in (Path(__file__).parent, Path.cwd()):
        head = _git(folder, "rev-parse", "HEAD")
        if head is not None and _git(folder, "check-ignore", "-q", str(folder)) is None:
            root = _git(folder, "rev-parse", "--show-toplevel") or str(folder)
            status = _git(Path(root), "status", "--porcelain", "--", *CODE_FILES)
            return {"commit": head, "clean": status == ""}
    return {}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None if it fails or is not installed."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
