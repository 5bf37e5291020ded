"""What the terminal shows at any width: every number whole, words unbroken, commands and paths to be copied."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from maskgit_lab.console import WIDTH_OF_LOGS, Terminal

HEADER = ["T", "FD", "KD", "IS", "prec.", "recall", "CAS@1", "recog.", "NLL", "img/s"]
ROWS = [[str(t), *(f"{t}.{column}{'*' * (column == 1)}" for column in range(1, 10))] for t in (1, 8, 32, 256)]
WIDTHS = (20, 30, 80, 140, 200)


def terminal(width: int, *, is_terminal: bool = True) -> tuple[Terminal, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=is_terminal, color_system=None, soft_wrap=True)
    return Terminal(console), file


@pytest.mark.parametrize("width", WIDTHS)
def test_every_number_of_a_table_is_whole_and_there_once(width):
    shown, file = terminal(width)
    shown.table("Quality over the number of decoding steps T", HEADER, ROWS)
    lines = file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    words = file.getvalue().split()
    for row in ROWS:
        assert [words.count(cell) for cell in row[1:]] == [1] * 9
    heads = [line.split() for line in lines if line.split()[:1] == ["T"]]
    assert [name for head in heads for name in head[1:]] == HEADER[1:]
    assert [line.split()[0] for line in lines if line.split() and line.split()[0].isdigit()] == (
        ["1", "8", "32", "256"] * len(heads)
    )


def test_as_many_columns_stand_side_by_side_as_fit():
    counts = {}
    for width in WIDTHS:
        shown, file = terminal(width)
        shown.table("", HEADER, ROWS)
        counts[width] = [len(line.split()) - 1 for line in file.getvalue().splitlines() if line.startswith("  T")]
    assert counts[140] == counts[200] == [9] and counts[80] == [9] and len(counts[30]) < len(counts[20])
    assert all(count >= 1 for several in counts.values() for count in several)


def test_a_cell_that_is_wider_than_the_terminal_is_not_cut():
    shown, file = terminal(10)
    shown.table("", ["schedule", "distance"], [["exponential", "123456.789"]])
    assert "exponential   123456.789" in file.getvalue()


def test_sentences_are_wrapped_between_words_on_a_terminal_alone():
    text = "which biases it upwards; compare it only with distances from as many samples"
    for width in (20, 40, 80):
        shown, file = terminal(width)
        shown.say(text)
        assert all(len(line) <= width for line in file.getvalue().splitlines())
        assert file.getvalue().split() == text.split()
    shown, file = terminal(40, is_terminal=False)
    shown.say(text * 3)
    assert shown.width == WIDTH_OF_LOGS and file.getvalue() == f"{text * 3}\n"


def test_continued_lines_stand_below_the_text_where_there_is_room():
    for width, indent in ((80, 11), (40, 11), (30, 0)):
        shown, file = terminal(width)
        shown.note("tokenizer", "training a VQGAN on 1,437 images for 15 epochs, " * 3)
        first, *others = file.getvalue().splitlines()
        assert first.startswith("tokenizer  training") and others
        assert all(len(line) - len(line.lstrip()) == indent for line in others)


def test_commands_and_paths_can_be_copied_whole():
    command, path = "`wandb sync outputs/digits/schedule_cosine/wandb/offline-run-*`", "/data/my runs/" + "deep/" * 20
    shown, file = terminal(40)
    shown.note("wandb", f"upload this run later with {command}.")
    shown.say(path, whole=True)
    shown.note("picture", picture := "/data/runs/" + "deep/" * 20 + "curve.png")
    assert command in file.getvalue() and path in file.getvalue() and f"picture    {picture}\n" in file.getvalue()


@pytest.mark.parametrize(("width", "parts"), [(40, ["10/1437"]), (80, ["10/1437", "loss 1.234"]), (140, ["images/s"])])
def test_a_bar_fits_its_terminal(width, parts):
    shown, file = terminal(width)
    with shown.bar("training", 1437, "images/s") as advance:
        advance(5)
        advance(5, note="loss 1.234")
    drawn = [line for line in file.getvalue().replace("\r", "\n").splitlines() if "training" in line][-1]
    assert all(part in drawn for part in parts) and "…" not in drawn
    assert len(drawn.split("\x1b")[0].rstrip()) <= width
