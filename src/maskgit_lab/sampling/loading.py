"""Opens what is trained: the folder of a run, or the files of a transformer and its tokenizer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from maskgit_lab.decoding.base import COMMON, Decoder, build_decoder, named_schedule
from maskgit_lab.errors import UserError
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.nets.files import open_net, read_about
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.objects import TARGET, locate
from maskgit_lab.paths import path_of
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import CKPT
from maskgit_lab.runs.record import holds_run
from maskgit_lab.sampling.pipeline import Pipeline
from maskgit_lab.sampling.tokenizers import load_tokenizer, tokenizer_file
from maskgit_lab.sampling.transformers import build_order, build_schedule, load_transformer
from maskgit_lab.settings import AUTOREGRESSIVE, AUTOREGRESSIVE_DECODER, TrainConf, check_decoding, replaced
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer

STEPS = 8  # T, where none is given
TRAINED_WITH = "trained_with"  # in the description of a file
TOKENIZER, TRANSFORMER = "tokenizer.safetensors", "transformer.safetensors"  # in the folder of an exported run
# Of a file that names none that is known, and of one of an autoregressive model.
DECODERS = {False: "maskgit_lab.decoding.parallel.MaskGIT", True: AUTOREGRESSIVE_DECODER}
CAUSAL = "maskgit_lab.nets.causal.CausalTransformer"


@dataclass(frozen=True)
class Trained:
    """A pipeline, and what is known of the training of its model."""

    pipeline: Pipeline
    schedule: Schedule | None  # None of an autoregressive model
    # The name of the schedule, or of the order of an autoregressive model; of a file, it may be of a class that is not
    # known here.
    trained_with: str


def open_trained(
    checkpoint: str, tokenizer: str | None, decode: Mapping[str, Any], device: torch.device, cache: str | None = None
) -> Trained:
    """What a `checkpoint=` names.

    Args:
        checkpoint: the folder of a run, a folder that `export.py` wrote, or a transformer's safetensors file.
        tokenizer: the tokenizer's file, for a checkpoint that is a file.
        decode: settings of the group `decode` in place of the checkpoint's own.
        device: where the networks go.
        cache: the folder of what runs share; None: the run's.

    Raises:
        UserError: they are missing or damaged, or do not belong together.
    """
    path = path_of(checkpoint, "checkpoint")
    if not is_run(path):
        return open_files(*files_of(path, tokenizer), decode, device)
    if tokenizer is not None:
        raise UserError(f"{path} is a run with a tokenizer of its own: leave tokenizer.weights out")
    folder = RunFolder(path, None if cache is None else path_of(cache, "cache_dir"))
    own, steps = folder.settings(), decode.get("steps")
    check_decoding(decode, autoregressive=own.model == AUTOREGRESSIVE)
    given = {**decode, "steps": [steps]} if isinstance(steps, int) else decode
    return open_run(folder, replaced(own, TrainConf, {"decode": given}), device)


def is_run(path: Path) -> bool:
    """Whether a `checkpoint=` names a run, by its folder or a file in it, and not files of its own."""
    is_of_run = path.suffix != Path(TRANSFORMER).suffix and holds_run(path.parent)
    return not (path / TRANSFORMER).is_file() and (path.is_dir() or path.suffix in ("", CKPT) or is_of_run)


def files_of(path: Path, tokenizer: str | None) -> tuple[Path, str | None]:
    """The files of a transformer and of its tokenizer: those that are given, or those of a folder of exported files."""
    if not path.is_dir():
        return path, tokenizer
    return path / TRANSFORMER, tokenizer or str(path / TOKENIZER)


def open_run(folder: RunFolder, settings: TrainConf, device: torch.device) -> Trained:
    """The trained model of a run.

    Args:
        folder: of the run.
        settings: of the run; `decode` is how it decodes; of its numbers of steps, the first is set.
        device: where the networks go.

    Raises:
        UserError: it is not trained to its end, or its files are missing or damaged.
    """
    if not folder.is_done("transformer"):
        raise UserError(f"the run in {folder.path} is not trained to its end: {folder.again}")
    decoder, schedule = decoder_of(settings)
    pipeline = Pipeline(
        load_transformer(settings, folder, device),
        load_tokenizer(settings.tokenizer, tokenizer_file(folder), device),
        decoder,
        folder.data.class_names,
        settings.transformer.label_dropout,
    )
    return _checked(Trained(pipeline, schedule, schedule.name if schedule else build_order(settings).name))


def decoder_of(settings: TrainConf) -> tuple[Decoder, Schedule | None]:
    """How a run decodes, at first with the first of its numbers of steps, and the schedule of its training."""
    schedule = None if settings.model == AUTOREGRESSIVE else build_schedule(settings)
    return build_decoder(settings.decode, schedule, (settings.steps or [STEPS])[0]), schedule


def check_decoder(decoder: Decoder, settings: TrainConf) -> None:
    """Raises a `UserError` if a decoder cannot decode the model that settings describe."""
    decoder.check_fits_model(
        autoregressive=settings.model == AUTOREGRESSIVE, label_dropout=settings.transformer.label_dropout
    )


def open_files(path: Path, tokenizer: str | None, decode: Mapping[str, Any], device: torch.device) -> Trained:
    """The trained model of two files.

    Args:
        path: the transformer's.
        tokenizer: the tokenizer's.
        decode: settings of the group `decode` in place of the file's own.
        device: where the networks go.

    Raises:
        UserError: they are missing or damaged, or do not belong together.
    """
    if tokenizer is None:
        raise UserError(f"{path} is a transformer's file: name its tokenizer's with tokenizer.weights=FILE")
    tokenizer_path, about = path_of(tokenizer, "tokenizer.weights"), read_about(path)
    model, codes = _open_transformer(path), VQGANTokenizer.open(tokenizer_path)
    if model.n_codes != codes.codebook_size:
        raise UserError(
            f"{path} predicts {model.n_codes} codes and {tokenizer_path} has {codes.codebook_size}: give the "
            "tokenizer that it was trained with"
        )
    if model.n_tokens != math.isqrt(model.n_tokens) ** 2:
        raise UserError(
            f"{path} has {model.n_tokens} tokens, which form no square: give a transformer of square images"
        )
    described, is_causal = about.get("decoding"), model.is_autoregressive
    check_decoding(decode, autoregressive=is_causal)
    of_file = _decoding(described, path, decode.get("schedule") is not None, autoregressive=is_causal)
    schedule, own, label_dropout = of_file
    steps = decode.get("steps") or STEPS
    given = {key: value for key, value in decode.items() if value is not None}
    decoder = build_decoder(
        given if TARGET in given else {**own, **given}, schedule, steps[0] if isinstance(steps, list) else steps
    )
    names = _class_names(about.get("class_names"), model.n_classes)
    said = described if isinstance(described, dict) else {}
    # Files of earlier versions name one schedule for both.
    names_of_training = [name for name in (said.get(TRAINED_WITH), said.get("schedule")) if isinstance(name, str)]
    trained_with = next(iter(names_of_training), "unknown" if schedule is None else schedule.name)
    pipeline = Pipeline(model.eval().to(device), codes.to(device), decoder, names, label_dropout)
    return _checked(Trained(pipeline, schedule, trained_with))


def is_autoregressive_file(path: Path) -> bool:
    """Whether a transformer's file, or a folder of exported files, holds a model that predicts one token after the
    other.

    Raises:
        UserError: it is absent or damaged.
    """
    return bool(read_about(files_of(path, None)[0])["network"] == _causal().kind)


def _open_transformer(path: Path) -> Transformer:
    """The transformer of a file, of the kind that it is described as."""
    return open_net(path, _causal() if is_autoregressive_file(path) else Transformer)


def _causal() -> type[Transformer]:
    found: type[Transformer] = locate(CAUSAL, "checkpoint")
    return found


def decoding_of(trained: Trained) -> dict[str, Any]:
    """How a file records the decoding of its model; `open_files` reads it back."""
    decoder, settings = trained.pipeline.decoder, trained.pipeline.decoder.settings
    own = {key: value for key, value in settings.items() if key not in ("decoder", "decode_schedule", *COMMON)}
    target = f"{type(decoder).__module__}.{type(decoder).__qualname__}"
    named = {} if trained.schedule is None else {"schedule": settings.get("decode_schedule", trained.schedule.name)}
    training = {"label_dropout": trained.pipeline.label_dropout, TRAINED_WITH: trained.trained_with}
    return {TARGET: target, **named, **training, **own}


def _checked(trained: Trained) -> Trained:
    pipeline = trained.pipeline
    pipeline.decoder.check_fits_model(autoregressive=pipeline.is_autoregressive, label_dropout=pipeline.label_dropout)
    return trained


def _decoding(
    found: Any, path: Path, has_schedule: bool, *, autoregressive: bool
) -> tuple[Schedule | None, dict[str, Any], float]:
    """Schedule, decoder and label dropout of a file, as far as they are valid; the released config's for the rest.

    Only decoders of this package are taken from a file.

    Args:
        found: what the file says.
        path: of the file.
        has_schedule: whether another schedule is given in place of the file's.
        autoregressive: whether the model is, which then has no schedule.

    Raises:
        UserError: the file's schedule is a user's own, which is not known here, and no other is given.
    """
    values: dict[str, Any] = dict(found) if isinstance(found, dict) else {}
    dropout, name = values.pop("label_dropout", 0.0), values.pop("schedule", "cosine")
    values.pop(TRAINED_WITH, None)
    label_dropout = float(dropout) if isinstance(dropout, float) and 0 <= dropout < 1 else 0.0
    usual = None if autoregressive else named_schedule("cosine")
    schedule = usual
    if isinstance(name, str) and not has_schedule and not autoregressive:
        try:
            schedule = named_schedule(name)
        except UserError as error:
            raise UserError(
                f"{path} decodes with the schedule {name}, which is not known here: choose one with "
                "decode.schedule=NAME"
            ) from error
    target = values.setdefault(TARGET, DECODERS[autoregressive])
    try:
        if not str(target).startswith("maskgit_lab.decoding."):
            raise UserError("not a decoder of this package")
        decoder = build_decoder(values, schedule, STEPS)
        decoder.check_fits_model(autoregressive=autoregressive, label_dropout=label_dropout)
    except UserError:
        return usual, {TARGET: DECODERS[autoregressive]}, label_dropout
    return schedule, values, label_dropout


def _class_names(found: Any, n_classes: int) -> Sequence[str]:
    """The names of the classes, or their numbers where a file has not as many names."""
    if isinstance(found, list) and len(found) == n_classes and all(isinstance(name, str) for name in found):
        return found
    return [f"{number:04}" for number in range(n_classes)]
