"""Training: reproducible, resumable and able to learn."""

import signal
from dataclasses import replace

import pytest
import torch

from maskgit_lab.console import Terminal
from maskgit_lab.data.augment import Centre
from maskgit_lab.data.source import InMemory
from maskgit_lab.errors import UserError
from maskgit_lab.lit.autoregressive import LitAutoregressive
from maskgit_lab.lit.base import weight_ema
from maskgit_lab.lit.classifier import LitClassifier
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.lit.mvtm import LitMVTM
from maskgit_lab.lit.optimizers import lr_factor
from maskgit_lab.lit.parts import Part
from maskgit_lab.masking.schedules import Cosine
from maskgit_lab.nets.causal import CausalTransformer
from maskgit_lab.nets.checkpoints import read_checkpoint
from maskgit_lab.nets.classifier import SmallConvNet
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objectives.autoregressive import next_token_cross_entropy
from maskgit_lab.runs.names import LAST
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import Hardware, MVTMLoss, Optim

OPTIM = {"batch_size": 8, "lr": 1e-3, "ema_decay": 0.9, "warmup_steps": 3, "gradient_clip": 1.0, "weight_decay": 0.1}
SIZES = {"n_codes": 12, "n_classes": 3, "n_tokens": 9, "depth": 1, "heads": 2, "width": 16, "mlp_width": 32}
HARDWARE = Hardware(accelerator="cpu", save_every_epochs=1, validate_every_epochs=1)


def codes(n: int) -> InMemory:
    generator = torch.Generator().manual_seed(0)
    return InMemory(torch.randint(0, 12, (n, 9), generator=generator), torch.arange(n) % 3)


def mvtm(epochs: int = 2, total_epochs: int | None = None, seed: int = 0) -> LitMVTM:
    seed_all(seed)
    net = Transformer(**SIZES, dropout=0.1)
    return LitMVTM(net, Cosine(), Optim(epochs=epochs, **OPTIM), MVTMLoss(), seed, {"fingerprint": "x"})


def autoregressive(epochs: int = 2, seed: int = 0, label_dropout: float = 0.1, **optim) -> LitAutoregressive:
    seed_all(seed)
    net = CausalTransformer(**SIZES, dropout=0.1, order=[4, 1, 0, 2, 3, 5, 8, 7, 6])
    return LitAutoregressive(net, Optim(epochs=epochs, **OPTIM | optim), 0.1, label_dropout, seed, {"fingerprint": "x"})


both = pytest.mark.parametrize(("make", "stage"), [(mvtm, "mvtm"), (autoregressive, "autoregressive")])


def train(module, dataset=codes, folder=None, hardware=HARDWARE, **settings):
    return fit(
        module, dataset(30), dataset(12), hardware=hardware, terminal=Terminal(), title="t", folder=folder, **settings
    )


def weights(module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.best_net.parameters()])


@both
def test_the_same_seed_gives_the_same_weights_and_losses(make, stage):
    first, second, other = make(), make(), make(seed=1)
    scores = [train(module) for module in (first, second, other)]
    assert torch.equal(weights(first), weights(second)) and scores[0] == scores[1]
    assert not torch.equal(weights(first), weights(other))


@both
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, make, stage):
    whole, half, resumed = make(epochs=4), make(epochs=2), make(epochs=4)
    train(whole)
    train(half, folder=tmp_path)
    assert not torch.equal(weights(whole), weights(half))
    scores = train(resumed, folder=tmp_path)
    assert torch.equal(weights(whole), weights(resumed))
    assert set(scores) == {f"{stage}/val_nll"}


KILLED = {
    "plainly": ({}, 7),
    "with two batches a step": ({"accumulate": 2}, 5),
    "in half precision": ({"precision": "bf16-mixed"}, 13),
}


@pytest.mark.parametrize(("hardware", "batch"), KILLED.values(), ids=KILLED)
def test_a_training_that_is_killed_at_any_batch_goes_on_bit_for_bit(tmp_path, hardware, batch):
    """At one that no checkpoint was saved before."""
    hardware = replace(HARDWARE, **hardware)

    class Killed(LitAutoregressive):
        def on_train_batch_start(self, *arguments):
            if self.trainer.fit_loop.total_batch_idx == batch:
                raise RuntimeError("killed")
            super().on_train_batch_start(*arguments)

    whole, killed, resumed = (autoregressive(epochs=4) for _ in range(3))
    expected = train(whole, hardware=hardware)
    killed.__class__ = Killed
    with pytest.raises(RuntimeError, match="killed"):
        train(killed, folder=tmp_path, hardware=hardware)
    assert not torch.equal(weights(killed), weights(whole))
    assert train(resumed, folder=tmp_path, hardware=hardware) == expected
    assert torch.equal(weights(whole), weights(resumed))


def test_its_loss_is_the_smoothed_cross_entropy_and_its_score_the_exact_nll():
    module = autoregressive(epochs=1, label_dropout=0.0, lr=1e-12, weight_decay=0.0)
    module.log = lambda *_, **__: None
    tokens, labels = (torch.stack([codes(12)[i][0] for i in range(12)]), torch.arange(12) % 3)
    with torch.no_grad():
        logits = module.eval().best_net(tokens, labels)
    module.validation_step([tokens, labels], 0)
    assert module.val_nll.compute().item() == pytest.approx(next_token_cross_entropy(logits, tokens).item())
    smoothed = next_token_cross_entropy(logits, tokens, 0.1).item()
    module.part = Part(12, range(12))
    assert module.training_step([tokens, labels], 0)["loss"].item() == pytest.approx(smoothed)


