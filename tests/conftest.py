"""Shared by all tests: shapes are checked while they run, and a finished tiny run is made once."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
WITH_SHAPES = [file.relative_to(SOURCE) for file in SOURCE.rglob("*.py") if "from jaxtyping" in file.read_text()]
install_import_hook([".".join(file.with_suffix("").parts) for file in WITH_SHAPES], "shape_checker.check")

import pytest  # noqa: E402
import torch  # noqa: E402
from filelock import FileLock  # noqa: E402

import composing  # noqa: E402
from copies import copy_of  # noqa: E402
from maskgit_lab import config  # noqa: E402
from maskgit_lab.launch import cli, interruption  # noqa: E402
from maskgit_lab.metrics import registry  # noqa: E402
from maskgit_lab.metrics.pretrained import PRETRAINED  # noqa: E402
from maskgit_lab.runs import lease  # noqa: E402
from records import change_record  # noqa: E402

torch.set_num_threads(1)  # as fast for such small networks, and far faster on a machine that does other things too


class Said(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


def call(verb: str, arguments: Sequence[str]) -> int:
    """Runs an entry point in this process, so that shapes are checked; returns its exit code."""
    before, sys.argv = sys.argv, [f"{verb}.py", *arguments]
    try:
        with patch.dict(os.environ):
            cli.Command(verb)()
    except SystemExit as stop:
        return int(stop.code or 0)
    finally:
        sys.argv = before
    return 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files come first, so that no process waits for another at the end."""
    slow = ("e2e", "notebooks", "commands", "launch")
    items.sort(key=lambda item: next((i for i, room in enumerate(slow) if room in item.path.parts), len(slow)))


def pytest_collection_finish() -> None:
    """What was imported stays: looking through it for garbage takes a tenth of the time of the tests."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """The interpreter ends with no objects that are out of sight, of which some libraries would warn."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _configs() -> Iterator[None]:
    """Configs are known to Hydra in all tests, and each choice of them is composed once."""
    for verb in config.SCHEMAS:
        config.register(verb)
    with composing.once():
        yield


@pytest.fixture(scope="session", autouse=True)
def _networks() -> None:
    """A pretrained network, which never changes, is made once for each of its weights."""
    for name, kind in PRETRAINED.items():
        PRETRAINED[name] = cache(kind)  # type: ignore[assignment]


@pytest.fixture(scope="session", autouse=True)
def _alone() -> Iterator[None]:
    """Nobody on another machine takes over what a killed process left, so that nobody has to wait for that."""
    with patch.object(lease, "SETTLE", 0.05):
        yield


@pytest.fixture(scope="session", autouse=True)
def _outlives_commands() -> Iterator[None]:
    """This process goes on after a command, and heeds signals."""
    with patch.object(interruption, "ignore"):
        yield


@pytest.fixture(autouse=True)
def _variables() -> Iterator[None]:
    """A test leaves no environment variables behind: the console command keeps there how it was typed."""
    with patch.dict(os.environ):
        yield


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
    copy = copy_of(run, to)
    change_record(copy, cache=str(cache))
    return copy


@pytest.fixture
def generator() -> torch.Generator:
    """Randomness that is the same in every run of a test."""
    return torch.Generator().manual_seed(0)
