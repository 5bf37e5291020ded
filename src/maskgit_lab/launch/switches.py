"""The switches of a command line, such as `-m`: everything else is KEY=VALUE."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from difflib import get_close_matches

from maskgit_lab.errors import UserError

SHORT = {
    **{"-h": "--help", "-m": "--multirun", "-c": "--cfg", "-p": "--package", "-r": "--run", "-i": "--info"},
    **{"-sc": "--shell-completion", "-cd": "--config-dir", "-cp": "--config-path", "-cn": "--config-name"},
}
ANY = ()  # value of a switch
# Hydra's switches that work here, with what has to follow each; None: nothing.
TAKES: Mapping[str, tuple[str, ...] | None] = {
    **dict.fromkeys(("--help", "--multirun", "--resolve", "--run", "--version"), None),
    "--shell-completion": None,
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    "--package": ANY,
    "--config-dir": ANY,
}
OPTIONAL = {"--info": "all"}  # what a switch means alone
MODES = ("--run", "--multirun", "--cfg", "--info", "--shell-completion")  # of which only one makes sense
CONFIGS = "the configs of a command are fixed: give GROUP=OPTION or KEY=VALUE, or put options in conf/ of this folder"
REFUSED = {
    "--config-path": CONFIGS,
    "--config-name": CONFIGS,
    "--experimental-rerun": "run the same command again, which continues from what is there",
    "--hydra-help": "--help lists what there is, and --cfg hydra --package hydra.launcher what a launcher takes",
}

NOT_FOUND = re.compile(r"package '(.*)' not found in config")  # how Hydra words it, before it exits

Meant = Callable[[str], str | None]  # the setting that a name stands for


def apart(arguments: Sequence[str], meant: Meant) -> tuple[list[str], list[str]]:
    """The switches of a command line, with their values, and its settings: they may come in any order.

    Args:
        arguments: of the command line.
        meant: the name of a setting that somebody may have given as a switch.

    Raises:
        UserError: there is no such switch, or its value makes no sense.
    """
    switches, settings, waiting = dict[str, str | None](), list[str](), list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if not argument.startswith("-"):
            settings.append(argument)
        elif argument != "--":
            name, equals, value = argument.partition("=")
            name = SHORT.get(name, name)
            if name not in TAKES:
                raise _unknown(argument, waiting, meant)
            switches[name] = value if equals else _following(name, waiting)
            _check(name, switches[name])
    _check_together(switches)
    return [part for switch in switches.items() for part in switch if part is not None], settings


@contextmanager
def part_found(switches: Sequence[str]) -> Iterator[None]:
    """Gives a sentence meanwhile where `--package` names no part of a config, on which Hydra has a line of its own.

    Raises:
        UserError: there is no such part.
    """
    if "--package" not in switches:
        yield
        return
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            yield
    except SystemExit:
        if absent := NOT_FOUND.match(said.getvalue()):
            raise UserError(
                f"--package {absent[1]}: the config has no such part, or it is null: leave it out to see all of it"
            ) from None
        raise
    print(said.getvalue(), end="", file=sys.stderr)


def _following(name: str, waiting: list[str]) -> str | None:
    """The value of a switch, taken from the arguments after it."""
    choices = TAKES[name]
    if choices is None:
        return None
    is_there = bool(waiting) and not waiting[0].startswith("-") and (name not in OPTIONAL or "=" not in waiting[0])
    return waiting.pop(0) if is_there else OPTIONAL.get(name, "")


def _check(name: str, value: str | None) -> None:
    choices = TAKES[name]
    if choices is None and value is not None:
        raise UserError(f"{name}={value} is not possible: {name} takes no value")
    if choices and value not in choices:
        raise UserError(f"{f'{name} {value}'.strip()} is not possible: choose one of {', '.join(choices)}")
    if choices == ANY and not value:
        raise UserError(f"{name} needs a value: give it as {name} VALUE")


def _check_together(switches: Mapping[str, str | None]) -> None:
    if len(modes := [name for name in MODES if name in switches]) > 1:
        raise UserError(f"{' and '.join(modes)} do not go together: give one of them")
    if alone := [name for name in ("--resolve", "--package") if name in switches and "--cfg" not in switches]:
        raise UserError(f"{alone[0]} belongs to --cfg: give --cfg job {alone[0]}")


def _unknown(argument: str, after: Sequence[str], meant: Meant) -> UserError:
    """A switch that there is not, which may be a setting as other programs take them."""
    name, equals, value = argument.partition("=")
    if SHORT.get(name, name) in REFUSED:
        return UserError(f"{argument} is not possible: {REFUSED[SHORT.get(name, name)]}")
    if key := meant(name.lstrip("-").replace("-", "_")):
        if not equals and after and not after[0].startswith("-") and "=" not in after[0]:
            value = after[0]
        return UserError(
            f"{argument}: there is no such switch, since settings have no dashes before them "
            f"(did you mean {key}={value or 'VALUE'}?)"
        )
    close = get_close_matches(name, TAKES, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return UserError(
        f"{argument}: there is no such switch{hint}; give settings as KEY=VALUE, and of switches --help, -m, --cfg job "
        "or --info defaults"
    )
