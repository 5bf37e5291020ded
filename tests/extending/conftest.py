"""A place outside the package for what a user adds, forgotten after the test."""

import gc
import sys

import pytest


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that Python finds, and gives its name."""
    (tmp_path / "own").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "own")
    written = []

    def write(name: str, source: str) -> str:
        (tmp_path / "own" / f"{name}.py").write_text(source)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)
    gc.collect()  # classes that know their subclasses forget these


@pytest.fixture
def option(tmp_path):
    """Writes an option of a group; gives the arguments by which Hydra finds it."""

    def write(group: str, name: str, text: str) -> list[str]:
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / f"{name}.yaml").write_text(text)
        return ["--config-dir", str(tmp_path / "conf"), f"{group}={name}"]

    return write
