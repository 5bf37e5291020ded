"""What a user sees in the terminal: stages, progress bars, notes and the final table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

Advance = Callable[..., None]
WIDTH_OF_LOGS = 140  # columns, where the output is a file or a pipe


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

    def say(self, text: str) -> None:
        """Prints a line without markup."""
        self.console.print(text, markup=False)

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[list[str]]:
        """Announces a stage and its end; yields a list of notes to print when it ends."""
        self.note(name, what)
        start, notes = time.perf_counter(), list[str]()
        yield notes
        results = f": {', '.join(notes)}" if notes else ""
        self.console.print(f"{'':<10} done in {time.perf_counter() - start:.1f} s{results}", markup=False)

    def note(self, name: str, what: str) -> None:
        """One line about a stage, for example that it was skipped."""
        self.console.print(f"[bold cyan]{name:<10}[/] {escape(what)}")

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "") -> Iterator[Advance]:
        """A progress bar over `total` steps: yields `advance(steps, note)`, where `note` is shown beside the bar.

        Args:
            title: shown before the bar.
            total: number of steps.
            unit: of the speed, such as `images/s`; without one, no speed is shown.
        """
        columns = (
            TextColumn("           {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            *([_Speed(unit)] if unit else []),
            TextColumn("{task.fields[note]}"),
        )
        hidden = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=hidden) as progress:
            task = progress.add_task(title, total=total, note="")

            def advance(steps: int = 1, note: str = "") -> None:
                progress.update(task, advance=steps, note=note)

            yield advance

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table with right-aligned columns."""
        table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for name in header:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)
