"""`clean.py`: what lies in runs and in the cache that they share, and the removal of what is not needed."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

from maskgit_lab.console import Terminal
from maskgit_lab.runs import removal
from maskgit_lab.runs.housekeeping import Item, Kind, Survey, size_of, survey
from maskgit_lab.runs.in_use import kept_free
from maskgit_lab.settings import UNUSED, CleanConf

WIDTH = 80  # columns, also of logs
UNITS = ("kB", "MB", "GB", "TB")
MOST_NAMED = 3  # runs that need an entry; of more, the number is given


def run(settings: CleanConf) -> None:
    """Lists everything, or removes what is asked for, once all of it is checked."""
    folders, cache, terminal = [_shown(folder) for folder in settings.runs], _shown(settings.cache_dir), Terminal()
    if settings.remove is None:
        found = survey(folders, cache)
        _show(terminal, found)
        _show_where(terminal, found)
        return
    with kept_free(cache) as fault:
        found = survey(folders, cache)
        chosen = removal.unused(found) if settings.remove == [UNUSED] else removal.named(found, settings.remove)
        with removal.held(chosen):
            removal.check(found, chosen, fault)
            _show_where(terminal, found)
            _remove(terminal, chosen)


def _show(terminal: Terminal, found: Survey) -> None:
    terminal.note("runs", f"{len(found.runs)} in {', '.join(map(str, found.folders))}")
    _show_items(terminal, found.in_runs)
    state = " (in use)" if found.cache_in_use else "" if found.cache.exists() else " (does not exist)"
    terminal.note("cache", f"{found.cache}{state}")
    _show_items(terminal, found.in_cache)
    terminal.note("total", _size(size_of(found.items)))
    unknown = removal.unknown_needs(found, found.runs)
    freed = _size(size_of(found.unused))
    terminal.note("unused", f"remove=unused would free {freed}" if unknown is None else f"not known: {unknown}")


def _show_items(terminal: Terminal, items: Sequence[Item]) -> None:
    """Two lines each, so that paths can be copied whole and numbers stand below each other."""
    for item in items:
        terminal.say(f"{_size(item.size):>10} {_age(item.changed):>9}  {item.path}", whole=True)
        terminal.say(_wrapped(_about(item), 22, terminal), whole=True)


def _about(item: Item) -> str:
    in_use = "in use: " if item.in_use else ""
    if item.kind is Kind.RUN:
        return f"{in_use}{item.state}"
    if item.kind is not Kind.ENTRY:
        return f"{in_use}{item.kind}"
    return f"needed by {_names(item.needed_by)}" if item.needed_by else "needed by no run"


def _names(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(map(str, paths[:MOST_NAMED])) + more


def _show_where(terminal: Terminal, found: Survey) -> None:
    where = ", ".join(map(str, found.folders))
    text = f"searched {where}; runs elsewhere are not seen: name all folders that share this cache with runs=[...]"
    terminal.note("note", _wrapped(text, 11, terminal).lstrip())


def _remove(terminal: Terminal, chosen: Sequence[Item]) -> None:
    if not chosen:
        terminal.note("unused", "nothing: there is nothing to remove")
        return
    terminal.note("removing", _size(size_of(chosen)))
    _show_items(terminal, chosen)
    if any(item.needed_by for item in chosen):
        terminal.say("Entries that a run needs are made again when a command asks for them.")
    for item in sorted(chosen, key=removal.order):
        removal.remove(item)
    terminal.note("freed", _size(size_of(chosen)))


def _size(n_bytes: int) -> str:
    if n_bytes < 1000:
        return f"{n_bytes} B"
    power = min(len(UNITS), (len(str(n_bytes)) - 1) // 3)
    return f"{n_bytes / 1000**power:,.1f} {UNITS[power - 1]}"


def _age(changed: float) -> str:
    minutes = max(0, int(time.time() - changed) // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"


def _wrapped(text: str, indent: int, terminal: Terminal) -> str:
    """Lines of 80 columns at most, in which no path is broken."""
    space, width = " " * indent, min(WIDTH, terminal.width)
    return textwrap.fill(
        text, width, initial_indent=space, subsequent_indent=space, break_long_words=False, break_on_hyphens=False
    )


def _shown(path: str) -> Path:
    """A path relative to the working folder, where it lies in it."""
    given = Path(path)
    return given.relative_to(Path.cwd()) if given.is_relative_to(Path.cwd()) else given
