"""What is found in runs and their cache, and who keeps it from being removed."""

import json
import multiprocessing
import os
from dataclasses import replace

import pytest
from filelock import FileLock

from maskgit_lab.errors import UserError
from maskgit_lab.runs import in_use
from maskgit_lab.runs.housekeeping import DAMAGED, Kind, size_of, survey
from maskgit_lab.runs.record import Record, TokenizerRecord, TokensRecord
from maskgit_lab.runs.run import begin
from maskgit_lab.runs.store import Store
from maskgit_lab.settings import CommonConf

RECORD = Record(fingerprint="0" * 12, config="", command=[], code="1" * 12, cache="../../cache", wandb_id="id")
OF_A_RUN = {
    **{"checkpoints/last.ckpt": 300, "checkpoints-0123456789ab/last.ckpt": 200, "evaluation/T8-0123456789ab/0": 100},
    **{"pictures/x.png": 50, "wandb/run.json": 7},
}


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def made(cache):
    """Makes an entry of 1,000 bytes."""

    def make(kind, **ingredients):
        def maker(folder):
            (folder / "model.safetensors").write_bytes(bytes(1000))
            return {}

        path = Store(cache, print).obtain(kind, ingredients, maker).path
        return f"{kind}/{path.name}"

    return make


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def write_run(path, used=(), files=(), **parts):
    path.mkdir(parents=True)
    replace(RECORD, used=list(used), **parts).write(path)
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(bytes(files[name]))
    return path


def found(item):
    return item.path.name, item.kind


def test_runs_are_found_at_any_depth_with_what_they_need(runs, cache, made):
    tokenizer, tokens, reference = (made(kind) for kind in ("tokenizer", "tokens", "reference"))
    write_run(runs / "a" / "b" / "c", tokenizer=TokenizerRecord(f"cache:{tokenizer}/model.safetensors", "x"))
    write_run(runs / "d", [reference], tokens=TokensRecord(f"cache:{tokens}", "x"))
    write_run(runs / "d" / "e")
    seen = survey([runs, runs / "d"], cache)
    assert {run.path.name: run.needs for run in seen.runs} == {"c": {tokenizer}, "d": {tokens, reference}, "e": set()}
    assert {item.name: [run.name for run in item.needed_by] for item in seen.in_cache} == {
        **{tokenizer: ["c"], tokens: ["d"], reference: ["d"]},
    }
    assert not seen.unused


def test_what_lies_in_a_run_is_listed_and_counted_once(runs, cache):
    write_run(runs / "a", files=OF_A_RUN)
    seen = survey([runs], cache)
    run, aside, shards = seen.in_runs
    assert [found(item) for item in (run, aside, shards)] == [
        *(("a", Kind.RUN), ("checkpoints-0123456789ab", Kind.ASIDE), ("evaluation", Kind.OF_RUN)),
    ]
    assert (aside.size, shards.size) == (200, 100)
    assert run.size == sum(OF_A_RUN.values()) + (runs / "a" / "run.json").stat().st_size == size_of(seen.items)
    assert size_of([aside, shards]) == 300


def test_what_lies_in_the_cache_is_told_apart(runs, cache, made):
    runs.mkdir()
    finished, name = made("tokenizer"), made("tokens").partition("/")[2]
    (cache / "tokens" / name).rename(cache / "tokens" / f"{name}.partial")
    (cache / "tokens" / "0123456789ab.lock").touch()
    (cache / "tokens" / "notes").mkdir()
    (cache / "tokens" / "0123456789ab").mkdir()  # holds no manifest: it is nobody's entry
    (cache / "tokens" / "0123456789ab" / "thesis.txt").write_text("mine")
    (cache / "scoring" / "T8-0123456789ab").mkdir(parents=True)
    (cache / "scoring" / "T8-0123456789ab" / "0.safetensors").write_bytes(bytes(20))
    (cache / "tokens" / "ffffffffffff").symlink_to(runs)
    seen = survey([runs], cache)
    assert [found(item) for item in seen.in_cache] == [
        (finished.partition("/")[2], Kind.ENTRY),
        *sorted([(f"{name}.partial", Kind.PARTIAL), ("ffffffffffff", Kind.ENTRY)]),
        ("scoring", Kind.SCORING),
    ]
    assert seen.in_cache[-1].size == 20 and not seen.in_cache[-1].is_unused
    (cache / "tokens" / "0123456789ab" / "thesis.txt").unlink()
    (cache / "tokens" / "0123456789ab").rmdir()
    assert ("0123456789ab.lock", Kind.LOCK) in [found(item) for item in survey([runs], cache).unused]


def test_an_entry_that_is_being_made_says_so(runs, cache, made):
    runs.mkdir()
    path = cache / made("tokens")
    path.rename(path.with_suffix(".partial"))
    assert [item.in_use for item in survey([runs], cache).in_cache] == [False]
    with FileLock(path.with_suffix(".lock")):
        assert [item.in_use for item in survey([runs], cache).in_cache] == [True]


