"""Callbacks and flags of Lightning's trainer: what they do to a training, and to one that is resumed."""

import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint

from maskgit_lab.errors import UserError
from maskgit_lab.lit.extras import MEASURED
from maskgit_lab.nets.checkpoints import is_intact, read_checkpoint
from maskgit_lab.runs.names import LAST
from small_training import Kill, Stopped, module, train, weights

NLL = "mvtm/val_nll"


def stopping() -> EarlyStopping:
    """Ends the training after a few epochs, since the NLL does not rise that much."""
    return EarlyStopping(NLL, mode="max", min_delta=1.0, patience=3)


def epochs_of(folder) -> int:
    return read_checkpoint(folder / LAST)["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]


def test_a_callback_may_monitor_what_is_measured():
    assert set(train(module(epochs=1))) == set(MEASURED["mvtm"])


def test_a_resumed_training_stops_where_an_uninterrupted_one_does(tmp_path):
    whole, killed, resumed, again = (module(epochs=9) for _ in range(4))
    train(whole, tmp_path / "whole", stopping())
    assert epochs_of(tmp_path / "whole") == 4
    with pytest.raises(Stopped):
        train(killed, tmp_path / "cut", stopping(), Kill(2))
    train(resumed, tmp_path / "cut", stopping())
    assert epochs_of(tmp_path / "cut") == 4 and torch.equal(weights(whole), weights(resumed))
    train(again, tmp_path / "cut", stopping())  # a run that was killed between its end and its record
    assert epochs_of(tmp_path / "cut") == 4 and torch.equal(weights(whole), weights(again))


def test_the_best_checkpoint_lies_beside_the_last_and_changes_nothing(tmp_path):
    def best():
        places = {"dirpath": tmp_path / "with", "filename": "best", "enable_version_counter": False}
        return ModelCheckpoint(**places, monitor=NLL, mode="max", every_n_epochs=1)

    plain, watched = module(epochs=3), module(epochs=3)
    train(plain, tmp_path / "without")
    with pytest.raises(Stopped):
        train(module(epochs=3), tmp_path / "with", best(), Kill(2))
    train(watched, tmp_path / "with", best())
    assert torch.equal(weights(plain), weights(watched))
    assert {path.name for path in (tmp_path / "with").iterdir()} == {"best.ckpt", LAST}
    assert is_intact(tmp_path / "with" / "best.ckpt")
    states = [read_checkpoint(tmp_path / "with" / name) for name in ("best.ckpt", LAST)]
    assert states[0]["epoch"] < states[1]["epoch"]


def test_another_checkpoint_with_the_same_settings_is_no_conflict(tmp_path):
    other = ModelCheckpoint(tmp_path / "other", every_n_epochs=1, save_on_train_epoch_end=True)
    train(module(epochs=2), tmp_path, other)
    assert (tmp_path / LAST).exists() and list((tmp_path / "other").iterdir())


def test_what_lightning_refuses_is_one_sentence():
    for callbacks in ([LearningRateMonitor()], [stopping(), stopping()]):
        with pytest.raises(UserError, match="Lightning refuses these settings") as caught:
            train(module(epochs=1), None, *callbacks)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "steps"),
    [
        ({"limit_train_batches": 2}, 6),
        ({"overfit_batches": 1}, 3),
        ({"fast_dev_run": True}, 1),
        ({"fast_dev_run": 2, "overfit_batches": 0}, 2),
        ({"min_epochs": 1, "detect_anomaly": True, "num_sanity_val_steps": 1}, 12),
    ],
)
def test_a_limited_training_ends_early_and_knows_its_length(tmp_path, flags, steps):
    lengths = []

    class Length(Kill):
        def on_train_start(self, trainer, pl_module):
            lengths.append(pl_module.total_steps())

    scores = train(module(epochs=3), tmp_path, Length(99), flags=flags)
    assert scores.keys() == {NLL} and lengths == [steps]
    assert read_checkpoint(tmp_path / LAST)["global_step"] == steps


def test_an_anomaly_is_one_sentence():
    sentence = r"the training diverged \(Function .* returned nan values"
    with pytest.raises(UserError, match=sentence), pytest.warns(UserWarning, match="Error detected in"):
        train(module(epochs=2, lr=1e30, warmup_steps=0), flags={"detect_anomaly": True})


def test_without_validation_there_are_no_scores(tmp_path):
    assert train(module(epochs=1), tmp_path, flags={"limit_val_batches": 0}) == {}


def test_overfitting_sees_the_first_batch_without_augmentation():
    seen = []

    class See(Kill):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            seen.append(batch[0])

    train(module(epochs=3), None, See(99), flags={"overfit_batches": 1})
    assert len(seen) == 3 and all(torch.equal(batch, seen[0]) for batch in seen)


def test_a_report_of_the_profiler_is_written(tmp_path):
    from maskgit_lab.lit.extras import profiler

    made = profiler("simple", "mvtm", tmp_path)
    with made.profile("training"):
        pass
    made.setup("fit")
    made.describe()
    assert "training" in (tmp_path / "fit-mvtm.txt").read_text()
    assert profiler("xla", "mvtm", tmp_path) == "xla" and profiler("simple", "mvtm", None) == "simple"
