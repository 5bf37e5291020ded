"""What a process does when another one of the same command has ended."""

import pytest
from maskgit_lab.commands.launch import in_processes

from maskgit_lab import ranks
from maskgit_lab.errors import UserError
from maskgit_lab.settings import Hardware


def fails(message):
    def work(prepared):
        raise RuntimeError(message)

    return work


def test_the_main_process_says_it_in_a_sentence_and_the_others_are_silent(monkeypatch):
    gone = fails("[pair.cc:538] Connection closed by peer [127.0.0.1]:1234")
    with pytest.raises(UserError, match="another process of this command has ended"):
        in_processes(Hardware(), lambda: None, gone)
    monkeypatch.setattr(ranks, "is_main", lambda: False)
    with pytest.raises(SystemExit) as stop:
        in_processes(Hardware(), lambda: None, gone)
    assert stop.value.code == 1


def test_an_error_of_its_own_is_not_hidden():
    with pytest.raises(RuntimeError, match="shapes"):
        in_processes(Hardware(), lambda: None, fails("shapes do not match"))


def test_what_was_prepared_is_worked_on():
    seen = []
    in_processes(Hardware(), lambda: 7, seen.append)
    assert seen == [7]
