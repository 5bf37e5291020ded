"""Settings laid over a run's own, as `evaluate.py` and `sample.py` do it."""

import pytest

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import flatten
from maskgit_lab.settings import CommonConf, TrainConf, checked, plain, replaced, run_fingerprint, training

NET = {"_target_": "nets.One", "width": 3}
OPTIM = {"epochs": 7, "batch_size": 8, "lr": 0.1, "decay": "cosine"}
MASKGIT = {"_target_": "decoders.MaskGIT", "steps": [4, 8], "schedule": "linear", "choice_temperature": 2.0}


@pytest.fixture
def run() -> CommonConf:
    classifier = {"net": NET, "label_smoothing": 0.2, "augment": {"n_ops": 2}, "optim": OPTIM, "seed": 5}
    return checked(
        CommonConf,
        {
            "seed": 3,
            "data": {"_target_": "data.one", "root": "here", "size": 16},
            "decode": MASKGIT,
            "features": {"name": "vgg16", "weights": "file"},
            "classifier": classifier,
            "eval": {"splits": 10, "n_samples": 40},
        },
    )


def test_nothing_changes_nothing(run):
    assert replaced(run, CommonConf, {}) == run and replaced(run, CommonConf, {"decode": {}, "eval": {}}) == run


def test_a_setting_goes_over_the_runs_and_the_rest_of_its_group_stays(run):
    whole = replaced(run, CommonConf, {"eval": {"n_samples": 7}, "decode": {"choice_temperature": 4.5}, "seed": 1})
    assert (whole.eval.n_samples, whole.eval.splits, whole.seed) == (7, 10, 1)
    assert whole.decode == MASKGIT | {"choice_temperature": 4.5}
    whole = replaced(run, CommonConf, {"classifier": {"optim": {"epochs": 1}}})
    assert plain(whole.classifier)["optim"] == plain(run.classifier)["optim"] | {"epochs": 1}


def test_another_object_takes_none_of_the_settings_of_the_one_before(run):
    other = {"_target_": "data.other", "path": "there"}
    assert replaced(run, CommonConf, {"data": other}).data == other
    whole = replaced(run, CommonConf, {"classifier": {"net": {"_target_": "nets.Other"}, "optim": OPTIM}})
    assert whole.classifier.net == {"_target_": "nets.Other"}
    assert (whole.classifier.label_smoothing, whole.classifier.augment.n_ops, whole.classifier.seed) == (0.0, 0, 0)


def test_another_decoder_keeps_t_and_the_schedule_alone(run):
    whole = replaced(run, CommonConf, {"decode": {"_target_": "decoders.Mine", "knob": 2}})
    assert whole.decode == {"_target_": "decoders.Mine", "knob": 2, "steps": [4, 8], "schedule": "linear"}
    given = {"_target_": "decoders.Mine", "steps": [3], "schedule": None}
    assert replaced(run, CommonConf, {"decode": given}).decode == given | {"schedule": "linear"}
    assert replaced(run, CommonConf, {"decode": given}).steps == [3]


def test_what_is_replaced_is_checked_again(run):
    for given, said in (
        ({"eval": {"splits": 0}}, "eval.splits=0 is not possible"),
        ({"eval": {"split": 2}}, "eval.split: there is no such setting"),
        ({"decode": {"steps": [0]}}, r"decode.steps=\[0\] is not possible"),
        ({"classifier": {"optim": {"lr": 0}}}, "classifier.optim.lr=0"),
    ):
        with pytest.raises(UserError, match=said):
            replaced(run, CommonConf, given)


def test_eval_steps_is_decode_steps(run):
    whole = replaced(run, CommonConf, {"eval": {"steps": [3, 5]}})
    assert whole.steps == whole.decode["steps"] == [3, 5] and whole.eval.steps is None
    assert whole == replaced(run, CommonConf, {"decode": {"steps": [3, 5]}})


def test_the_base_is_left_as_it_is(run):
    before = plain(run)
    replaced(run, CommonConf, {"decode": {"_target_": "a.B"}, "eval": {"splits": 2}, "classifier": {"seed": 1}})
    assert plain(run) == before


def test_flatten():
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": {}}) == {"a.b": 1, "a.c.d": [2], "e": {}}


def train(**changes) -> TrainConf:
    tokenizer = {"net": NET, "weights": None, "discriminator": NET, "optim": OPTIM}
    values = {
        "name": "x",
        "tokenizer": tokenizer,
        "mvtm": {"net": NET, "optim": OPTIM},
        "schedule": {"_target_": "s.S"},
    }
    return checked(TrainConf, values | changes)


def test_a_run_is_known_by_what_its_weights_depend_on():
    base = run_fingerprint(train())
    places = {"run_dir": "a", "cache_dir": "b", "stage": "tokens", "wait": True, "logger": {"mode": "none"}}
    for key, value in places.items():
        assert run_fingerprint(train(**{key: value})) == base, key
    assert run_fingerprint(train(trainer={"devices": 2, "accelerator": "cpu"})) == base
    for key, value in {"seed": 1, "trainer": {"precision": "bf16-mixed"}, "schedule": {"_target_": "s.T"}}.items():
        assert run_fingerprint(train(**{key: value})) != base, key
    for key, value in {"eval": {"splits": 2}, "decode": {"steps": [3]}, "features": {"name": "vgg16"}}.items():
        assert run_fingerprint(train(**{key: value})) == base, key
    assert training(train())["precision"] == "32-true" and not {"logger", "eval"} & training(train()).keys()
