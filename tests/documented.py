"""The command lines of README.md and of the pages in docs/."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`((?:python|maskgit-lab|make|uv pip|wandb sweep) [^`]+)`")
SHELL = ("", "bash")  # the languages of blocks in which every line is a command
TESTED_ELSEWHERE = ("extending.md",)  # tests/extending follows it to the letter


class Line(NamedTuple):
    """A command line."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def lines_of(page: Path) -> list[Line]:
    """Every command line of a page: of its blocks, and those within its text."""
    text = page.read_text()
    found = [body for language, body in BLOCK.findall(text) if language in SHELL]
    lines = [line for body in found for line in body.replace("\\\n", " ").splitlines() if line.strip()]
    lines += [" ".join(line.split()) for line in INLINE.findall(BLOCK.sub("", text))]
    return [Line(page.name, tuple(shlex.split(line, comments=True))) for line in lines]


def errors_of(page: Path) -> list[tuple[str, str]]:
    """The commands of a page that end with an error, and what they print."""
    blocks = [body for language, body in BLOCK.findall(page.read_text()) if language == "console"]
    return [pair for body in blocks for pair in re.findall(r"^\$ (.*)\n(.*)$", body, re.MULTILINE)]
