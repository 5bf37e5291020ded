"""`run.json`: what makes sense is read; of what does not, the record before it takes the place."""

import json
from dataclasses import replace

import pytest

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import checksum
from maskgit_lab.runs.names import BEFORE, DAMAGED, RECORD
from maskgit_lab.runs.record import Damaged, Record
from records import WHOLE, read_record, write_record

EDITS = {
    "fingerprint": [None, 3, ["0"]],
    "config": [None, 3],
    "command": ["debug=tiny", [1], None],
    "cache": ["", "a\0b", None, 3],
    "wandb_id": ["", "../x", "a b", None],
    "data": [
        {"name": 3, "size": 16, "class_names": ["0"], "fingerprint": "f"},
        *({"name": "digits", "size": size, "class_names": ["0"], "fingerprint": "f"} for size in (0, -1, 10**9, "16")),
        *({"name": "digits", "size": 16, "class_names": names, "fingerprint": "f"} for names in ([], [1], "01")),
        {"name": "digits"},
        [],
    ],
    "tokenizer": [
        {"path": path, "weights": "b", "scores": {}}
        for path in ("", "cache:", "cache:.", "cache:/etc/passwd", "cache:../x", "cache:a/../../x", "run:/etc", "x", 3)
    ]
    + [{"path": "cache:x", "weights": "b", "scores": {"mse": "low"}}, {"path": "cache:a\0b", "weights": "b"}],
    "tokens": [{"path": "cache:x"}, {"path": "elsewhere:x", "digest": "c"}, "cache:x"],
    "classifier": [{"path": "cache:x", "top1": "high", "top5": 1.0}, {"path": "/x", "top1": 0.5, "top5": 1.0}],
    "mvtm": [{"nll": "low"}, [0.5], "done"],
    "sizes": [{"tokens": -1}, {"tokens": 2.5}, {"tokens": True}],
    "measured": [{"a": "b"}, [], {"a": [1]}],
    "pictures": [3, []],
    "used": ["tokenizer/0123456789ab", [3]],
    "unknown": [1],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in EDITS.items() for value in values])
def test_values_that_make_no_sense_are_refused_under_a_valid_checksum(tmp_path, key, value):
    WHOLE.write(tmp_path)
    write_record(tmp_path, {**read_record(tmp_path), key: value})
    with pytest.raises(Damaged, match=r"run\.json is damaged: give the train\.py command .* with run_dir="):
        Record.read(tmp_path)


def without_checksum(text):
    return json.dumps({key: value for key, value in json.loads(text).items() if key != "checksum"})


def of_another(text):
    return json.dumps({**json.loads(text), "checksum": "0" * 12})


DAMAGE = [
    *(without_checksum, of_another, lambda text: text[:50], lambda text: "", lambda text: "[" * 100_000),
    *(lambda text: "[]", lambda text: "3", lambda text: json.dumps({"checksum": checksum({})}), lambda text: "\0"),
]


@pytest.mark.parametrize("harm", DAMAGE)
def test_the_record_before_takes_the_place_of_a_damaged_one(tmp_path, harm, capsys):
    WHOLE.write(tmp_path)
    replace(WHOLE, mvtm={"nll": 1.0}).write(tmp_path)
    (tmp_path / RECORD).write_text(harm((tmp_path / RECORD).read_text()))
    assert Record.read(tmp_path) == Record.read(tmp_path) == WHOLE
    assert capsys.readouterr().out.count("takes its place, and nothing is lost") == 1
    replace(WHOLE, mvtm={"nll": 2.0}).write(tmp_path)
    assert Record.read(tmp_path).mvtm == {"nll": 2.0}
    assert (tmp_path / BEFORE).exists() and (tmp_path / DAMAGED).exists()  # neither is lost


def test_a_record_that_is_gone_is_replaced_too(tmp_path):
    WHOLE.write(tmp_path)
    replace(WHOLE, mvtm={"nll": 1.0}).write(tmp_path)
    (tmp_path / RECORD).unlink()
    assert Record.read(tmp_path) == WHOLE
    (tmp_path / BEFORE).unlink()
    with pytest.raises(UserError, match="contains no run"):
        Record.read(tmp_path)


def test_the_same_record_is_not_written_twice(tmp_path):
    replace(WHOLE, mvtm={"nll": 1.0}).write(tmp_path)
    for _ in range(2):
        WHOLE.write(tmp_path)
    assert read_record(tmp_path)["mvtm"] is None
    assert json.loads((tmp_path / BEFORE).read_text())["mvtm"] == {"nll": 1.0}
