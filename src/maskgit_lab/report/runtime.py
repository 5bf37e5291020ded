"""The runtime figure: seconds per image over the number of tokens, a panel for each batch size, beside the paper's."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from maskgit_lab.ablation.runtime import (
    CACHED,
    TOKENIZER,
    UNCACHED,
    Place,
    Ratio,
    Runtimes,
    Timed,
    maskgit_line,
    published_lines,
    ratios,
    runtimes_of,
    speedups,
)
from maskgit_lab.console import Terminal
from maskgit_lab.report.matplotlib_figures import RC, save_figure
from maskgit_lab.report.plotly_figures import axes_layout, log_range, ticks_at
from maskgit_lab.report.styles import Style
from maskgit_lab.report.tables import Table
from maskgit_lab.report.words import NONE, count, format_range
from maskgit_lab.runs.results import Row
from maskgit_lab.runs.timings import CPU, SECONDS

USUAL = {
    maskgit_line(8): Style("#0072B2", "", "circle", "o"),
    maskgit_line(12): Style("#56B4E9", "7,3", "triangle-up", "^"),
}
OTHERS = (
    Style("#009E73", "2,3", "pentagon", "p"),
    Style("#4D4D4D", "10,3,3,3", "hexagon", "h"),
    Style("#CC79A7", "4,4", "star", "*"),
)
OF_OTHERS = {UNCACHED: Style("#D55E00", "", "square", "s"), CACHED: Style("#E69F00", "7,3", "diamond", "D")}
PANEL = (3.1, 3.1)  # inches
Y_TITLE, X_TITLE = "seconds per image", "tokens per image"
PIXELS = "pixels"  # the column of the tokenizer


@dataclass(frozen=True)
class RuntimePanel:
    """One pair of axes."""

    title: str  # over it
    note: str  # below the title
    lines: Mapping[str, Sequence[tuple[int, Timed]]]  # by name: numbers of tokens, ascending, and their times


@dataclass(frozen=True)
class RuntimeChapter:
    """What the report says of the times of one network on one device."""

    key: str  # for file names and anchors
    title: str
    found: Runtimes
    panels: Sequence[RuntimePanel]  # one for each batch size, and the paper's
    table: Table  # seconds per image
    ratios: Table  # of the autoregressive model to MaskGIT
    notes: Sequence[str]  # what a reader has to know

    @property
    def styles(self) -> dict[str, Style]:
        """The look of each line, in the order of the legend."""
        return line_styles({name for panel in self.panels for name in panel.lines})


def runtime_chapters(rows: Sequence[Row]) -> list[RuntimeChapter]:
    """A chapter for each network and device that rows are of."""
    return [_chapter(f"runtime-{i}", found) for i, found in enumerate(runtimes_of(rows), start=1)]


def draw_runtimes(rows: Sequence[Row], out: Path) -> list[Path]:
    """Draws the figure of each network and device into a folder, as PNG and SVG; returns the PNGs."""
    chapters = [chapter for chapter in runtime_chapters(rows) if chapter.panels]
    names = ["runtime", *(f"runtime-{i}" for i in range(2, len(chapters) + 1))]
    return [draw_runtime(chapter, out / name) for chapter, name in zip(chapters, names, strict=False)]


def draw_runtime(chapter: RuntimeChapter, path: Path) -> Path:
    """Draws the panels side by side on one scale with one legend; writes PNG and SVG and returns the PNG."""
    with mpl.rc_context(RC):
        size = PANEL[0] * len(chapter.panels), PANEL[1] + 0.8
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(chapter.title, fontsize=10, parse_math=False)
        grid: Any = figure.subplots(1, len(chapter.panels), squeeze=False, sharey=True).ravel()
        for axes, panel in zip(grid, chapter.panels, strict=True):
            _draw_panel(axes, panel, chapter.styles)
        grid[0].set_ylabel(Y_TITLE)
        handles = [grid[0].plot([], [], **_look(style), label=name)[0] for name, style in chapter.styles.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
        return save_figure(figure, path)


def runtime_spec(panel: RuntimePanel, chapter: RuntimeChapter) -> dict[str, Any]:
    """A panel for Plotly, on the scale of all panels of its chapter."""
    drawn = [one for each in chapter.panels for points in each.lines.values() for _, one in points]
    every = sorted({n for each in chapter.panels for points in each.lines.values() for n, _ in points})
    layout = axes_layout(X_TITLE, Y_TITLE)
    layout["xaxis"] |= ticks_at(every) | log_range((min(every), max(every)))
    decades = _decades(min(one.lowest for one in drawn), max(one.highest for one in drawn))
    layout["yaxis"] |= ticks_at(decades) | log_range((decades[0], decades[-1]))
    return {"data": [_trace(name, panel.lines[name], chapter.styles[name]) for name in panel.lines], "layout": layout}


def runtime_specs(chapter: RuntimeChapter) -> dict[str, Any]:
    """The panels for Plotly, by the ids of their places."""
    return {f"{chapter.key}-{i}": runtime_spec(panel, chapter) for i, panel in enumerate(chapter.panels, start=1)}


def say_runtimes(rows: Sequence[Row], terminal: Terminal) -> None:
    """Prints the tables and the sentences of rows."""
    for chapter in runtime_chapters(rows):
        say_runtime(chapter, terminal)


def say_runtime(chapter: RuntimeChapter, terminal: Terminal) -> None:
    """Prints the tables and the sentences of a chapter."""
    for name, table in ((Y_TITLE, chapter.table), ("times as long as MaskGIT", chapter.ratios)):
        if table.rows:
            terminal.table(f"{chapter.title}: {name}", table.flat_head, table.rows)
    for text in chapter.notes:
        terminal.say(text)


def line_styles(lines: Collection[str]) -> dict[str, Style]:
    """The look of each of these lines, the decoders of masked tokens first: of the usual ones always the same."""
    names = sorted({*lines} - {*OF_OTHERS}, key=lambda name: (len(name), name))
    more = [name for name in names if name not in USUAL]
    found = USUAL | {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(more)} | OF_OTHERS
    return {name: found[name] for name in [*names, *(name for name in OF_OTHERS if name in lines)]}


def _chapter(key: str, found: Runtimes) -> RuntimeChapter:
    return RuntimeChapter(key, _title(found), found, _panels(found), _table(found), _ratio_table(found), _notes(found))


def _title(found: Runtimes) -> str:
    own = found.settings
    data = f"{own['data']}, " if own.get("data") else ""
    precision = "" if own.get("precision", "32") == "32" else f", {own['precision']}"
    threads = f", {count(own['threads'], 'thread')}" if "threads" in own else ""
    size = f"{count(own.get('depth', 0), 'layer')}, width {own.get('width', NONE)}"
    guided = f", guidance {own['guidance']:g}" if own.get("guidance") else ""
    return (
        f"{data}{size}, {own.get('weights', 'trained')} weights{precision}{guided}; {own.get('device', NONE)}{threads}"
    )


def _panels(found: Runtimes) -> list[RuntimePanel]:
    times = found.times
    panels = []
    for batch_size in found.batch_sizes:
        of_batch = {place: one for place, one in times.items() if place.batch_size == batch_size}
        lines = {name: [(p.tokens, one) for p, one in of_batch.items() if p.line == name] for name in found.lines}
        drawn = {name: points for name, points in lines.items() if points}
        panels += [RuntimePanel(f"batch {batch_size}", "here", drawn)] if drawn else []
    papers = {name: [(n, Timed(s, s, s, 1, None)) for n, s in points] for name, points in published_lines().items()}
    return [*panels, RuntimePanel("the paper", "one GPU, ImageNet", papers)] if panels else []


def _table(found: Runtimes) -> Table:
    """A row for each batch size and number of tokens."""
    times = found.times
    lines = [*found.lines, *([TOKENIZER] if any(place.line == TOKENIZER for place in times) else [])]
    rows = []
    for batch_size, tokens in sorted({(place.batch_size, place.tokens) for place in (*times, *found.left_out)}):
        cells = [_cell(times.get(Place(line, tokens, batch_size))) for line in lines]
        rows.append([str(batch_size), f"{tokens:,}", *cells])
    return Table(["batch", "tokens", *found.lines, *([PIXELS] if TOKENIZER in lines else [])], rows, n_texts=0)


def _cell(one: Timed | None) -> str:
    if one is None:
        return NONE
    return _seconds(one.seconds) + (
        f" ({_seconds(one.lowest)} to {_seconds(one.highest)})" if one.n > 1 else " (n = 1)"
    )


def _seconds(seconds: float) -> str:
    """With three significant digits, and never an exponent."""
    decimals = max(0, 2 - math.floor(math.log10(seconds)))
    return f"{seconds:.{decimals}f}"


def _ratio_table(found: Runtimes) -> Table:
    """The autoregressive model over MaskGIT: a row for each batch size and number of tokens."""
    every: dict[tuple[int, int], dict[str, Ratio]] = {}
    for one in ratios(found):
        every.setdefault((one.place.batch_size, one.place.tokens), {})[one.place.line] = one
    rows = []
    for (batch_size, tokens), of in sorted(every.items()):
        first = next(iter(of.values()))
        papers = NONE if first.papers is None or first.steps != 8 else f"{first.papers:.0f}"
        ours = [_ratio_cell(of.get(line)) for line in (UNCACHED, CACHED)]
        rows.append([str(batch_size), f"{tokens:,}", *ours, papers, f"{first.on_paper:.0f}"])
    steps = next((one.steps for one in ratios(found)), 8)
    cpu = " (CPU time)" if any(one.of_cpu for one in ratios(found)) else ""
    head = ["batch", "tokens", f"no cache{cpu}", f"KV cache{cpu}", "the paper", f"N / 2T, T = {steps}"]
    return Table(head, rows, n_texts=0)


def _ratio_cell(one: Ratio | None) -> str:
    return NONE if one is None else _with_cpu(one.ratio, one.of_cpu)


def _with_cpu(ratio: float, of_cpu: float | None) -> str:
    return f"{ratio:.3g}" + (f" ({of_cpu:.3g})" if of_cpu else "")


def _notes(found: Runtimes) -> list[str]:
    rows = [row for row in found.rows if SECONDS in row]
    notes = []
    if rows:
        n = [row["n"] for row in rows]
        notes.append(
            f"An image of a batch that starts empty: the median, and the lowest and highest, of "
            f"{format_range((min(n), max(n)), 'repetition')} after a warm-up."
        )
    if ratios(found):
        notes.append(
            "Ratios are of the seconds of the autoregressive model to those of MaskGIT. Without a cache, the former "
            "computes N / 2 tokens on average in each of N steps, and MaskGIT N tokens in each of T: N / 2T times as "
            "many in all. The paper's ratios are those of such a decoder: 65 against N / 2T = 64 at 1,024 tokens, and "
            "more where the few tokens of a step do not fill a GPU (38 against 16 at 256)."
        )
    if fast := speedups(found):
        times = [f"{_with_cpu(*both)} at {n:,} tokens and batch {b}" for (b, n), both in sorted(fast.items())]
        of_cpu = " (in brackets by CPU time)" if any(cpu for _, cpu in fast.values()) else ""
        notes.append(f"The KV cache makes the autoregressive model so many times as fast{of_cpu}: {', '.join(times)}.")
    notes += _checks(rows)
    if left_out := found.left_out:
        several = "; ".join(
            f"{p.line}, {p.tokens:,} tokens, batch {p.batch_size}: {why}" for p, why in left_out.items()
        )
        notes.append(f"Not measured: {several}.")
    return notes


def _checks(rows: Sequence[Row]) -> list[str]:
    """Whether a cache changes tokens, and what else the machine did."""
    notes = []
    if checked := [row for row in rows if "other_tokens" in row]:
        images, other = sum(row["batch_size"] for row in checked), sum(row["other_tokens"] for row in checked)
        notes.append(f"With a KV cache and without, {images - other:,} of {images:,} images have the same tokens.")
    if loads := [row["load"] for row in rows if "load" in row]:
        notes.append(
            f"The load of the machine was {min(loads):.1f} to {max(loads):.1f} (of 1 minute, before each cell): where "
            "it exceeds the number of cores, the seconds are longer than those of an idle machine."
        )
    if shares := [row[CPU] / row[SECONDS] / row["threads"] for row in rows if "threads" in row]:
        low, high = (100 * share for share in (min(shares), max(shares)))
        notes.append(f"Its threads were running for {low:.0f} to {high:.0f} % of the time.")
    return notes


def _draw_panel(axes: Any, panel: RuntimePanel, styles: Mapping[str, Style]) -> None:
    for name, points in panel.lines.items():
        x, y = [n for n, _ in points], [one.seconds for _, one in points]
        spread = [[one.seconds - one.lowest for _, one in points], [one.highest - one.seconds for _, one in points]]
        axes.errorbar(x, y, yerr=spread, **_look(styles[name]), capsize=2, elinewidth=1)
    ticks = sorted({n for points in panel.lines.values() for n, _ in points})
    axes.set(xscale="log", yscale="log", xlabel=X_TITLE)
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    axes.set_title(f"{panel.title} ({panel.note})", fontsize=9)


def _look(style: Style) -> dict[str, Any]:
    look = {"color": style.colour, "linestyle": style.matplotlib_dash, "marker": style.matplotlib_marker}
    return {**look, "markersize": 4.5, "linewidth": 1.4}


def _trace(name: str, points: Sequence[tuple[int, Timed]], style: Style) -> dict[str, Any]:
    dash = ",".join(f"{length}px" for length in style.dash.split(",")) if style.dash else "solid"
    spread = {"array": [one.highest - one.seconds for _, one in points], "thickness": 1, "width": 3}
    spread |= {"arrayminus": [one.seconds - one.lowest for _, one in points], "symmetric": False}
    return {
        **{"type": "scatter", "mode": "lines+markers", "name": name, "legendgroup": name, "hoverinfo": "text"},
        **{"x": [n for n, _ in points], "y": [one.seconds for _, one in points]},
        "hovertext": [f"<b>{name}</b><br>{n:,} tokens: {_cell(one)} s" for n, one in points],
        "line": {"color": style.colour, "width": 2, "dash": dash},
        "marker": {"color": style.colour, "size": 7, "symbol": style.marker},
        "error_y": {"type": "data", "color": style.colour, **spread},
    }


def _decades(low: float, high: float) -> list[float]:
    """The powers of ten from below the lowest to above the highest value."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**power for power in range(first, last + 1)]
