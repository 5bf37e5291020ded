"""What is seen of a training: `metrics.csv`, the lines of its epochs, and its pictures."""

import csv
import io
import math
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from maskgit_lab.console import Terminal
from maskgit_lab.data.source import InMemory
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.lit.monitoring.history import MetricsFile
from maskgit_lab.lit.monitoring.measures import (
    QUARTERS,
    code_measures,
    gradient_norm,
    gradient_ratios,
    masked_measures,
)
from maskgit_lab.lit.monitoring.watched import Watched
from maskgit_lab.lit.mvtm import LitMVTM
from maskgit_lab.lit.parts import Part
from maskgit_lab.lit.progress import StageBar
from maskgit_lab.lit.tokenizer import LitTokenizer
from maskgit_lab.masking.schedules import Cosine
from maskgit_lab.nets.discriminator import Discriminator
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.settings import Hardware, MVTMLoss, Optim, TokenizerLosses

OPTIM = {"batch_size": 8, "lr": 1e-3, "ema_decay": 0.9, "warmup_steps": 3, "gradient_clip": 1.0}
EVERY = {"loss", "lr", "gradient_norm", "images_per_second", "data_wait"}
OF_MVTM = EVERY | {"masked_accuracy", "tokens_per_second", "val_nll", *(f"loss_masked_{name}" for name in QUARTERS)}
SPEEDS = ("images_per_second", "tokens_per_second", "data_wait")


def train(module, path, *, every=2, validate=1, draw=None, terminal=None, folder=None):
    hardware = Hardware(accelerator="cpu", save_every_epochs=1, validate_every_epochs=validate, log_every_n_steps=every)
    watched = path and Watched(stage="mvtm", history=path, draw=draw, draw_every_epochs=2)
    places = {"terminal": terminal or Terminal(), "title": "t", "folder": folder}
    return fit(module, codes(30), codes(12), hardware=hardware, watched=watched, **places)


def codes(n: int) -> InMemory:
    generator = torch.Generator().manual_seed(0)
    return InMemory(torch.randint(0, 12, (n, 9), generator=generator), torch.arange(n) % 3)


def mvtm(epochs: int = 2) -> LitMVTM:
    seed_all(0)
    net = Transformer(n_codes=12, n_classes=3, n_tokens=9, depth=1, heads=2, width=16, mlp_width=32, dropout=0.1)
    return LitMVTM(net, Cosine(), Optim(epochs=epochs, **OPTIM), MVTMLoss(), 0, {"fingerprint": "x"})


def weights(module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.best_net.parameters()])


def rows_of(path, stage="mvtm"):
    """Without empty cells, and without what differs from one machine to the next."""
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["stage"] == stage]
    assert all(None not in row and None not in row.values() for row in rows)
    return [
        {name: cell if name == "stage" else float(cell) for name, cell in row.items() if cell}
        for row in ({k: v for k, v in row.items() if not k.endswith(SPEEDS)} for row in rows)
    ]


def column(rows, name):
    return [row[name] for row in rows if name in row]


def test_every_run_has_a_row_for_each_step_that_is_logged(tmp_path):
    module = mvtm(epochs=2)
    scores = train(module, tmp_path / "metrics.csv")
    rows = rows_of(tmp_path / "metrics.csv")
    header = (tmp_path / "metrics.csv").read_text().splitlines()[0].split(",")
    assert header[:3] == ["stage", "epoch", "step"] and set(header[3:]) == {f"mvtm/{name}" for name in OF_MVTM}
    assert column(rows, "step") == [1, 3, 5, 7] and column(rows, "epoch") == [0, 0, 1, 1]  # 4 steps an epoch
    assert ["mvtm/val_nll" in row for row in rows] == [False, True, False, True]
    assert rows[-1]["mvtm/val_nll"] == pytest.approx(scores["mvtm/val_nll"], rel=1e-7)
    assert column(rows, "mvtm/lr") == pytest.approx([2e-3 / 3, 1e-3, 1e-3, 1e-3])  # three steps of warm-up
    assert all(row["mvtm/gradient_norm"] > 0 and 0 <= row["mvtm/masked_accuracy"] <= 1 for row in rows)


def test_watching_changes_no_weight(tmp_path):
    watched, alone = mvtm(), mvtm()
    assert train(watched, tmp_path / "metrics.csv", draw=lambda *_: None) == train(alone, None)
    assert torch.equal(weights(watched), weights(alone))


def test_a_resumed_run_has_the_history_of_an_uninterrupted_one(tmp_path):
    train(mvtm(epochs=4), tmp_path / "whole.csv", folder=tmp_path / "whole")
    train(mvtm(epochs=2), tmp_path / "resumed.csv", folder=tmp_path / "resumed")
    path = tmp_path / "resumed.csv"
    late = path.read_text().splitlines()[-1].replace("mvtm,1,7", "mvtm,2,9")
    path.write_text(path.read_text() + late + "\nmvtm,2,11,0.")  # killed in its third epoch, while it wrote
    train(mvtm(epochs=4), path, folder=tmp_path / "resumed")
    assert str(rows_of(path)) == str(rows_of(tmp_path / "whole.csv"))  # NaN is not equal to itself
    before = path.read_bytes()
    train(mvtm(epochs=4), path, folder=tmp_path / "resumed")  # nothing is left to train
    assert path.read_bytes() == before


