"""What a user sees in the terminal: stages, progress bars, notes and the final table."""

from __future__ import annotations

import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

Advance = Callable[..., None]
WIDTH_OF_LOGS = 140  # columns, where the output is a file or a pipe
INDENT = 11  # columns before what a line says about a stage
LEAST = 28  # columns that a continued line keeps; where there are fewer, it is not indented
WIDE, MIDDLE = 100, 60  # columns of a terminal from which a bar shows all that it can, and from which it is a bar
GLUE = "\0"  # a space at which a line is not broken
COMMAND = re.compile(r"`[^`]*`")  # to be copied, so it is never broken


class _Speed(ProgressColumn):
    """Steps per second."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f} {self.unit}")


class Terminal:
    """Prints one line when a stage starts and one when it ends, and a bar for each long task between them.

    Bars are drawn only on a real terminal, so that logs of batch jobs stay short.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = WIDTH_OF_LOGS

    @property
    def width(self) -> int:
        """Columns of the terminal, or of a log."""
        return self.console.width

    def say(self, text: str, *, whole: bool = False) -> None:
        """Prints lines without markup.

        Args:
            text: one line or several.
            whole: whether a line that is wider than the terminal is left to it, such as a path to be copied; other
                lines are then wrapped between words. Logs are never wrapped.
        """
        self.console.print(Text(text if whole else self._wrapped(text)))

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[list[str]]:
        """Announces a stage and its end; yields a list of notes to print when it ends."""
        self.note(name, what)
        start, notes = time.perf_counter(), list[str]()
        yield notes
        results = f": {', '.join(notes)}" if notes else ""
        self.say(f"{'':<{INDENT}}done in {time.perf_counter() - start:.1f} s{results}")

    def note(self, name: str, what: str) -> None:
        """One line about a stage, for example that it was skipped; a single word, such as a path, is never moved."""
        text = f"{name:<{INDENT - 1}} {what}"
        line = Text(self._wrapped(text, INDENT) if " " in what else text)
        line.stylize("bold cyan", 0, len(name))
        self.console.print(line)

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "") -> Iterator[Advance]:
        """A progress bar over `total` steps: yields `advance(steps, note)`, where `note` is shown beside the bar.

        Args:
            title: shown before the bar.
            total: number of steps.
            unit: of the speed, such as `images/s`; without one, no speed is shown.
        """
        columns = self._columns(unit)
        hidden = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=hidden) as progress:
            task = progress.add_task(title, total=total, note="")

            def advance(steps: int = 1, note: str = "") -> None:
                progress.update(task, advance=steps, note=note)

            yield advance

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, n_texts: int = 0) -> None:
        """A table, none of whose cells is ever cut.

        Columns for which the terminal is too narrow follow in further blocks, each of which starts with the first one.

        Args:
            title: over it.
            header: of the columns.
            rows: of as many cells each.
            n_texts: columns at the start that hold words, and so are aligned on the left.
        """
        self.console.print(Text(self._wrapped(title), style="bold"))
        for columns in self._blocks(header, rows):
            block = _table(columns, header, rows, n_texts)
            block.width = self._measured(block)  # so that Rich does not squeeze it, even where one column is too wide
            self.console.print()
            self.console.print(block)
        self.console.print()

    def _blocks(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[list[int]]:
        """The columns of each block: the first column, and as many others as fit beside it, but at least one."""
        blocks = [[0]]
        for column in range(1, len(header)):
            longer = [*blocks[-1], column]
            if len(longer) > 2 and self._measured(_table(longer, header, rows)) > self.width:
                blocks.append([0, column])
            else:
                blocks[-1] = longer
        return blocks

    def _measured(self, table: Table) -> int:
        """Columns that a table takes on a terminal that is wide enough."""
        return Measurement.get(self.console, self.console.options.update(max_width=sys.maxsize), table).maximum

    def _columns(self, unit: str) -> list[ProgressColumn]:
        """The parts of a progress bar that the terminal has room for."""
        if self.width < MIDDLE:
            return [TextColumn("{task.description}"), MofNCompleteColumn()]
        wide = self.width >= WIDE
        parts = [TextColumn(f"{'':<{INDENT}}{{task.description}}"), BarColumn(bar_width=30 if wide else 10)]
        parts += [MofNCompleteColumn(), TimeRemainingColumn(), *([_Speed(unit)] if unit and wide else [])]
        return [*parts, TextColumn("{task.fields[note]}")]

    def _wrapped(self, text: str, indent: int | None = None) -> str:
        """Lines that are broken between words, and not within a command, where a terminal would break them anywhere.

        Args:
            text: what to wrap.
            indent: of continued lines; None: as far as the line itself is indented.
        """
        if not self.console.is_terminal:
            return text
        return "\n".join(_filled(line, self.width, indent) for line in text.split("\n"))


def _table(columns: Sequence[int], header: Sequence[str], rows: Sequence[Sequence[str]], n_texts: int = 0) -> Table:
    """Some columns of a table."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(Text(header[column]), justify="left" if column < n_texts else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(row[column]) for column in columns))
    return table


def _filled(line: str, width: int, indent: int | None) -> str:
    own = len(line) - len(line.lstrip())
    indent = own if indent is None else indent
    space = " " * (indent if width - indent >= LEAST else 0)
    glued = COMMAND.sub(lambda found: found[0].replace(" ", GLUE), line)
    lines = textwrap.wrap(glued, width, subsequent_indent=space, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace(GLUE, " ")
