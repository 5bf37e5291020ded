"""Any number of processes and accumulated batches trains the same model within rounding."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from maskgit_lab.console import Terminal
from maskgit_lab.data.source import InMemory
from maskgit_lab.lit import processes
from maskgit_lab.lit.autoregressive import LitAutoregressive
from maskgit_lab.lit.base import DROPOUT_PARTS
from maskgit_lab.lit.dropout import WholeBatchDropout
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.lit.mvtm import LitMVTM
from maskgit_lab.lit.parts import Part, positions
from maskgit_lab.lit.tokenizer import LitTokenizer
from maskgit_lab.masking.schedules import Cosine
from maskgit_lab.nets.causal import CausalTransformer
from maskgit_lab.nets.checkpoints import read_checkpoint
from maskgit_lab.nets.discriminator import Discriminator
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.runs.names import LAST
from maskgit_lab.settings import DeadCodes, Hardware, MVTMLoss, Optim, TokenizerLosses
from two_processes import in_two_ranks

BATCH, N_IMAGES = 8, 21  # the last step of an epoch has 5 images
OPTIM = {"batch_size": BATCH, "lr": 1e-3, "ema_decay": 0.9, "warmup_steps": 3, "gradient_clip": 1.0}
SIZES = {"n_codes": 12, "n_classes": 3, "n_tokens": 9, "depth": 1, "heads": 2, "width": 16, "mlp_width": 32}


def codes(n):
    return InMemory(torch.randint(0, 12, (n, 9), generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3)


def images(n):
    return InMemory(torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3)


def mvtm(epochs):
    net = Transformer(**SIZES, dropout=0.1)
    loss = MVTMLoss(label_dropout=0.3)
    return LitMVTM(net, Cosine(), Optim(epochs=epochs, **OPTIM), loss, 0, {"fingerprint": "x"})


def autoregressive(epochs):
    net = CausalTransformer(**SIZES, dropout=0.1)
    return LitAutoregressive(net, Optim(epochs=epochs, **OPTIM), 0.1, 0.3, 0, {"fingerprint": "x"})


def tokenizer(epochs):
    """With codes that no image uses, which are revived."""
    net = VQGAN(codebook_size=8, latent_dim=4, base_width=8, multipliers=(1, 2), n_blocks=1, norm_groups=4)
    with torch.no_grad():
        net.quantizer.codebook[6:] = 1e3
    losses, critic = TokenizerLosses(perceptual=0.0), Discriminator(8, base_width=1, max_width=8)
    revive = DeadCodes(window=3, revive=True)
    return LitTokenizer(net, losses, Optim(epochs=epochs, **OPTIM), 0, critic, dead_codes=revive)


# What is trained, on what, and how far its weights may be after six steps of 1e-3 each. The soft assignment of the
# entropy loss is sharp: one bit of the first weights moves those of a single process as far.
TRAININGS = {
    "mvtm": (mvtm, codes, 1e-6),
    "autoregressive": (autoregressive, codes, 1e-6),
    "tokenizer": (tokenizer, images, 1e-4),
}


def trained(name, devices=1, accumulate=1, epochs=2, folder=None):
    make, items, _ = (TRAININGS | APART)[name]
    seed_all(0)
    module = make(epochs)
    hardware = Hardware(accelerator="cpu", devices=devices, accumulate=accumulate, save_every_epochs=1)
    data = items(N_IMAGES), items(23)
    scores = fit(module, *data, hardware=hardware, terminal=Terminal(), title="t", folder=folder)
    return torch.cat([p.detach().flatten() for p in module.net.parameters()]), scores


@pytest.fixture(scope="module")
def of_one_process():
    return {name: trained(name) for name in TRAININGS}


def expect_same(found, expected, bound):
    (weights, scores), (own, own_scores) = found, expected
    assert (weights - own).abs().max() < bound
    assert scores == pytest.approx(own_scores, rel=20 * bound)


@pytest.mark.parametrize("name", TRAININGS)
def test_accumulated_batches_train_the_model_of_one(name, of_one_process):
    expect_same(trained(name, accumulate=4), of_one_process[name], TRAININGS[name][2])


GOES_ON = ("mvtm", "tokenizer")


class AsOnAGPU(LitMVTM):
    draws_apart = True


def mvtm_as_on_a_gpu(epochs):
    module = mvtm(epochs)
    module.__class__ = AsOnAGPU
    return module


APART = {"apart": (mvtm_as_on_a_gpu, codes, 1e-6)}


def train_in_two_processes() -> None:
    """Also the first of two epochs, which one process then goes on with."""
    processes.connect(Hardware(accelerator="cpu", devices=2))
    found = {name: trained(name, devices=2) for name in TRAININGS}
    found["both"] = trained("tokenizer", devices=2, accumulate=2)
    found["apart"] = trained("apart", devices=2, accumulate=2)
    for name in GOES_ON:
        trained(name, devices=2, epochs=1, folder=Path(name))
    if torch.distributed.get_rank() == 0:
        torch.save(found, "trained")
    processes.leave()


def test_two_processes_train_the_model_of_one_and_one_goes_on_with_theirs(tmp_path, of_one_process):
    said = in_two_ranks(tmp_path, train_in_two_processes)
    assert said.code == 0, said.err
    found = torch.load(tmp_path / "trained")
    expect_same(found["both"], of_one_process["tokenizer"], TRAININGS["tokenizer"][2])
    expect_same(found["apart"], trained("apart", accumulate=4), 1e-6)  # as many parts
    for name, (_, _, bound) in TRAININGS.items():
        expect_same(found[name], of_one_process[name], bound)
    for name in GOES_ON:
        assert (tmp_path / name / LAST).exists()
        expect_same(trained(name, folder=tmp_path / name), of_one_process[name], TRAININGS[name][2])


def test_where_parts_draw_dropout_of_their_own_their_numbers_are_kept_and_said(tmp_path, capsys):
    trained("apart", epochs=1, folder=tmp_path)
    assert "parts" not in capsys.readouterr().out
    trained("apart", accumulate=2, epochs=2, folder=tmp_path)
    assert "batches were trained in 1, then 2 parts" in capsys.readouterr().out
    trained("apart", accumulate=4, epochs=2, folder=tmp_path)  # which is done already
    assert read_checkpoint(tmp_path / LAST)[DROPOUT_PARTS] == [1, 2]


SHAPES = [(1, 1), (2, 1), (1, 2), (4, 1), (2, 2), (1, 4), (8, 1)]


@pytest.mark.parametrize(("n_processes", "accumulate"), SHAPES)
@pytest.mark.parametrize("n_images", [1, 37, 40])
def test_the_parts_of_each_step_are_its_images_once(n_images, n_processes, accumulate):
    size = BATCH // (n_processes * accumulate)
    seen = [positions(n_images, size, n_processes, rank) for rank in range(n_processes)]
    n_batches = -(-len(seen[0]) // size)
    assert {-(-len(each) // size) for each in seen} == {n_batches}  # as many for every process
    steps: dict[int, list[tuple[Part, list[int]]]] = {}
    for rank, batch in torch.cartesian_prod(torch.arange(n_processes), torch.arange(n_batches)).tolist():
        part = Part.of_step(n_images, size, accumulate, n_processes, rank, batch, n_batches)
        own = list(seen[rank][batch * size : (batch + 1) * size])
        assert len(own) == max(1, len(part.rows)) == len(part.of(torch.arange(part.size)))
        steps.setdefault(batch // accumulate, []).append((part, own))
    for step, parts in steps.items():
        first, size = step * BATCH, min(BATCH, n_images - step * BATCH)
        assert {part.size for part, _ in parts} == {size}
        assert sorted(i for part, own in parts for i in own if part.rows) == list(range(first, first + size))
        assert all(own == [first + row for row in part.rows] for part, own in parts if part.rows)
        assert sum(part.factor / part.n_parts for part, _ in parts) == pytest.approx(1)
        assert [part.rows.start for part, _ in sorted(parts, key=lambda each: each[0].number)] == sorted(
            part.rows.start for part, _ in parts
        )


def test_flags_that_end_an_epoch_early_make_its_last_step_smaller():
    part = Part.of_step(n_images=100, batch_size=4, accumulate=2, n_processes=1, rank=0, batch=2, n_batches=3)
    assert (part.size, part.rows, part.factor) == (4, range(4), 2.0)


@pytest.mark.parametrize("make", [Transformer, CausalTransformer])
def test_dropout_of_the_parts_is_that_of_the_whole(make):
    seed_all(0)
    net, (tokens, labels) = make(**SIZES, dropout=0.3).train(), (torch.arange(54).view(6, 9) % 12, torch.arange(6) % 3)
    torch.manual_seed(5)
    whole = net(tokens, labels)
    for rows in (range(2), range(2, 6)):
        with WholeBatchDropout(Part(6, rows), 5):
            part = net(tokens[rows.start : rows.stop], labels[rows.start : rows.stop])
        assert torch.allclose(part, whole[rows.start : rows.stop], atol=1e-5)
    with WholeBatchDropout(Part(6, range(2)), 5):
        assert torch.equal(net.eval()(tokens, labels), net(tokens, labels))


ATTENTIONS = [{}, {"is_causal": True}, {"attn_mask": torch.eye(5).bool()}, {"attn_mask": torch.eye(5), "scale": 0.3}]


@pytest.mark.parametrize("options", ATTENTIONS)
def test_attention_with_dropout_is_torchs(options):
    query, key, value = (torch.randn(3, 2, 5, 4) for _ in range(3))
    torch.manual_seed(1)
    expected = F.scaled_dot_product_attention(query, key, value, dropout_p=0.4, **options)
    with WholeBatchDropout(Part(3, range(3)), 1):
        assert torch.allclose(
            F.scaled_dot_product_attention(query, key, value, dropout_p=0.4, **options), expected, atol=1e-6
        )
