"""The console command `maskgit-lab`, whose first argument is a verb."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches

from maskgit_lab import __version__, usage
from maskgit_lab.errors import EXIT_USER_ERROR


def main() -> None:
    """Runs the verb with the rest of the command line, or lists the verbs."""
    usage.remember(sys.argv[0])
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("-h", "--help"):
        print(_help())
    elif verb == "--version":
        print(f"maskgit_lab {__version__}")
    elif verb in ("-sc", "--shell-completion"):
        _complete(os.environ.get("COMP_LINE", ""))
    elif verb not in usage.VERBS:
        close = get_close_matches(verb, usage.VERBS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        print(f"error: {verb}: there is no such command{hint}; choose one of {', '.join(usage.VERBS)}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    else:
        del sys.argv[1]
        _command(verb)


def _command(verb: str) -> None:
    from maskgit_lab.launch import cli  # imports Hydra

    cli.main(verb)


def _complete(line: str) -> None:
    """Prints the verbs that a line may go on with, or what Hydra completes after one."""
    name, _, rest = line.lstrip().partition(" ")
    verb, space, overrides = rest.lstrip().partition(" ")
    if line and not space:
        print(" ".join(known for known in usage.VERBS if known.startswith(verb)))
    elif not line or verb in usage.VERBS:
        os.environ["COMP_LINE"] = f"{name} {overrides}"
        _command(verb or "train")


def _help() -> str:
    typed = usage.as_typed("python train.py").removesuffix(" train")
    verbs = "\n".join(f"  {verb:<10}{what}" for verb, what in usage.VERBS.items())
    return (
        f"MaskGIT for experiments: {typed} VERB KEY=VALUE ...\n\n{verbs}\n\n"
        f"Try {typed} train schedule=cosine. {typed} VERB --help lists the settings of a verb.\n"
        "Options in conf/, files in sweeps/ and modules of the working folder can be named in settings like those of "
        "the package."
    )
