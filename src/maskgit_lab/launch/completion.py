"""Tab completion: Hydra's, without the options that only other options are made of and those that do not work here."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

from maskgit_lab.launch.extras import OPTIONS

_OTHERS = "|".join(rf"{group}=(?!(?:{'|'.join(names)})(?:\s|$))\S*" for group, names in OPTIONS.items())
HIDDEN = re.compile(rf"(?<!\S)(?:[\w/]+=_\S*|{_OTHERS})\s?")


@contextmanager
def completed(arguments: Sequence[str]) -> Iterator[None]:
    """Shows fewer of the words that a shell asks for meanwhile, if it does."""
    if not {"-sc", "--shell_completion"} & set(arguments) or not any(a.startswith("query=") for a in arguments):
        yield
        return
    with redirect_stdout(io.StringIO()) as printed:
        yield
    print(HIDDEN.sub("", printed.getvalue()), end="")
