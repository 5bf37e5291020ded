"""Fingerprints: the same for the same, another for another."""

import sys

import pytest

from maskgit_lab.fingerprints import code_version, fingerprint


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module and gives its code version."""
    monkeypatch.syspath_prepend(tmp_path)

    def version(source: str) -> str:
        (tmp_path / "probe_module.py").write_text(source)
        sys.modules.pop("probe_module", None)
        return code_version("probe_module")

    return version


def test_order_of_keys_does_not_matter_and_values_do():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_comments_and_docstrings_do_not_change_the_version(module):
    plain = module("def f(x):\n    return x + 1\n")
    assert module('"""Doc."""\n\ndef f( x ):\n    """More."""\n    return x + 1  # so\n') == module(
        '"""Other."""\n\ndef f(x):\n    """Less."""\n    return x + 1\n'
    )
    assert module("def f(x):\n    # why\n    return x + 1\n") == plain


def test_code_changes_the_version(module):
    assert module("def f(x):\n    return x + 1\n") != module("def f(x):\n    return x + 2\n")


def test_an_unknown_module_is_an_error():
    with pytest.raises(ModuleNotFoundError):
        code_version("maskgit_lab.nothing")