def test_labels_are_dropped_as_often_as_asked_and_alike_after_a_resume():
    module, seen = autoregressive(label_dropout=0.25), []
    module.log = lambda *_, **__: None
    module.net.forward = lambda tokens, labels: seen.append(labels) or torch.zeros(*tokens.shape, 12)
    tokens, labels = torch.zeros(400, 9, dtype=torch.int64), torch.arange(400) % 3
    for batch in (0, 1, 1):
        module.step, module.part = batch, Part(400, range(400))
        module.training_step([tokens, labels], 0)
    share = [(each == module.net.null_label).double().mean().item() for each in seen]
    assert share == pytest.approx([0.25] * 3, abs=0.08) and torch.equal(seen[1], seen[2])
    assert not torch.equal(seen[0], seen[1])
    kept = seen[0] != module.net.null_label
    assert torch.equal(seen[0][kept], labels[kept])


def test_a_checkpoint_holds_plain_values_and_a_damaged_one_is_refused(tmp_path):
    train(mvtm(epochs=1), folder=tmp_path)
    assert read_checkpoint(tmp_path / LAST)["maskgit_lab"] == {"fingerprint": "x"}
    (tmp_path / LAST).write_bytes((tmp_path / LAST).read_bytes()[:1000])
    with pytest.raises(UserError, match="is damaged"):
        train(mvtm(), folder=tmp_path)
    with pytest.raises(UserError, match="no checkpoint"):
        read_checkpoint(tmp_path / "absent.ckpt")


def test_ctrl_c_is_an_interrupt_and_keeps_the_checkpoint(tmp_path):
    class Interrupted(LitMVTM):
        def on_train_epoch_start(self):
            if self.current_epoch == 1:
                raise KeyboardInterrupt

    module = mvtm()
    module.__class__ = Interrupted
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(module, folder=tmp_path)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert read_checkpoint(tmp_path / LAST)["epoch"] == 0


@both
def test_a_finished_training_is_not_repeated(tmp_path, make, stage):
    first, second = make(), make()
    assert train(first, folder=tmp_path) == train(second, folder=tmp_path)
    assert torch.equal(weights(first), weights(second))


@both
def test_training_learns_constant_codes(make, stage):
    dataset = InMemory(torch.full((64, 9), 5), torch.zeros(64, dtype=torch.int64))
    module = make(epochs=15)
    scores = train(module, lambda n: dataset)
    assert scores[f"{stage}/val_nll"] < 1.0  # log 12 = 2.5 before


def test_options_of_the_loss_change_the_weights_and_are_off_by_default():
    ends = []
    for loss in (MVTMLoss(), MVTMLoss(min_masking_rate=0.9), MVTMLoss(loss_on="all"), MVTMLoss(label_dropout=0.9)):
        module = mvtm()
        module.loss = loss
        train(module)
        ends.append(weights(module))
    assert all(not torch.equal(ends[0], other) for other in ends[1:])
    assert MVTMLoss() == MVTMLoss(0.1, 0.0, "masked", 0.0)


def test_a_classifier_learns_separable_classes():
    seed_all(0)
    x = torch.zeros(60, 3, 8, 8)
    y = torch.arange(60) % 3
    x[torch.arange(60), y] = 1.0
    optim = Optim(epochs=8, batch_size=16, lr=1e-2, decay="cosine")
    module = LitClassifier(SmallConvNet(3, width=4), 3, optim, 0.0, 0, Centre())
    scores = train(module, lambda n: InMemory(x, y))
    assert scores.pop("classifier/val_loss") < 0.5
    assert scores == {"classifier/top1": 1.0, "classifier/top5": 1.0}


def test_the_average_is_exponential():
    net = torch.nn.Linear(1, 1, bias=False)
    ema = weight_ema(net, 0.9)
    values = [1.0, 3.0, -2.0]
    for value in values:
        net.weight.data.fill_(value)
        ema.update_parameters(net)
    assert ema.module.weight.item() == pytest.approx((1.0 * 0.9 + 3.0 * 0.1) * 0.9 - 2.0 * 0.1)


def test_the_learning_rate_warms_up_and_decays():
    constant, cosine = (Optim(epochs=1, batch_size=1, lr=1.0, warmup_steps=10, decay=d) for d in ("none", "cosine"))
    assert [lr_factor(s, 100, constant) for s in (0, 4, 9, 99)] == pytest.approx([0.1, 0.5, 1, 1])
    assert [lr_factor(s, 110, cosine) for s in (0, 9, 10, 60, 110)] == pytest.approx([0.1, 1, 1, 0.5, 0])


def test_steps_and_parts_have_different_seeds():
    seeds = {mix_seeds(seed, part, step) for seed in range(4) for part in range(8) for step in range(50)}
    assert len(seeds) == 4 * 8 * 50
    assert len({mix_seeds(5), mix_seeds(5, 0), mix_seeds(5, 0, 0)}) == 3
