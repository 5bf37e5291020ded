"""The store: made once, checked when opened, made again when damaged."""

import json
import shutil
import threading

import pytest

from maskgit_lab.errors import UserError
from maskgit_lab.runs.store import MANIFEST, Store

INGREDIENTS = {"config": {"lr": 0.1, "widths": [1, 2]}, "data": "abc"}


class Maker:
    """Writes a file and counts how often it was asked to."""

    def __init__(self):
        self.calls = 0

    def __call__(self, folder):
        self.calls += 1
        (folder / "weights.bin").write_bytes(b"weights")
        return {"score": 0.5}


@pytest.fixture
def said():
    return []


@pytest.fixture
def store(tmp_path, said):
    return Store(tmp_path / "cache", said.append)


def test_an_entry_is_made_once(store, said):
    make = Maker()
    first, second = (store.obtain("kind", INGREDIENTS, make) for _ in range(2))
    assert (first.reused, second.reused, make.calls) == (False, True, 1)
    assert first.path == second.path == store.path("kind", INGREDIENTS)
    assert first.about == second.about == {"score": 0.5}
    assert not said


def test_other_ingredients_are_another_entry(store):
    make = Maker()
    store.obtain("kind", INGREDIENTS, make)
    store.obtain("kind", INGREDIENTS | {"data": "xyz"}, make)
    assert make.calls == 2


def damage_file(path):
    (path / "weights.bin").write_bytes(b"wEights")


def remove_file(path):
    (path / "weights.bin").unlink()


def cut_manifest(path):
    (path / MANIFEST).write_text((path / MANIFEST).read_text()[:30])


def foreign_manifest(path):
    other = Store(path.parents[1], print).obtain(path.parent.name, {"other": 1}, Maker())
    shutil.copyfile(other.path / "manifest.json", path / "manifest.json")


def damaged_number(path):
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "about": {"score": 9}}))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (damage_file, "weights.bin is damaged"),
        (remove_file, "weights.bin is missing"),
        (cut_manifest, "manifest is missing or unreadable"),
        (foreign_manifest, "made from other ingredients"),
        (damaged_number, "its manifest is damaged (its checksum differs)"),
    ],
)
def test_a_damaged_or_foreign_entry_is_made_again_and_the_reason_said(store, said, harm, reason):
    make = Maker()
    harm(store.obtain("kind", INGREDIENTS, make).path)
    again = store.obtain("kind", INGREDIENTS, make)
    assert not again.reused and make.calls == 2
    assert len(said) == 1 and reason in said[0]
    assert store.obtain("kind", INGREDIENTS, make).reused


def test_what_a_failed_maker_left_is_there_for_the_next(store):
    def fail(folder):
        (folder / "half.bin").write_bytes(b"half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.obtain("kind", INGREDIENTS, fail)
    assert not store.path("kind", INGREDIENTS).exists()

    def go_on(folder):
        assert (folder / "half.bin").read_bytes() == b"half"
        return {}

    assert not store.obtain("kind", INGREDIENTS, go_on).reused


def test_two_at_once_make_one(store, said):
    make, entered, go = Maker(), threading.Event(), threading.Event()

    def slowly(folder):
        entered.set()
        assert go.wait(10)
        return make(folder)

    entries = []
    first = threading.Thread(target=lambda: entries.append(store.obtain("kind", INGREDIENTS, slowly)))
    first.start()
    assert entered.wait(10)
    second = threading.Thread(target=lambda: entries.append(store.obtain("kind", INGREDIENTS, make)))
    second.start()
    while not said:
        second.join(0.01)
    go.set()
    first.join(10)
    second.join(10)
    assert make.calls == 1 and sorted(entry.reused for entry in entries) == [False, True]
    assert "another run is making it" in said[0]


def test_a_store_that_cannot_be_written_is_a_users_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cache_dir=PATH"):
        Store(tmp_path / "file" / "cache", print).obtain("kind", INGREDIENTS, Maker())
