"""An empty working folder with what docs/extending.md says, forgotten after the test."""

import gc
import sys

import pytest

from evaluations import QUIET
from following import follow
from maskgit_lab.metrics import registry


@pytest.fixture
def followed(command, tiny_cache, tmp_path, monkeypatch):
    """Follows a section of docs/extending.md; gives what its commands printed."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("my_")]:
        monkeypatch.delitem(sys.modules, name)  # of another folder, in a test before
    before, known = set(sys.modules), dict(registry.TABLE)

    def run(title: str) -> list:
        return follow("extending.md", title, tmp_path, command, f"cache_dir={tiny_cache}", *QUIET)

    yield run
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]
    registry.TABLE.clear()
    registry.TABLE.update(known)
    gc.collect()  # classes that know their subclasses forget these
