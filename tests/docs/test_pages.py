"""README and docs hold together: links, files, sizes, words, and the errors that they quote."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from documented import PAGES, ROOT, errors_of

TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text() for page in [*PAGES, ROOT / "notebooks" / "README.md"]}
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# Words of an earlier English.
ODD = re.compile(r"\b(to be had|told|mend|of no meaning|is said|are said|aloud|sound)\b")
QUOTED = errors_of(ROOT / "docs" / "errors.md")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as the site and GitHub name them."""
    titles = HEADING.findall(FENCED.sub("", text))
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


@pytest.mark.parametrize("name", TEXTS)
def test_every_relative_link_leads_somewhere(name):
    for target, anchor in LINK.findall(FENCED.sub("", TEXTS[name])):
        place = (ROOT / name).parent / target if target else ROOT / name
        assert place.exists(), f"{name}: {target}"
        assert not anchor or anchor in anchors(place.read_text()), f"{name}: {target}#{anchor}"


def test_the_readme_is_short_and_has_its_picture():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < 150 and any("docs/images/filling.png" in line for line in lines[:15])


def test_every_page_is_in_the_navigation_and_nothing_comes_from_elsewhere():
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    assert config["strict"] and config["theme"]["font"] is False
    listed = set(re.findall(r"[\w/]+\.md", str(config["nav"])))
    assert listed == {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}


@pytest.mark.parametrize("name", TEXTS)
def test_the_words_are_the_fields_own(name):
    assert not ODD.findall(TEXTS[name])


@pytest.mark.parametrize(("line", "printed"), QUOTED, ids=[line for line, _ in QUOTED])
def test_an_error_is_printed_as_it_is_quoted(line, printed, command, tiny_run, tiny_cache, tmp_path):
    (tmp_path / "pictures").mkdir()
    places = {"RUN_DIR": str(tiny_run), "FOLDER_OR_NPZ": "pictures"}
    _, script, *arguments = shlex.split(line)
    for name, place in places.items():
        arguments = [argument.replace(name, place) for argument in arguments]
    shared = [f"cache_dir={tiny_cache}"] if any(str(tiny_run) in argument for argument in arguments) else []
    done = command(Path(script).stem, *arguments, *shared)
    assert done.code == 2
    assert done.err.strip().replace(str(tiny_run), "RUN_DIR") == printed