def test_a_run_of_an_earlier_version_needs_what_it_mentions(runs, cache, made):
    tokenizer = made("tokenizer")
    values = {"fingerprint": "f", "done": {"tokenizer": {"path": str(cache / tokenizer / "model.safetensors")}}}
    (runs / "old").mkdir(parents=True)
    (runs / "old" / "run.json").write_text(json.dumps(values))
    (run,) = survey([runs], cache).runs
    assert run.state == "of an earlier version" and run.needs == {tokenizer}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"fingerprint": "f", "code": "c"}', "\ud800"])
def test_a_damaged_record_is_named(runs, cache, text):
    (runs / "a").mkdir(parents=True)
    (runs / "a" / "run.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert [run.state for run in survey([runs], cache).runs] == [DAMAGED]


def test_how_far_a_run_has_come(runs, cache, made):
    tokenizer = TokenizerRecord(f"cache:{made('tokenizer')}/model.safetensors", "x")
    tokens = TokensRecord("cache:tokens/0", "x")
    scores, drawn = {"mse": 0.0}, {f"pictures/{n}.png": 1 for n in ("reconstructions", "samples", "filling", "curve")}
    steps = {"tokenizer": tokenizer, "tokens": tokens, "mvtm": scores, "reconstruction": scores, "pictures": "x"}
    states = []
    for n in range(len(steps) + 1):
        files = {"checkpoints/last.ckpt": 1} | (drawn if n == len(steps) else {})
        write_run(runs / str(n), files=files, **dict(list(steps.items())[:n]))
        states.append(survey([runs / str(n)], cache).runs[0].state)
    reached = ("tokens", "mvtm", "mvtm")
    assert states == [*["unfinished"] * 2, *(f"complete up to {part}" for part in reached), "complete"]


def test_links_to_runs_are_followed_once(runs, cache, made, tmp_path):
    tokenizer = made("tokenizer")
    write_run(tmp_path / "elsewhere" / "a", [tokenizer])
    runs.mkdir()
    (runs / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(runs)
    seen = survey([runs, tmp_path / "elsewhere"], cache)
    assert [run.path for run in seen.runs] == [runs / "more" / "a"] and not seen.unused


def test_runs_beside_the_entries_of_their_cache_are_found(tmp_path, made, cache):
    tokenizer = made("tokenizer")
    write_run(cache / "digits" / "a", [tokenizer])
    assert not survey([cache], cache).unused


def test_a_folder_that_cannot_be_read_is_named(runs, cache, monkeypatch):
    (runs / "secret").mkdir(parents=True)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert survey([runs], cache).unread == [f"{runs / 'secret'} cannot be read (Permission denied)"]


def test_looking_changes_nothing(runs, cache, made):
    made("tokenizer")
    write_run(runs / "a", files=OF_A_RUN)
    before = sorted(runs.rglob("*")), sorted(cache.rglob("*"))
    survey([runs], cache)
    assert (sorted(runs.rglob("*")), sorted(cache.rglob("*"))) == before


def hold_and_wait(cache, ready):
    store = Store(cache, print)
    store.hold()
    ready.set()
    multiprocessing.Event().wait(60)


def test_a_command_holds_its_cache_until_it_is_killed(cache):
    fork = multiprocessing.get_context("fork")
    ready = [fork.Event() for _ in range(2)]
    processes = [fork.Process(target=hold_and_wait, args=(cache, each), daemon=True) for each in ready]
    for process, each in zip(processes, ready, strict=True):
        process.start()
        assert each.wait(60)
    assert in_use.is_in_use(cache) and len(list((cache / in_use.FOLDER).iterdir())) == 2
    processes[0].kill()
    processes[0].join()
    assert in_use.is_in_use(cache)
    with in_use.kept_free(cache) as fault:
        assert fault == f"a command is working with the cache {cache}: wait for it"
    processes[1].kill()
    processes[1].join()
    assert not in_use.is_in_use(cache)
    with in_use.kept_free(cache) as fault:
        assert fault is None and [path.name for path in (cache / in_use.FOLDER).iterdir()] == [in_use.GATE]


def test_what_begins_holds_its_cache_and_lets_go_in_the_end(cache):
    run = begin(CommonConf(cache_dir=str(cache)))
    other = run.store.alone()
    run.store.hold()
    assert in_use.is_in_use(cache) and len(list((cache / in_use.FOLDER).iterdir())) == 1
    del run
    assert in_use.is_in_use(cache)
    del other
    assert not in_use.is_in_use(cache) and not any((cache / in_use.FOLDER).iterdir())


def test_a_command_waits_while_its_cache_is_cleaned(cache):
    cache.mkdir()
    fork = multiprocessing.get_context("fork")
    ready = fork.Event()
    process = fork.Process(target=hold_and_wait, args=(cache, ready), daemon=True)
    with in_use.kept_free(cache) as fault:
        assert fault is None
        process.start()
        assert not ready.wait(0.3)
    assert ready.wait(60)
    process.kill()
    process.join()


def test_a_cache_that_cannot_be_written_cannot_be_held(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write the cache folder .*: choose another with cache_dir=PATH"):
        begin(CommonConf(cache_dir=str(tmp_path / "file" / "cache")))


def test_a_cache_that_cannot_be_written_cannot_be_cleaned(cache):
    cache.mkdir()
    (cache / in_use.FOLDER).write_text("")
    with in_use.kept_free(cache) as fault:
        assert fault is not None and "cannot write the cache folder" in fault
