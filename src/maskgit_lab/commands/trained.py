"""What is needed to sample from something trained: a run's folder, or a transformer's file with its tokenizer's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from maskgit_lab.commands.generation import Sampler, check_guidance
from maskgit_lab.commands.job import decode_schedule, device_of, named_schedule
from maskgit_lab.commands.modelling import load_transformer
from maskgit_lab.commands.run_folder import RunFolder, read_config, read_run
from maskgit_lab.commands.tokenizing import load_tokenizer
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.nets.files import open_net, read_about
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer

TAU = 4.5  # of the released config


@dataclass(frozen=True)
class Trained:
    """Both networks, and how they decode unless something else is asked for."""

    model: Transformer
    tokenizer: VQGANTokenizer
    class_names: Sequence[str]
    schedule: Schedule
    trained_schedule: Schedule
    choice_temperature: float
    guidance: float
    label_dropout: float

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of an image in tokens."""
        side = math.isqrt(self.model.n_tokens)
        return side, side

    def sampler(self, choice_temperature: float | None = None, guidance: float | None = None) -> Sampler:
        """A sampler that decodes as they say, where nothing else is asked for.

        Raises:
            UserError: guidance, of a model that was not trained for it.
        """
        guidance = self.guidance if guidance is None else guidance
        check_guidance("decode.guidance", guidance, self.label_dropout)
        return Sampler(
            self.model,
            self.tokenizer,
            self.grid,
            self.schedule,
            self.choice_temperature if choice_temperature is None else choice_temperature,
            guidance,
        )


@dataclass(frozen=True)
class RecordedData:
    """What a run recorded of its data."""

    name: str
    size: int
    class_names: Sequence[str]
    fingerprint: str

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def open_trained(checkpoint: str, tokenizer: str | None, schedule: str | None, accelerator: str) -> Trained:
    """What a `checkpoint=` names.

    Args:
        checkpoint: the folder of a run, or a transformer's safetensors file.
        tokenizer: the tokenizer's file, for a checkpoint that is a file.
        schedule: the name of the decoding schedule; None takes the checkpoint's.
        accelerator: where the networks go.

    Raises:
        UserError: they are not there, are damaged, or do not belong together.
    """
    path = Path(checkpoint).expanduser()
    if path.is_dir() or not path.suffix:
        if tokenizer is not None:
            raise UserError(f"{path} is a run with a tokenizer of its own: leave tokenizer.weights out")
        run = read_run(path)
        cfg = read_config(run.path)
        cfg.trainer.accelerator, cfg.decode.schedule = accelerator, schedule or cfg.decode.schedule
        return trained_of_run(cfg, run)
    if tokenizer is None:
        raise UserError(f"{path} is a transformer's file: name its tokenizer's with tokenizer.weights=FILE")
    return _of_files(path, Path(tokenizer).expanduser(), schedule, accelerator)


def recorded_data(run: RunFolder) -> RecordedData:
    """What a run recorded of its data.

    Raises:
        UserError: nothing, since it has not begun.
    """
    try:
        return RecordedData(**run.record["done"]["data"])
    except (KeyError, TypeError) as error:
        raise UserError(f"the run in {run.path} has no data yet: give its train.py command again") from error


def tokenizer_file(run: RunFolder) -> Path:
    """The file of a run's tokenizer.

    Raises:
        UserError: it is gone, or is another one now.
    """
    done = run.record["done"]["tokenizer"]
    path = Path(done["path"])
    if not path.is_file():
        raise UserError(f"the tokenizer's file {path} is missing: give the train.py command of the run again")
    if file_sha256(path) != done["weights"]:
        raise UserError(f"{path} is not the tokenizer of {run.path} any more: give its train.py command again")
    return path


def trained_of_run(cfg: DictConfig, run: RunFolder) -> Trained:
    """The networks of a run.

    Args:
        cfg: how they decode, and where they go.
        run: the run.

    Raises:
        UserError: it is not trained to its end, or its files are gone or damaged.
    """
    if not run.is_done(["mvtm"]):
        raise UserError(f"the run in {run.path} is not trained to its end: give its train.py command again")
    data = recorded_data(run)
    return Trained(
        model=load_transformer(cfg, run, data),
        tokenizer=load_tokenizer(cfg, tokenizer_file(run)),
        class_names=data.class_names,
        schedule=decode_schedule(cfg, cfg.decode.schedule),
        trained_schedule=decode_schedule(cfg, None),
        choice_temperature=cfg.decode.choice_temperature,
        guidance=cfg.decode.guidance,
        label_dropout=cfg.mvtm.label_dropout,
    )


def _of_files(path: Path, tokenizer_path: Path, schedule: str | None, accelerator: str) -> Trained:
    about, device = read_about(path), device_of(accelerator)
    model, tokenizer = open_net(path, "transformer"), VQGANTokenizer.open(tokenizer_path)
    assert isinstance(model, Transformer)
    if model.n_codes != tokenizer.codebook_size:
        raise UserError(
            f"{path} speaks of {model.n_codes} codes and {tokenizer_path} has {tokenizer.codebook_size}: give the "
            "tokenizer that it was trained with"
        )
    if model.n_tokens != math.isqrt(model.n_tokens) ** 2:
        raise UserError(f"{path} has {model.n_tokens} tokens, which are no square: give a transformer of square images")
    told = _decoding(about.get("decoding"))
    return Trained(
        model=model.eval().to(device),
        tokenizer=tokenizer.to(device),
        class_names=_class_names(about.get("class_names"), model.n_classes),
        schedule=named_schedule(schedule or told["schedule"]),
        trained_schedule=named_schedule(told["schedule"]),
        choice_temperature=told["choice_temperature"],
        guidance=told["guidance"],
        label_dropout=told["label_dropout"],
    )


def _decoding(told: Any) -> dict[str, Any]:
    """How a file says to decode, as far as it makes sense; the released config's values for the rest."""
    default: dict[str, Any] = {"schedule": "cosine", "choice_temperature": TAU, "guidance": 0.0, "label_dropout": 0.0}
    given = told if isinstance(told, dict) else {}
    sound = {key: value for key, value in given.items() if key in default and type(value) is type(default[key])}
    return default | {k: v for k, v in sound.items() if isinstance(v, str) or (math.isfinite(v) and v >= 0)}


def _class_names(told: Any, n_classes: int) -> list[str]:
    """The names of the classes, or their numbers where a file has not as many names."""
    if isinstance(told, list) and len(told) == n_classes and all(isinstance(name, str) for name in told):
        return told
    return [f"{number:04}" for number in range(n_classes)]
