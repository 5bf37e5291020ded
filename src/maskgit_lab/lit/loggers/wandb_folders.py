"""W&B's own folders in the folder of a run: a log for each time that the run was opened, and whether the last ended.

A log, `run-ID.wandb`, is written in the format of LevelDB's logs, in blocks of 32 KiB.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from wandb.proto import wandb_internal_pb2

messages: Any = wandb_internal_pb2  # its classes are made as it is imported
FILE_HEADER, RECORD_HEADER, BLOCK = 7, 7, 2**15  # bytes
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4  # parts of a record


@dataclass(frozen=True)
class Folders:
    """The folders of one run of W&B.

    Args:
        home: the folder of the run.
        id: of the run in W&B.
    """

    home: Path
    id: str

    @property
    def _mark(self) -> Path:
        return self.home / "wandb" / f"open-{self.id}"

    @property
    def unfinished(self) -> str:
        """How the last time that did not come to its end was opened, `online` or `offline`; "": there is none."""
        try:
            return self._mark.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return ""

    def begin(self, mode: str) -> None:
        """Notes that the run is opened; what an online one owes the server is not forgotten offline."""
        if self.unfinished != "online":
            with suppress(OSError):  # it is no reason not to train
                self._mark.parent.mkdir(parents=True, exist_ok=True)
                self._mark.write_text(mode, encoding="utf-8")

    def end(self, mode: str) -> None:
        """Notes that all was written, and sent if it is online."""
        if self.unfinished == mode:
            self._mark.unlink(missing_ok=True)

    def remove_empty(self) -> None:
        """Removes folders of a run that was killed before its log held anything: `wandb sync` stops at such a one."""
        for folder in self.home.glob("wandb/*run-*-*"):
            logs = list(folder.glob("*.wandb"))
            if logs and all(map(_is_empty, logs)):
                shutil.rmtree(folder, ignore_errors=True)

    def offline(self) -> list[Path]:
        """The folders that were written offline and not uploaded since, the oldest first."""
        folders = sorted(self.home.glob(f"wandb/offline-run-*-{self.id}"))
        return [folder for folder in folders if not any(folder.glob("*.wandb.synced"))]

    def history(self) -> Iterator[dict[str, Any]]:
        """What the logs hold, a dict for each time that something was logged."""
        for path in sorted(self.home.glob(f"wandb/*run-*-{self.id}/*.wandb")):
            with suppress(OSError):
                yield from _history(path)


def mark_uploaded(folder: Path) -> None:
    """Lets `wandb sync` pass over a folder."""
    for path in folder.glob("*.wandb"):
        path.with_name(f"{path.name}.synced").touch()


def _is_empty(path: Path) -> bool:
    try:
        return next(_records(path), None) is None
    except OSError:  # nobody knows
        return False


def _history(path: Path) -> Iterator[dict[str, Any]]:
    for record in _records(path):
        try:
            read = messages.Record.FromString(record)
            row = {_key(item): json.loads(item.value_json) for item in read.history.item if item.value_json}
        except (DecodeError, ValueError):
            return
        if row:
            yield row


def _key(item: Any) -> str:
    return str(item.key or ".".join(item.nested_key))


def _records(path: Path) -> Iterator[bytes]:
    """The whole records of a log, which may be cut short anywhere."""
    data, at, parts = path.read_bytes(), FILE_HEADER, b""
    while at + RECORD_HEADER <= len(data):
        if (left := BLOCK - at % BLOCK) < RECORD_HEADER:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)  # after the checksum
        begin, at = at + RECORD_HEADER, at + RECORD_HEADER + length
        if kind not in (FULL, FIRST, MIDDLE, LAST) or at > len(data):
            return
        parts = (b"" if kind in (FULL, FIRST) else parts) + data[begin:at]
        if kind in (FULL, LAST):
            yield parts
