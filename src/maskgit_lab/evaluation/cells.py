"""The cells of the runtime figure: each a batch that a decoder fills, timed, checked and kept as a row."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import torch

from maskgit_lab import git
from maskgit_lab.code import Code, code_of
from maskgit_lab.console import Terminal
from maskgit_lab.decoding.base import Decoder
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.timing import Decoding, Pixels, device_name, repeated
from maskgit_lab.runs.results import Row
from maskgit_lab.runs.timings import CPU, EXPECTED, FAULT, HIGHEST, LOWEST, SECONDS, Timings, cell_of

TIMING = "maskgit_lab.evaluation.timing"
KV_CACHE = "kv_cache"
TOKENIZER = "tokenizer"  # in the place of a decoder: what makes pixels of tokens
ROUNDED = 20  # of so many images one may have other tokens without a cache, where rounding tips a draw


@dataclass(frozen=True)
class Cell:
    """What is timed at once."""

    settings: Mapping[str, Any]  # by which its row is known
    work: Callable[[], Decoding | Pixels]  # makes the networks
    code: Code  # that runs

    @property
    def name(self) -> str:
        """In a few words."""
        own = self.settings
        steps = f", T = {own['steps']}" if "steps" in own else ""
        cache = {True: ", KV cache", False: ", no cache", None: ""}[own.get(KV_CACHE)]
        return f"{own['decoder']}{steps}{cache}: {own['tokens']:,} tokens, batch {own['batch_size']}"


@dataclass(frozen=True)
class Effort:
    """How often each cell is timed."""

    repeats: int = 3  # repetitions at most, of which the median counts
    enough: float = 60.0  # seconds after which none is begun
    most: float = 600.0  # seconds of one batch; one that is expected to take longer is left out


def settings_of_cell(
    decoder: Decoder | None, sizes: Mapping[str, Any], grid: tuple[int, int], batch_size: int, device: torch.device
) -> dict[str, Any]:
    """The settings of every row: the decoder's own, the network's, the batch, and what it runs on.

    Args:
        decoder: that fills the batch; None: the tokenizer makes its pixels.
        sizes: arguments of the transformer.
        grid: height and width of an image in tokens.
        batch_size: images at once.
        device: where they are decoded.
    """
    names = {"n_codes": "codes", "n_classes": "classes", "n_tokens": "tokens"}
    network = {names.get(key, key): sizes[key] for key in (*names, "depth", "heads", "width", "mlp_width")}
    threads = {"threads": torch.get_num_threads()} if device.type == "cpu" else {}
    place = {"device": device_name(device), **threads, "torch": torch.__version__}
    own = {"decoder": TOKENIZER} if decoder is None else decoder.settings
    return {**own, **network, "grid": f"{grid[0]}x{grid[1]}", "batch_size": batch_size, **place}


def code_of_cell(*parts: object) -> Code:
    """The code that a cell runs: the clock, and the modules of a decoder, its schedule and a network."""
    every = [*parts, *(schedule for part in parts if (schedule := getattr(part, "schedule", None)) is not None)]
    kinds = [part if isinstance(part, type) else type(part) for part in every]
    return code_of(TIMING, *(kind.__module__ for kind in kinds))


def time_cells(
    cells: Sequence[Cell],
    timings: Timings,
    terminal: Terminal,
    effort: Effort,
    *,
    rerun: bool = False,
    reuse: bool = False,
) -> list[Row]:
    """Times what has no row yet, and adds each row as soon as it is known.

    Args:
        cells: what is wanted.
        timings: where rows are kept.
        terminal: shows a bar.
        effort: how often each is timed.
        rerun: measures again what other code measured.
        reuse: takes what other code measured as it is.

    Returns:
        The rows of all cells.

    Raises:
        Stale: other code measured some, and it was not said what to do about that.
        UserError: decoding with a cache gives other tokens than without.
    """
    for cell in cells:
        timings.settle(cell_of(cell.settings), cell.code, rerun=rerun, reuse=reuse)
    known = {cell_of(cell.settings): timings.of(cell.code).get(cell_of(cell.settings)) for cell in cells}
    missing = [cell for cell in cells if not _is_known(known[cell_of(cell.settings)], effort)]
    terminal.note("runtime", f"{len(cells)} cells, {len(cells) - len(missing)} of them measured before")
    with terminal.bar("runtime", len(missing)) as advance:
        for cell in missing:
            advance(0, cell.name)
            row = {**cell.settings, **_timed(cell, effort), **git.commit()}
            timings.append(row, cell.code)
            known[cell_of(cell.settings)] = row
            terminal.say(f"{'':<10} {cell.name}: {in_words(row)}")
            advance(1, cell.name)
    return [row for row in known.values() if row is not None]


def in_words(row: Row) -> str:
    """How long a cell took."""
    if SECONDS in row:
        return f"{row[SECONDS]:.3g} s an image ({row[LOWEST]:.3g} to {row[HIGHEST]:.3g}, n = {row['n']})"
    if EXPECTED in row:
        return f"not measured: it would take about {row[EXPECTED]:,.0f} s"
    return f"not measured: {row[FAULT]}"


def _is_known(row: Row | None, effort: Effort) -> bool:
    return row is not None and (SECONDS in row or row.get(EXPECTED, 0) > effort.most)


def _timed(cell: Cell, effort: Effort) -> Row:
    """What is measured of a cell."""
    about: dict[str, Any] = {"load": os.getloadavg()[0]} if hasattr(os, "getloadavg") else {}
    try:
        work = cell.work()
        if isinstance(work, Decoding):
            about["parameters"] = sum(weight.numel() for weight in work.net.parameters())
        expected = work.warm_up()
        return {**about, **({EXPECTED: expected} if expected > effort.most else _measured(work, effort))}
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return {**about, FAULT: "it does not fit in the GPU's memory"}


def _measured(work: Decoding | Pixels, effort: Effort) -> dict[str, Any]:
    laps = repeated(work.lap, effort.repeats, effort.enough)
    times, count = [lap.seconds for lap in laps], len(laps[0].made)
    row: dict[str, Any] = {SECONDS: median(times) / count, LOWEST: min(times) / count, HIGHEST: max(times) / count}
    row |= {CPU: median(lap.cpu_seconds for lap in laps) / count, "n": len(laps)}
    if isinstance(work, Decoding) and getattr(work.decoder, KV_CACHE, None) is False:
        row["other_tokens"] = _with_other_tokens(work, laps[0].made)
    return row


def _with_other_tokens(decoding: Decoding, tokens_BN: torch.Tensor) -> int:
    """The number of images that have other tokens with a KV cache than without.

    On paper there are none. The sums of a matrix product may be rounded otherwise for another shape, which tips a draw
    that is nearly a tie; in half precision the number says nothing, and is not checked.

    Raises:
        UserError: there are more than rounding explains.
    """
    cached = replace(decoding, decoder=replace(decoding.decoder, **{KV_CACHE: True}))  # type: ignore[type-var]
    n_other = int((cached.tokens() != tokens_BN).any(dim=1).sum())
    allowed = 0 if len(tokens_BN) == 1 else max(1, len(tokens_BN) // ROUNDED)
    if n_other > allowed and next(decoding.net.parameters()).dtype == torch.float32:
        raise UserError(
            f"{n_other} of {len(tokens_BN)} images have different tokens with and without a KV cache, for the same "
            "seeds: the network's cache is wrong, so fix its next_logits"
        )
    return n_other
