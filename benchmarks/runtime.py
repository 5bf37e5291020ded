"""The paper's runtime figure: seconds per image of MaskGIT, and of an autoregressive model with and without a KV cache.

    python benchmarks/runtime.py                                  the paper's size: hours on a CPU, and less on a GPU
    python benchmarks/runtime.py --depth 2 --width 64 --heads 4 --mlp-width 256 --tokenizer-width 32 --threads 1

Networks with random weights decode batches that start empty, after a warm-up. Each cell is a row of OUT/runtime.jsonl
as soon as it is timed, and the same command goes on after it was stopped; runtime.png and runtime.svg in OUT show all
rows beside the paper's times, and so does `python report.py runs=OUT`. Without a cache, the tokens are compared with
those of a cache: the same seeds have to give the same images.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NoReturn

import torch

from maskgit_lab.console import Terminal
from maskgit_lab.decoding.autoregressive import Autoregressive
from maskgit_lab.decoding.base import Decoder
from maskgit_lab.decoding.parallel import MaskGIT
from maskgit_lab.devices import device_of
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.cells import Cell, Effort, code_of_cell, settings_of_cell, time_cells
from maskgit_lab.evaluation.timing import Decoding, Pixels
from maskgit_lab.masking.schedules import Cosine
from maskgit_lab.nets.causal import CausalTransformer
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.report.runtime import draw_runtimes, say_runtimes
from maskgit_lab.runs.opening import held
from maskgit_lab.runs.outputs import made_folder
from maskgit_lab.runs.timings import TIMINGS, Timings
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer

PRECISIONS = {"32": torch.float32, "bf16": torch.bfloat16}


class Parser(argparse.ArgumentParser):
    """Prints a mistake as one sentence."""

    def error(self, message: str) -> NoReturn:
        """Leaves with the sentence."""
        print(f"error: {message}", file=sys.stderr)
        sys.exit(2)


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is not possible: give a whole number of at least 1")
    return int(text)


def duration(text: str) -> float:
    """Seconds, above 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not possible: give a number of seconds above 0")
    return seconds


def width_of_tokenizer(text: str) -> int:
    """A multiple of the 32 groups of the tokenizer's GroupNorm, or 0."""
    if text != "0" and count(text) % 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not possible: give a multiple of 32, or 0 to time tokens alone")
    return int(text)


def parser() -> Parser:
    """The options of the command line."""
    made = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    for name, default, about in (
        ("--tokens", [256, 512, 738, 1024], "numbers N of tokens of an image"),
        ("--batch-sizes", [1, 8, 64], "images decoded at once"),
        ("--steps", [8, 12], "numbers T of MaskGIT's steps"),
    ):
        made.add_argument(name, type=count, nargs="+", default=default, metavar="N", help=f"{about} (%(default)s)")
    for name, default, about in (
        ("--depth", 24, "layers of the transformers"),
        ("--heads", 8, "attention heads of a layer"),
        ("--width", 768, "hidden width"),
        ("--mlp-width", 3072, "width inside the MLPs"),
        ("--codes", 1024, "K, the size of the codebook"),
        ("--classes", 1000, "classes"),
        ("--repeats", 5, "repetitions at most, of which the median counts"),
    ):
        made.add_argument(name, type=count, default=default, metavar="N", help=f"{about} (%(default)s)")
    for name, kind, standard, about in (
        ("--tokenizer-width", width_of_tokenizer, 128, "channels of the tokenizer's first level; 0: tokens alone"),
        ("--enough", duration, 60.0, "seconds of a cell after which it is not repeated"),
        ("--max-seconds", duration, 600.0, "a batch that is expected to take longer is left out"),
    ):
        made.add_argument(name, type=kind, default=standard, metavar="N", help=f"{about} (%(default)s)")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (%(default)s)")
    made.add_argument("--threads", type=count, metavar="N", help="of the CPU (as many as it has cores)")
    made.add_argument("--precision", choices=PRECISIONS, default="32", help="of the networks (%(default)s)")
    made.add_argument("--out", type=Path, default=Path("outputs/runtime"), help="folder of the results (%(default)s)")
    made.add_argument("--rerun", action="store_true", help="measure again what other code measured")
    made.add_argument("--reuse", action="store_true", help="take what other code measured as it is")
    return made


def check(given: argparse.Namespace) -> torch.device:
    """The device.

    Raises:
        UserError: the options do not fit each other, or this machine.
    """
    if given.width % given.heads:
        raise UserError(f"--width {given.width} is not a multiple of --heads {given.heads}: give one that is")
    if given.rerun and given.reuse:
        raise UserError("--rerun and --reuse exclude each other: give one of them")
    for name in ("tokens", "batch_sizes", "steps"):
        if len(set(getattr(given, name))) < len(getattr(given, name)):
            raise UserError(f"--{name.replace('_', '-')} names a number twice: name each once")
    if given.threads is not None and given.threads > (os.cpu_count() or 1):
        raise UserError(f"--threads {given.threads} is not possible: this machine has {os.cpu_count()}")
    return device_of(given.device, "--device")


