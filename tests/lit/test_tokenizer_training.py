"""Training of the tokenizer: losses that take turns, accumulated batches, precision and dead codes."""

import copy
from pathlib import Path

import pytest
import torch

from maskgit_lab.console import Terminal
from maskgit_lab.data.source import InMemory
from maskgit_lab.errors import UserError
from maskgit_lab.lit import processes
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.lit.tokenizer import LitTokenizer
from maskgit_lab.nets.checkpoints import read_checkpoint
from maskgit_lab.nets.discriminator import Discriminator
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.runs.names import LAST
from maskgit_lab.settings import DeadCodes, Hardware, Optim, TokenizerLosses
from two_processes import in_two_ranks

OPTIM = {"batch_size": 8, "lr": 1e-3, "ema_decay": 0.9, "warmup_steps": 3, "gradient_clip": 1.0, "weight_decay": 0.1}
HARDWARE = Hardware(accelerator="cpu", save_every_epochs=1, validate_every_epochs=1)


def images(n: int) -> InMemory:
    generator = torch.Generator().manual_seed(0)
    return InMemory(torch.rand(n, 3, 8, 8, generator=generator), torch.arange(n) % 3)


def train(module, hardware=HARDWARE, n_images=30, folder=None):
    return fit(module, images(n_images), images(12), hardware=hardware, terminal=Terminal(), title="t", folder=folder)


def weights(module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in module.best_net.parameters()])


def tokenizer(weights: TokenizerLosses, discriminator=None) -> LitTokenizer:
    seed_all(0)
    net = VQGAN(codebook_size=8, latent_dim=4, base_width=8, multipliers=(1, 2), n_blocks=1, norm_groups=4)
    return LitTokenizer(net, weights, Optim(epochs=2, **OPTIM), 0, discriminator)


def test_the_tokenizer_trains_without_a_gan():
    module = tokenizer(TokenizerLosses(adversarial=0.0, perceptual=0.0))
    before = weights(module).clone()
    scores = train(module)
    assert set(scores) == {"tokenizer/val_mse", "tokenizer/val_codebook_usage", "tokenizer/val_perplexity"}
    assert 0 < scores["tokenizer/val_codebook_usage"] <= 1 <= scores["tokenizer/val_perplexity"] <= 8
    assert not torch.equal(weights(module), before)


def test_the_tokenizer_trains_with_a_gan():
    torch.manual_seed(0)
    discriminator = Discriminator(8, base_width=1, max_width=8)
    before = copy.deepcopy(discriminator.state_dict())
    module, plain = (tokenizer(TokenizerLosses(perceptual=0.0), d) for d in (discriminator, None))
    train(module)
    train(plain)
    changed = [not torch.equal(value, before[name]) for name, value in discriminator.state_dict().items()]
    assert all(changed)
    assert not torch.equal(weights(module), weights(plain))


def no_entropy(**losses) -> TokenizerLosses:
    """Losses that are means over images, so that a batch may be cut into parts."""
    return TokenizerLosses(entropy=0.0, perceptual=0.0, **losses)


def test_accumulated_batches_make_the_step_of_the_whole_batch():
    ends = []
    for accumulate in (1, 2, 4):
        torch.manual_seed(0)
        module = tokenizer(no_entropy(), Discriminator(8, base_width=1, max_width=8))
        hardware = Hardware(accelerator="cpu", accumulate=accumulate)
        train(module, hardware, n_images=32)
        ends.append(weights(module))
    assert torch.allclose(ends[0], ends[1], atol=1e-5) and torch.allclose(ends[0], ends[2], atol=1e-5)
    with pytest.raises(UserError, match="a batch of 8 cannot be split evenly into 1 \\(devices\\) x 3"):
        hardware = Hardware(accelerator="cpu", accumulate=3)
        train(module, hardware, n_images=32)


def test_the_tokenizer_trains_in_16_bits_and_finds_its_codes_in_32():
    torch.manual_seed(0)
    module = tokenizer(TokenizerLosses(perceptual=0.0), Discriminator(8, base_width=1, max_width=8))
    before = weights(module).clone()
    hardware = Hardware(accelerator="cpu", precision="bf16-mixed")
    scores = train(module, hardware, n_images=32)
    assert scores["tokenizer/val_mse"] < 1 and not torch.equal(weights(module), before)
    with torch.autocast("cpu", torch.bfloat16):
        latents = module.net.encoder(images(4).images)
        distances = module.net.quantizer.distances(latents)
    assert latents.dtype == torch.bfloat16 and distances.dtype == torch.float32


def test_training_ends_after_max_steps():
    for critic in (None, Discriminator(8, base_width=1, max_width=8)):
        module = tokenizer(TokenizerLosses(perceptual=0.0), critic)
        module.optim.max_steps = 3
        train(module)
        assert module.trainer.fit_loop.total_batch_idx + 1 == 3


@pytest.mark.parametrize("revive", [False, True])
def test_dead_codes_are_counted_and_revived(revive):
    logged = []

    class Counted(LitTokenizer):
        def log(self, name, value, **how):
            logged.append((name, value))
            super().log(name, value, **how)

    module = tokenizer(TokenizerLosses(adversarial=0.0, perceptual=0.0))
    module.__class__ = Counted
    module.code_use.settings = DeadCodes(window=2, revive=revive)
    with torch.no_grad():
        module.net.quantizer.codebook[2:] = 1e3  # no image is ever near these six
    train(module)
    counted = [float(value) for name, value in logged if name == "tokenizer/dead_codes"]
    assert counted[0] >= 6 and (counted[-1] < 6) == revive
    for net in (module.net, module.best_net):
        assert (net.quantizer.codebook.max() < 10) == revive


def counts_of_two_processes() -> None:
    """Writes how often each code was used in an unfinished window of both, without a break and with one."""
    hardware = Hardware(accelerator="cpu", devices=2, save_every_epochs=1)
    processes.connect(hardware)
    totals = {}
    for folder, epochs in (("whole", 2), ("cut", 1), ("cut", 2)):
        module = tokenizer(TokenizerLosses(adversarial=0.0))
        module.optim.epochs = epochs
        train(module, hardware, n_images=32, folder=Path(folder))
        totals[folder] = module.code_use.total(module)
    torch.save({**totals, "last": module.code_use.total(module)}, f"counts{module.global_rank}")
    processes.leave()


def test_two_processes_count_each_code_once_after_a_break(tmp_path):
    said = in_two_ranks(tmp_path, counts_of_two_processes)
    assert said.code == 0, said.err
    for rank in range(2):
        counts = torch.load(tmp_path / f"counts{rank}")
        assert counts["whole"].sum() == 2 * 32 * 16  # epochs, images, tokens of each
        assert torch.equal(counts["whole"], counts["cut"]) and torch.equal(counts["cut"], counts["last"])


def test_the_perceptual_network_is_in_no_checkpoint(tmp_path):
    class Distance(torch.nn.Linear):
        def forward(self, a, b):
            return (a - b).square().mean() * self.weight.sum().detach()

    module = tokenizer(TokenizerLosses(adversarial=0.0))
    module._perceptual = [Distance(1, 1)]
    train(module, folder=tmp_path)
    names = read_checkpoint(tmp_path / LAST)["state_dict"]
    assert not any("perceptual" in name for name in names)
