"""Following a page of the docs to the letter: its files are written as they stand there, and its commands are run."""

import re
import runpy
import shlex
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).resolve().parents[1] / "docs"
NAME = r"(?:^`(?P<name>[\w./-]+)`\n\n)?"
FENCE = re.compile(NAME + r"^```(?P<language>\w*)[^\n]*\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


class Section(NamedTuple):
    """What a section of a page tells a reader to do."""

    files: dict[str, str]  # by their paths in the working folder
    commands: list[list[str]]


def section(page: str, title: str) -> Section:
    """The section under a heading of the second level."""
    text = (DOCS / page).read_text()
    _, _, rest = text.partition(f"\n## {title}\n")
    assert rest, f"{page} has no section {title}"
    blocks = list(FENCE.finditer(rest.partition("\n## ")[0]))
    files = {block["name"]: block["body"] for block in blocks if block["name"]}
    lines = [line for block in blocks if not block["language"] for line in block["body"].splitlines()]
    return Section(files, [shlex.split(line) for line in lines])


def follow(page: str, title: str, folder: Path, command, *extra: str) -> list:
    """Writes the files of a section into the working folder, runs its commands and gives what each printed.

    Args:
        page: in `docs/`.
        title: of the section.
        folder: the working folder.
        command: runs a verb in this process, as the fixture of that name.
        extra: settings that are added to each command of the suite.
    """
    found = section(page, title)
    for name, body in found.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(body)
    printed = []
    for program, *arguments in found.commands:
        if program == "python":
            runpy.run_path(str(folder / arguments[0]), run_name="__main__")
            continue
        assert program == "maskgit-lab"
        verb, *settings = arguments
        own = extra if verb in ("train", "evaluate") else ("accelerator=cpu",)
        said = command(verb, *settings, *own)
        assert said.code == 0, said.err
        printed.append(said)
    return printed
