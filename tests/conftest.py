"""Shared by all tests: shapes are checked while they run, and a finished tiny run is made once."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]
install_import_hook("maskgit_lab", "shape_checker.check")

import pytest  # noqa: E402
import torch  # noqa: E402
from filelock import FileLock  # noqa: E402

from maskgit_lab.launch import cli  # noqa: E402
from maskgit_lab.metrics import registry  # noqa: E402
from maskgit_lab.metrics.pretrained import PRETRAINED  # noqa: E402

torch.set_num_threads(1)  # as fast for such small networks, and far faster on a machine that does other things too


class Said(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


def call(verb: str, arguments: Sequence[str]) -> int:
    """Runs an entry point in this process, so that shapes are checked; returns its exit code."""
    before = sys.argv, os.environ.get(cli.FULL_ERROR)
    sys.argv = [f"{verb}.py", *arguments]
    try:
        cli.Command(verb)()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before[0]
        os.environ.pop(cli.FULL_ERROR, None)
        os.environ.pop(cli.OURS, None)
    return 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files come first, so that no process waits for another at the end."""
    slow = ("e2e", "notebooks", "commands", "launch")
    items.sort(key=lambda item: next((i for i, room in enumerate(slow) if room in item.path.parts), len(slow)))


@pytest.fixture(scope="session", autouse=True)
def _networks() -> None:
    """A pretrained network, which never changes, is made once for each of its weights."""
    for name, kind in PRETRAINED.items():
        PRETRAINED[name] = cache(kind)  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def _known_metrics() -> None:
    """Forgets the metrics that a test before has added and removed."""
    registry.metric_of.cache_clear()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Runs an entry point in an empty folder and catches what it says."""
    monkeypatch.chdir(tmp_path)

    def run(verb: str, *arguments: str) -> Said:
        code = call(verb, arguments)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes that run tests."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def tiny_cache(shared_folder: Path) -> Path:
    """A cache that tiny runs share."""
    return shared_folder / "cache"


@pytest.fixture(scope="session")
def tiny_run(tiny_cache: Path, shared_folder: Path) -> Path:
    """A finished run of `debug=tiny`, made once; tests read it and leave it as it is."""
    folder = shared_folder / "runs" / "tiny"
    with FileLock(shared_folder / "tiny.lock"):
        if not folder.exists():
            assert call("train", ["debug=tiny", "logger=none", f"cache_dir={tiny_cache}", f"run_dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="session")
def tiny_autoregressive(tiny_run: Path, tiny_cache: Path, shared_folder: Path) -> Path:
    """The same of an autoregressive model, on the tokenizer and the codes of the tiny run."""
    folder = shared_folder / "runs" / "tiny_autoregressive"
    settings = ["model=autoregressive", "debug=tiny", "logger=none", "autoregressive.label_dropout=0.1"]
    with FileLock(shared_folder / "tiny_autoregressive.lock"):
        if not folder.exists():
            assert call("train", [*settings, f"cache_dir={tiny_cache}", f"run_dir={folder}"]) == 0
    return folder


@pytest.fixture
def run(tiny_run: Path, tiny_cache: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run, to be evaluated; it uses the cache of tiny runs."""
    return copied(tiny_run, tiny_cache, tmp_path / "run")


@pytest.fixture
def autoregressive(tiny_autoregressive: Path, tiny_cache: Path, tmp_path: Path) -> Path:
    """The same of the autoregressive one."""
    return copied(tiny_autoregressive, tiny_cache, tmp_path / "autoregressive")


def copied(run: Path, cache: Path, to: Path) -> Path:
    """A copy of a run, which goes on with a cache at a fixed place."""
    copy = Path(shutil.copytree(run, to))
    record = json.loads((copy / "run.json").read_text())
    del record["checksum"]
    (copy / "run.json").write_text(json.dumps({**record, "cache": str(cache)}))
    return copy


@pytest.fixture
def generator() -> torch.Generator:
    """Randomness that is the same in every run of a test."""
    return torch.Generator().manual_seed(0)