def test_the_other_stages_rows_stay(tmp_path):
    path = tmp_path / "metrics.csv"
    tokenizer = MetricsFile(path, "tokenizer")
    tokenizer.log_metrics({"tokenizer/loss": 0.5, "epoch": 0}, 9)
    train(mvtm(epochs=1), path)
    train(mvtm(epochs=1), path)  # once more from the start
    assert rows_of(path, "tokenizer") == [{"stage": "tokenizer", "epoch": 0, "step": 9, "tokenizer/loss": 0.5}]
    assert column(rows_of(path), "step") == [1, 3]


def test_what_lightnings_callbacks_log_gets_a_row_too(tmp_path):
    file = MetricsFile(tmp_path / "metrics.csv", "mvtm")
    file.begin(0)
    file.log_metrics({"mvtm/loss": 0.1, "epoch": 0}, 1)
    file.log_metrics({"lr-AdamW": 1e-3}, 1)
    file.log_metrics({"mvtm/loss": math.nan, "epoch": 0}, 3)
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "stage,epoch,step,mvtm/loss,mvtm/lr-AdamW",
        "mvtm,0,1,0.1,0.001",
        "mvtm,0,3,nan,",
    ]


def test_a_validation_after_the_last_epoch_belongs_to_its_last_step(tmp_path):
    train(mvtm(epochs=3), tmp_path / "metrics.csv", validate=2)
    rows = rows_of(tmp_path / "metrics.csv")
    assert [row["step"] for row in rows if "mvtm/val_nll" in row] == [7, 11]
    assert column(rows, "epoch") == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_line_for_each_epoch_where_there_is_no_terminal(tmp_path, is_terminal):
    out = io.StringIO()
    terminal = Terminal(Console(file=out, force_terminal=is_terminal, highlight=False, soft_wrap=True))
    train(mvtm(epochs=2), tmp_path / "metrics.csv", terminal=terminal)
    lines = [line.split() for line in out.getvalue().splitlines() if "epoch" in line]
    if is_terminal:
        assert not lines
        return
    assert [line[:2] for line in lines] == [["epoch", "1/2"], ["epoch", "2/2"]]
    assert [lines[0][i] for i in (2, 4, 6, 9, 10)] == ["loss", "val_nll", "lr", "images/s", "eta"]
    assert "eta" not in lines[1]
    assert float(lines[0][5]) == pytest.approx(rows_of(tmp_path / "metrics.csv")[1]["mvtm/val_nll"], rel=1e-3)


def test_the_line_of_an_epoch_has_the_mean_over_the_images_of_this_process():
    out, module = io.StringIO(), mvtm(epochs=1)
    module.total_steps, module.with_these_parts = (lambda: 2), list
    trainer = SimpleNamespace(
        global_step=0, current_epoch=0, world_size=2, num_training_batches=2, callback_metrics={}, optimizers=[]
    )
    bar = StageBar(Terminal(Console(file=out, soft_wrap=True)), "t", in_lines=True)
    bar.on_train_start(trainer, module)
    bar._lr = 0.1
    for batch, loss in enumerate((1.0, 3.0)):  # of 13 images in batches of 8, this process has 4 and 4
        module.part = Part.of_step(13, 4, 1, 2, 0, batch, 2)
        bar.on_train_batch_end(trainer, module, module.of_part(torch.tensor(loss)), [torch.zeros(4)], batch)
    bar.on_train_epoch_end(trainer, module)
    bar.on_train_end(trainer, module)
    assert out.getvalue().split()[:4] == ["epoch", "1/1", "loss", "2"]


def test_a_training_without_an_audience_prints_nothing(capsys):
    train(mvtm(epochs=1), None)
    assert capsys.readouterr().out == ""


def test_pictures_are_drawn_with_the_network_that_is_evaluated(tmp_path):
    drawn = []
    module = mvtm(epochs=4)

    def draw(net, epochs, step):
        drawn.append((net is module.best_net, net.training, epochs, step))

    train(module, tmp_path / "metrics.csv", draw=draw)
    assert drawn == [(True, False, 2, 7), (True, False, 4, 15)]


class FiveTimes(torch.nn.Module):
    """Five times the pixel loss, in place of a perceptual one."""

    def forward(self, images, targets):
        return 5 * (images - targets).square().mean()


