"""How far are weights from those of one process? `python benchmarks/processes_apart.py`, some minutes on 2 CPU cores.

Trains tiny networks for 16 steps of 1e-3, the last step of each epoch with 5 of 8 images, in one process and in others
(gloo, on the CPU), and prints the largest and the median difference of a weight, and that of the held-out score. As a
scale, the last lines are one process again whose first weights are moved by about their last bit. With
TORCH_CPP_LOG_LEVEL=ERROR torch does not warn.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from maskgit_lab.console import Terminal
from maskgit_lab.data.source import InMemory
from maskgit_lab.lit import processes
from maskgit_lab.lit.autoregressive import LitAutoregressive
from maskgit_lab.lit.base import TrainedModule
from maskgit_lab.lit.fit import fit, seed_all
from maskgit_lab.lit.mvtm import LitMVTM
from maskgit_lab.lit.tokenizer import LitTokenizer
from maskgit_lab.masking.schedules import Cosine
from maskgit_lab.nets.causal import CausalTransformer
from maskgit_lab.nets.discriminator import Discriminator
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.settings import Hardware, MVTMLoss, Optim, TokenizerLosses

N_TRAIN, N_HELD_OUT = 61, 23
LAST_BIT = 6e-8  # relative to a weight
OPTIM = Optim(epochs=2, batch_size=8, lr=1e-3, ema_decay=0.9, warmup_steps=3, gradient_clip=1.0, weight_decay=0.1)
SIZES = {"n_codes": 12, "n_classes": 3, "n_tokens": 9, "depth": 2, "heads": 2, "width": 16, "mlp_width": 32}
Weights = dict[str, tuple[torch.Tensor, float]]  # of each training, and its held-out score


def codes(n: int) -> InMemory:
    """Random codes of n images."""
    return InMemory(torch.randint(0, 12, (n, 9), generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3)


def images(n: int) -> InMemory:
    """Random images."""
    return InMemory(torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(n) % 3)


def tokenizer(entropy: float, adversarial: float = 0.0) -> TrainedModule:
    """A VQGAN."""
    net = VQGAN(codebook_size=8, latent_dim=4, base_width=8, multipliers=(1, 2), n_blocks=1, norm_groups=4)
    critic = Discriminator(8, base_width=1, max_width=8) if adversarial > 0 else None
    return LitTokenizer(net, TokenizerLosses(entropy=entropy, adversarial=adversarial), OPTIM, 0, critic)


def mvtm(dropout: float) -> TrainedModule:
    """A masked transformer."""
    return LitMVTM(Transformer(**SIZES, dropout=dropout), Cosine(), OPTIM, MVTMLoss(label_dropout=0.1), 0, {})


def autoregressive(dropout: float) -> TrainedModule:
    """A causal transformer."""
    return LitAutoregressive(CausalTransformer(**SIZES, dropout=dropout), OPTIM, 0.1, 0.1, 0, {})


TRAININGS: dict[str, tuple[Callable[[], TrainedModule], Callable[[int], InMemory]]] = {
    "tokenizer": (lambda: tokenizer(0.0), images),
    "tokenizer, entropy": (lambda: tokenizer(0.1), images),
    "tokenizer, entropy, GAN": (lambda: tokenizer(0.1, 0.1), images),
    "MVTM": (lambda: mvtm(0.0), codes),
    "MVTM, dropout": (lambda: mvtm(0.1), codes),
    "autoregressive": (lambda: autoregressive(0.0), codes),
    "autoregressive, dropout": (lambda: autoregressive(0.1), codes),
}


def train(n_processes: int = 1, accumulate: int = 1, shift: float = 0.0) -> Weights:
    """The weights of all trainings; every process calls this."""
    hardware, found = Hardware(accelerator="cpu", devices=n_processes, accumulate=accumulate), {}
    for name, (make, items) in TRAININGS.items():
        seed_all(0)
        module = make()
        for parameter in module.net.parameters():
            parameter.data *= 1 + shift * torch.randn(parameter.shape)
        data = items(N_TRAIN), items(N_HELD_OUT)
        (score, *_) = fit(module, *data, hardware=hardware, terminal=Terminal(), title=name).values()
        found[name] = torch.cat([p.detach().flatten() for p in module.net.parameters()]), score
    return found


def train_together(n_processes: int, accumulate: int) -> Weights:
    """The same in new processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights"
        fork = multiprocessing.get_context("fork")
        given = [(rank, n_processes, accumulate, port, file) for rank in range(n_processes)]
        started = [fork.Process(target=_work, args=each, daemon=True) for each in given]
        for process in started:
            process.start()
        for process in started:
            process.join()
        found: Weights = torch.load(file)
    return found


def _work(rank: int, n_processes: int, accumulate: int, port: int, file: Path) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n_processes, "LOCAL_WORLD_SIZE": n_processes}
    place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "apart", "GROUP_RANK": 0}
    os.environ.update({name: str(value) for name, value in place.items()})
    processes.connect(Hardware(accelerator="cpu", devices=n_processes, accumulate=accumulate))
    found = train(n_processes, accumulate)
    if rank == 0:
        torch.save(found, file)
    processes.leave()


def show(title: str, found: Weights, expected: Weights) -> None:
    """Prints a line for each training."""
    for name, (weights, score) in found.items():
        apart, scores = (weights - expected[name][0]).abs(), abs(score - expected[name][1])
        print(f"{title:<28} {name:<24} {apart.max():>9.1e} {apart.median():>9.1e} {scores:>9.1e}", flush=True)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", nargs="+", type=int, default=[2, 8])
    parser.add_argument("--accumulate", nargs="+", type=int, default=[2, 4])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    one = train()
    print(f"{'':<28} {'':<24} {'largest':>9} {'median':>9} {'score':>9}")
    for n_processes in arguments.processes:
        show(f"{n_processes} processes", train_together(n_processes, 1), one)
    for accumulate in arguments.accumulate:
        show(f"{accumulate} accumulated batches", train(accumulate=accumulate), one)
    show("2 processes x 2 batches", train_together(2, 2), one)
    show("1 process, last bit changed", train(shift=LAST_BIT), one)


if __name__ == "__main__":
    main()
