"""The folders of `out=`: what is in them is replaced where a command wrote it, and nowhere else."""

import json
from pathlib import Path

import pytest

from maskgit_lab.errors import UserError
from maskgit_lab.report import files
from maskgit_lab.runs.outputs import MARK, claimed_folder, results_folder

NAMES = ("page.html", "figures")
# What is in a folder, what is noted there, what an earlier version left, and what is wrong with that.
FOLDERS = [
    ((), None, (), None),
    (("notes.md",), None, (), None),
    (("page.html",), None, (), "has page.html from elsewhere"),
    (("page.html", "figures"), None, (), "has page.html, figures from elsewhere"),
    (("page.html",), None, ("page.html",), None),
    (("page.html",), ["page.html"], (), None),
    (("page.html", "figures"), ["page.html"], ("figures",), "has figures from elsewhere"),
    (("page.html",), "damaged", (), "has page.html from elsewhere"),
    (("page.html",), {"page.html": 1}, (), "has page.html from elsewhere"),
]


@pytest.mark.parametrize(("there", "noted", "earlier", "sentence"), FOLDERS)
def test_only_what_a_command_wrote_is_replaced(tmp_path, there, noted, earlier, sentence):
    for name in there:
        (tmp_path / name).write_text("mine")
    if noted is not None:
        (tmp_path / MARK).write_text("[" * 10_000 if noted == "damaged" else json.dumps(noted))
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    if sentence is not None:
        with pytest.raises(UserError, match=f"{sentence}, which would be replaced: choose another folder"):
            claimed_folder(tmp_path, NAMES, earlier)
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    else:
        for _ in range(2):  # the second time, it is our own
            claimed_folder(tmp_path, NAMES, earlier)
            (tmp_path / "page.html").write_text("ours")


@pytest.mark.parametrize(
    ("there", "is_refused"),
    [
        ((), False),
        (("results.jsonl", "curve.csv"), False),
        ((".lock", "costs"), False),
        (("samples",), False),
        ((MARK, "curve.csv"), False),
        (("curve.csv",), True),
        (("code.json", "samples"), True),
        ((MARK, "notes.md"), True),
        (("results.jsonl", "notes.md"), True),
    ],
)
def test_results_are_added_to_results_alone(tmp_path, there, is_refused):
    for name in there:
        (tmp_path / name).write_text("[]")
    if is_refused:
        with pytest.raises(UserError, match="is not empty and holds no results: choose another folder"):
            results_folder(tmp_path)
    else:
        results_folder(tmp_path)
        (tmp_path / "curve.csv").touch()
        assert results_folder(tmp_path) == tmp_path


def test_a_report_of_an_earlier_version_is_known_by_its_page(tmp_path):
    page = tmp_path / files.HTML
    page.write_text(f"<body>{files.FOOTER} report.md, table.csv.</p></footer>")
    assert set(files.FILES) < set(files._of_earlier_version(tmp_path))
    for other in (b"<html>mine</html>", b"\xff"):
        page.write_bytes(other)
        assert not files._of_earlier_version(tmp_path)
    template = Path(files.__file__).parent / "templates" / "report.html.j2"
    assert files.FOOTER in template.read_text(), "a page of today is known in the same way, should its note be lost"