def tokenizer(path=None, **hardware):
    """A tokenizer that was trained with all its losses."""
    generator = torch.Generator().manual_seed(0)
    seed_all(0)
    net = VQGAN(codebook_size=8, latent_dim=4, base_width=8, multipliers=(1, 2), n_blocks=1, norm_groups=4)
    losses = TokenizerLosses(pixel=2.0, perceptual=0.3, adversarial=0.5)
    critic = Discriminator(8, base_width=1, max_width=8)
    module = LitTokenizer(net, losses, Optim(epochs=1, **OPTIM), 0, critic, FiveTimes())
    images = InMemory(torch.rand(30, 3, 8, 8, generator=generator), torch.arange(30) % 3)
    watched = path and Watched(stage="tokenizer", history=path)
    places = {"terminal": Terminal(), "title": "t", "watched": watched}
    fit(module, images, images, hardware=Hardware(accelerator="cpu", **hardware), **places)
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def test_the_tokenizer_logs_its_losses_its_codes_and_its_discriminator(tmp_path):
    tokenizer(tmp_path / "metrics.csv", log_every_n_steps=100)
    (row,) = rows_of(tmp_path / "metrics.csv", "tokenizer")
    named = {name.partition("/")[2]: value for name, value in row.items() if "/" in name}
    trained = ("pixel", "codebook", "commitment", "entropy", "perceptual", "adversarial")
    assert named["loss"] == pytest.approx(sum(named[f"weighted_{name}"] for name in trained), rel=1e-5)
    assert named["weighted_adversarial"] == pytest.approx(0.5 * named["adversarial"], rel=1e-6)
    own = {"discriminator", "r1", "logits_real", "logits_fake", "discriminator_gradient_norm"}
    held_out = {"val_mse", "val_codebook_usage", "val_perplexity"}
    rest = {"loss", "lr", "gradient_norm", "codebook_usage", "perplexity"}
    ratios = {"losses/grad_ratio_perceptual", "losses/grad_ratio_adversarial"}  # the others do not reach the decoder
    assert named.keys() == {*trained, *(f"weighted_{name}" for name in trained)} | own | held_out | rest | ratios
    assert named["losses/grad_ratio_perceptual"] == pytest.approx(0.3 * 5 / 2.0, rel=1e-5)
    assert 0 < named["losses/grad_ratio_adversarial"] < 100
    assert row["step"] == 3  # an epoch has a row, however few its steps are


def test_what_is_logged_of_the_losses_does_not_change_the_training(tmp_path):
    watched = tokenizer(tmp_path / "metrics.csv", log_every_n_steps=1, accumulate=2)
    found = column(rows_of(tmp_path / "metrics.csv", "tokenizer"), "tokenizer/losses/grad_ratio_adversarial")
    assert len(set(found)) == 4  # of 8 batches, two to a step
    assert torch.equal(watched, tokenizer(accumulate=2))


def test_gradients_are_compared_in_16_bits_too(tmp_path):
    tokenizer(tmp_path / "metrics.csv", precision="bf16-mixed", log_every_n_steps=1)
    found = column(rows_of(tmp_path / "metrics.csv", "tokenizer"), "tokenizer/losses/grad_ratio_perceptual")
    assert len(found) == 4 and found == pytest.approx([0.75] * 4, rel=0.02)


def test_gradient_ratios():
    weight, other = torch.nn.Parameter(torch.tensor([1.0, 2.0])), torch.nn.Parameter(torch.ones(1))
    losses = {
        "pixel": weight.square().sum(),  # (2, 4)
        "perceptual": 3 * weight[0] + 4 * weight[1],  # (3, 4)
        "codebook": other.sum(),
        "flat": 0 * weight.sum(),
    }
    found = gradient_ratios(losses, "pixel", weight)
    assert found.keys() == {"perceptual", "flat"} and found["flat"] == 0
    assert found["perceptual"].item() == pytest.approx(5 / math.sqrt(20))
    assert gradient_ratios(losses, "pixel", weight, scale=1024.0) == found
    assert weight.grad is None
    losses["pixel"].backward()  # the graph is still there


def test_the_gradient_norm_is_that_of_all_gradients():
    weights = [
        torch.nn.Parameter(torch.zeros(2)),
        torch.nn.Parameter(torch.zeros(1)),
        torch.nn.Parameter(torch.ones(1)),
    ]
    weights[0].grad, weights[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([4.0])
    assert gradient_norm(weights) == 5


def test_masked_measures_by_the_share_that_is_masked():
    targets_BN = torch.zeros(3, 4, dtype=torch.int64)
    logits_BNK = torch.zeros(3, 4, 2)
    logits_BNK[0, :, 0], logits_BNK[2, :, 1] = 9.0, 9.0
    mask_BN = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]], dtype=torch.bool)
    found = {name: float(value) for name, value in masked_measures(logits_BNK, targets_BN, mask_BN, 0.0).items()}
    assert found["loss_masked_0_25"] < 0.01 and found["loss_masked_75_100"] > 8
    assert found["loss_masked_25_50"] == pytest.approx(math.log(2)) and math.isnan(found["loss_masked_50_75"])
    assert found["masked_accuracy"] == pytest.approx(3 / 7)


def test_code_measures():
    found = code_measures(torch.tensor([[[0, 0], [3, 3]]]), 8)
    assert found["codebook_usage"] == 0.25 and found["perplexity"] == pytest.approx(2)
