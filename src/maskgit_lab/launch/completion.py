"""Tab completion: Hydra's, without the options that only other options are made of and those that do not work here."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

from maskgit_lab.errors import UserError
from maskgit_lab.launch.extras import OPTIONS

_OTHERS = "|".join(rf"{group}=(?!(?:{'|'.join(names)})(?:\s|$))\S*" for group, names in OPTIONS.items())
ASKED = re.compile(r"(install|uninstall|query)=(bash|zsh|fish)")  # what has to come with the switch
LINE = "COMP_LINE"  # what is typed so far, as shells give it
HIDDEN = re.compile(rf"(?<!\S)(?:[\w/]+=_\S*|{_OTHERS})\s?")


@contextmanager
def completed(arguments: Sequence[str]) -> Iterator[None]:
    """Shows fewer of the words that a shell asks for meanwhile, if it does.

    Raises:
        UserError: it is not said which shell, or no shell asks.
    """
    if not {"-sc", "--shell-completion"} & set(arguments):
        yield
        return
    asked = next((found[1] for argument in arguments if (found := ASKED.fullmatch(argument))), None)
    if asked is None:
        raise UserError("-sc needs a shell: give -sc install=bash, or with zsh or fish, and evaluate what it prints")
    if asked != "query":
        yield
        return
    if LINE not in os.environ:
        raise UserError(f"-sc query=... is what shells call, with {LINE} in the environment: give -sc install=bash")
    with redirect_stdout(io.StringIO()) as printed:
        yield
    print(HIDDEN.sub("", printed.getvalue()), end="")
