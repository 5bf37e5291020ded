"""The code that made a thing: its import closure, without what does not change what it does."""

import pytest

from maskgit_lab import code
from maskgit_lab.code import changed, code_of, named, targets_in
from maskgit_lab.errors import UserError

FILES = {
    "lab/__init__.py": "",
    "lab/top.py": "from lab import middle\nfrom .deep.low import value\n\n\ndef f(x):\n    return middle.g(x) + value",
    "lab/middle.py": "def g(x):\n    from lab.late import h\n\n    return h(x)\n",
    "lab/late.py": "import json\n\n\ndef h(x):\n    return json.loads(x)\n",
    "lab/deep/__init__.py": "from .low import value\n",
    "lab/deep/low.py": "value = 1\n",
    "lab/aside.py": "value = 2\n",
    "alone.py": "from lab.deep import value\n\n\nclass Mine:\n    pass\n",
}


@pytest.fixture
def forget(monkeypatch):
    """Forgets what was read, as a new process would."""

    def forget():
        for each in (code.module_of, code._is_own, code._source, code._read):
            each.cache_clear()

    yield forget
    monkeypatch.undo()
    forget()


@pytest.fixture
def lab(tmp_path, monkeypatch, forget):
    """A package of a user's own; gives its code after an edit of a file."""
    monkeypatch.syspath_prepend(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def edited(file="lab/top.py", old="", new="", root="lab.top"):
        path = tmp_path / file
        path.write_text(FILES[file].replace(old, new) if old else FILES[file])
        forget()
        found = code_of(root)
        path.write_text(FILES[file])
        return found

    return edited


def test_the_closure_has_what_is_imported_anywhere_and_nothing_else(lab):
    assert set(lab()) == {file for file in FILES if file not in ("lab/aside.py", "alone.py")}
    assert set(lab(root="alone.Mine")) == {"alone.py", "lab/__init__.py", "lab/deep/__init__.py", "lab/deep/low.py"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lab/top.py", "+ value", "- value"),
        ("lab/middle.py", "return h(x)", "return h(x + 1)"),
        ("lab/late.py", "loads", "dumps"),
        ("lab/deep/low.py", "1", "2"),
    ],
)
def test_an_edit_is_noticed_by_name_however_far_away(lab, file, old, new):
    assert changed(lab(), lab(file, old, new)) == [file]


def test_new_imports_are_named_too(lab):
    now = lab("lab/late.py", "import json", "import json\nfrom lab.aside import value")
    assert changed(lab(), now) == ["lab/aside.py", "lab/late.py"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def f(x):", 'def f(x):\n    """Says what it does."""'),
        ("def f(x):", "# why\ndef f( x ):  # so"),
        ("return middle.g(x) + value", "return (\n        middle.g(x)\n        + value\n    )"),
        ("from lab import middle", '"""The top."""\n\nfrom lab import middle'),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(lab, old, new):
    assert lab("lab/top.py", old, new) == lab()


def test_installed_packages_and_what_only_prints_do_not_count():
    found = code_of("torch.optim.AdamW", "maskgit_lab.stages.mvtm", "json", "no.such.thing")
    assert all(file.startswith("maskgit_lab/") for file in found)
    assert "maskgit_lab/nets/transformer.py" in found and "maskgit_lab/seeds.py" in found
    assert not {"maskgit_lab/console.py", "maskgit_lab/settings/groups.py", "maskgit_lab/runs/store.py"} & set(found)


def test_a_tokenizer_does_not_depend_on_the_transformer_nor_a_transformer_on_its_decoding():
    tokenizer, transformer = code_of("maskgit_lab.stages.tokenizer"), code_of("maskgit_lab.stages.mvtm")
    assert "maskgit_lab/nets/transformer.py" not in tokenizer
    for code_files in (tokenizer, transformer):
        assert not [
            file for file in code_files if "/decoding/" in file or "/evaluation/" in file or "/metrics/" in file
        ]


def test_targets_are_found_at_any_depth():
    settings = {"net": {"_target_": "a.B", "list": [{"_target_": "c.d"}, 3]}, "_target_": "e.F", "n": None}
    assert sorted(targets_in([settings])) == ["a.B", "c.d", "e.F"]


def test_a_file_that_cannot_be_parsed_is_a_sentence(lab):
    with pytest.raises(UserError, match=r"late\.py cannot be parsed .*: fix it"):
        lab("lab/late.py", "return", "retrun 1 +")


def test_many_files_are_named_in_short():
    assert named(["a", "b"]) == "a, b"
    assert named(list("abcdefg")) == "a, b, c, d, e and 2 more"