def grid_of(n_tokens: int) -> tuple[int, int]:
    """Height and width of the grid of so many tokens that is nearest to a square: 16 x 32, 18 x 41."""
    height = next(side for side in range(math.isqrt(n_tokens), 0, -1) if n_tokens % side == 0)
    return height, n_tokens // height


class Networks:
    """Networks with random weights, each kept until another one of its kind is asked for."""

    def __init__(self, given: argparse.Namespace, device: torch.device) -> None:
        self.given, self.place = given, {"device": device, "dtype": PRECISIONS[given.precision]}
        self.tokenizer: Callable[[], VQGANTokenizer] = lru_cache(self._tokenizer)
        self.transformer: Callable[[bool, int], Transformer] = lru_cache(2)(self._transformer)

    def sizes(self, n_tokens: int) -> dict[str, int]:
        """The arguments of a transformer."""
        own = self.given
        sizes = {"n_codes": own.codes, "n_classes": own.classes, "n_tokens": n_tokens, "depth": own.depth}
        return {**sizes, "heads": own.heads, "width": own.width, "mlp_width": own.mlp_width}

    def decoding(self, decoder: Decoder, n_tokens: int, batch_size: int) -> Decoding:
        """What a cell times."""
        return Decoding(
            net=self.transformer(decoder.is_autoregressive, n_tokens),
            decoder=decoder,
            labels_B=torch.arange(batch_size, device=self.place["device"]) * self.given.classes // batch_size,
        )

    def pixels(self, n_tokens: int, batch_size: int) -> Pixels:
        """The same of a cell of the tokenizer."""
        tokenizer, device = self.tokenizer(), self.place["device"]
        return Pixels(tokenizer=tokenizer, grid=grid_of(n_tokens), batch_size=batch_size, device=device)

    def _transformer(self, is_causal: bool, n_tokens: int) -> Transformer:
        torch.manual_seed(0)
        net = (CausalTransformer if is_causal else Transformer)(**self.sizes(n_tokens))
        return net.eval().requires_grad_(False).to(**self.place)

    def _tokenizer(self) -> VQGANTokenizer:
        torch.manual_seed(0)
        net = VQGAN(codebook_size=self.given.codes, base_width=self.given.tokenizer_width)
        return VQGANTokenizer(net).to(**self.place)


def cells_of(given: argparse.Namespace, device: torch.device) -> list[Cell]:
    """Every decoder at every number of tokens and batch size, and the tokenizer."""
    networks, about = Networks(given, device), {"weights": "random", "precision": given.precision}
    about |= {"repeats": given.repeats, "enough": given.enough}
    decoders: list[Decoder] = [MaskGIT(schedule=Cosine(), steps=steps) for steps in given.steps]
    decoders += [Autoregressive(kv_cache=kv_cache) for kv_cache in (True, False)]
    cells = []
    for n, batch_size in itertools.product(given.tokens, given.batch_sizes):
        of = networks.sizes(n), grid_of(n), batch_size, device
        for decoder in decoders:
            code = code_of_cell(decoder, CausalTransformer if decoder.is_autoregressive else Transformer)
            work = partial(networks.decoding, decoder, n, batch_size)
            cells.append(Cell(settings_of_cell(decoder, *of) | about, work, code))
        if width := given.tokenizer_width:
            settings = settings_of_cell(None, *of) | about | {"tokenizer_width": width}
            cells.append(Cell(settings, partial(networks.pixels, n, batch_size), code_of_cell(VQGANTokenizer)))
    return cells


def measure(given: argparse.Namespace, terminal: Terminal) -> None:
    """Measures what is missing, prints it, and draws all rows of the folder."""
    device = check(given)
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    if given.out.exists() and not given.out.is_dir():
        raise UserError(f"--out {given.out} is a file: name a folder")
    with held(made_folder(given.out), "--out", wait=False):
        timings = Timings(given.out / TIMINGS)
        effort = Effort(given.repeats, given.enough, given.max_seconds)
        rows = time_cells(cells_of(given, device), timings, terminal, effort, rerun=given.rerun, reuse=given.reuse)
        say_runtimes(rows, terminal)
        for path in draw_runtimes(timings.rows(), given.out):
            terminal.note("written", str(path))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    options = parser()
    given = options.parse_args(arguments)
    try:
        measure(given, Terminal())
    except (UserError, OSError) as error:
        text = str(error).replace("out=", "--out ")
        options.error(text.replace("rerun=true", "--rerun").replace("reuse=true", "--reuse"))
    except KeyboardInterrupt:
        options.error("interrupted: the same command continues from what was saved")


if __name__ == "__main__":
    main()
