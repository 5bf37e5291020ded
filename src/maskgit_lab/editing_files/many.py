"""Many edits: pictures of one size together, each result written as it is made, and none made twice.

Which results are made together does not depend on what is finished already, nor on the number of processes, so that not
even the rounding of floating-point numbers does.

Shapes: B results, H x W pixels of a picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from maskgit_lab.data.opening import Opened, open_picture
from maskgit_lab.editing.editor import Edited, Editor
from maskgit_lab.editing_files.naming import result_name
from maskgit_lab.editing_files.png import write_picture
from maskgit_lab.editing_files.results import Edits
from maskgit_lab.editing_files.sources import Place, Source
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.seeds import mix_seeds

STREAM = 17  # of the seeds of edits, so that nothing else draws from them
MOST_TOGETHER = 2**24  # pixels of results


class Label(NamedTuple):
    """The class of a result."""

    number: int
    name: str | None  # None: no class
    source: str  # label, no class, only class or classifier


@dataclass(frozen=True)
class Row:
    """One result."""

    source: Source
    variant: int


@dataclass
class Done:
    """What was done."""

    made: int = 0
    found: int = 0
    conversions: Counter[str] = field(default_factory=Counter)  # pictures by what was converted
    classes: Counter[tuple[str | None, str]] = field(default_factory=Counter)  # the same by class and where it is from
    unseen: int = 0  # pictures of which no token was known
    faults: dict[Path, str] = field(default_factory=dict)  # pictures that cannot be read, and what is wrong with each
    first: Edited | None = None  # the first batch, if it is watched

    def add(self, other: Done) -> None:
        """Adds what another process has done."""
        self.made, self.found = self.made + other.made, self.found + other.found
        self.unseen += other.unseen
        self.faults |= other.faults
        self.conversions += other.conversions
        self.classes += other.classes


@dataclass(frozen=True, kw_only=True)
class Work:
    """Edits that belong together.

    Attributes:
        editor: makes them.
        edits: the folder that they go to.
        sources: the pictures.
        faults: other pictures, which cannot be read, and what is wrong with each.
        windows: in which the model fills a picture, by its height and width.
        variants: of each.
        seed: of all results.
        batch_size: results made at once.
        place: the hole in a picture of some height and width, and what is added around it.
        label: the class of a picture with a hole.
        command: that makes a result again.
    """

    editor: Editor
    edits: Edits
    sources: Sequence[Source]
    faults: Mapping[Path, str]
    windows: Mapping[tuple[int, int], int]
    variants: int
    seed: int
    batch_size: int
    place: Place
    label: Callable[[Tensor, Tensor], Label]
    command: Callable[[Path, int], str]

    @property
    def n_pictures(self) -> int:
        """Those that cannot be read included."""
        return len(self.sources) + len(self.faults)

    def length(self, rank: int, n_ranks: int) -> int:
        """What `advance` comes to in a process: each of its results counts once for each of its windows."""
        return sum(len(rows) * self.windows[rows[0].source.size] for rows in self._batches_of(rank, n_ranks))

    def batches(self) -> Iterator[list[Row]]:
        """The results that are made together."""
        ordered = sorted(self.sources, key=lambda source: source.size)
        for (height, width), same in groupby(ordered, key=lambda source: source.size):
            margins = self.place(height, width)[1]
            pixels = (height + margins.up + margins.down) * (width + margins.left + margins.right)
            at_once = max(1, min(self.batch_size, MOST_TOGETHER // pixels))
            rows = (Row(source, k) for source in same for k in range(self.variants))
            yield from _chunked(rows, at_once)

    def _batches_of(self, rank: int, n_ranks: int) -> Iterator[list[Row]]:
        return islice(self.batches(), rank, None, n_ranks)

    def carry_out(self, rank: int, n_ranks: int, advance: Callable[[int], None], *, watch: bool = False) -> Done:
        """Makes what is missing; of many pictures, those that cannot be read do not stop the others.

        Args:
            rank: of this process.
            n_ranks: processes, each of which takes every n-th batch.
            advance: called with the number of results after each window of a batch.
            watch: keeps how the first result of this process fills, even if it is finished.

        Raises:
            UserError: the only picture cannot be read, or a result would take the place of something else.
        """
        done = Done(faults=dict(self.faults))
        for i, rows in enumerate(self._batches_of(rank, n_ranks)):
            self._batch(rows, done, advance, watch and i == 0)
        return done

    def _batch(self, rows: Sequence[Row], done: Done, advance: Callable[[int], None], watched: bool) -> None:
        found = self._found(rows)
        for made in found.values():
            if made["variant"] == 0:
                done.classes[made["class_name"], made["class_from"]] += 1
        done.found += len(found)
        missing = {row for row in rows if row not in found}
        edited = self._make(rows, missing, done, advance, watched) if missing or watched else 0
        advance((len(rows) - edited) * self.windows[rows[0].source.size])

    def _found(self, rows: Sequence[Row]) -> dict[Row, dict[str, Any]]:
        """What the results that are finished say of themselves."""
        there = {row: path for row in rows if (path := self._file(row)).exists()}
        digests = {source.path: file_sha256(source.path) for source in {row.source for row in there}}
        made = {row: self.edits.find(path, digests[row.source.path]) for row, path in there.items()}
        return {row: about for row, about in made.items() if about is not None}

    def _make(
        self,
        rows: Sequence[Row],
        missing: Collection[Row],
        done: Done,
        advance: Callable[[int], None],
        watched: bool,
    ) -> int:
        """Makes what can be read of a batch, and writes what is missing of it; returns how many were made."""
        hole, margins = self.place(*rows[0].source.size)
        opened = self._opened(rows, done)
        rows = [row for row in rows if row.source.path in opened]
        if not rows:
            return 0
        labels = {path: self.label(picture.pixels, hole) for path, picture in opened.items()}
        pictures = [opened[row.source.path].pixels for row in rows]
        edited = self.editor.edit(
            torch.stack(pictures[:1] if len(opened) == 1 else pictures),
            hole,
            [labels[row.source.path].number for row in rows],
            [self.seed_of(row.variant) for row in rows],
            margins=margins,
            keep_frames=watched,
            batch_size=self.batch_size,
            advance=advance,
        )
        done.first = edited if watched else done.first
        for row, pixels in zip(rows, edited.pixels, strict=True):
            if row in missing:
                picture, label = opened[row.source.path], labels[row.source.path]
                write_picture(pixels, self._file(row), self._about(row, picture, label), picture.profile)
                done.made += 1
                if row.variant == 0:
                    done.classes[label.name, label.source] += 1
                    done.conversions.update(picture.conversions)
                    done.unseen += edited.known == 0
        return len(rows)

    def _opened(self, rows: Sequence[Row], done: Done) -> dict[Path, Opened]:
        """The pictures of a batch that can be read."""
        opened = dict[Path, Opened]()
        for source in dict.fromkeys(row.source for row in rows):
            try:
                opened[source.path] = self._open(source)
            except UserError as error:
                if self.n_pictures == 1:
                    raise
                done.faults[source.path] = str(error)
        return opened

    def _open(self, source: Source) -> Opened:
        opened = open_picture(source.path)
        if opened.pixels.shape[1:] != source.size:
            raise UserError(f"image={source.path} has changed while it was edited: run the same command again")
        return opened

    def _about(self, row: Row, picture: Opened, label: Label) -> dict[str, Any]:
        return self.edits.about | {
            "identity": self.edits.identity,
            "command": self.command(row.source.path, row.variant),
            "class": None if label.name is None else label.number,
            "class_name": label.name,
            "class_from": label.source,
            "seed": self.seed_of(row.variant),
            "variant": row.variant,
            "input": row.source.name.as_posix(),
            "sha256": picture.sha256,
        }

    def seed_of(self, variant: int) -> int:
        """The seed of a variant, which is the same for all pictures."""
        return mix_seeds(self.seed, STREAM, variant)

    def _file(self, row: Row) -> Path:
        return self.edits.folder / result_name(row.source.stem, row.variant)


def _chunked(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    chunk = list[Row]()
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
