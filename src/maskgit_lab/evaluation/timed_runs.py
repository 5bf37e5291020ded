"""Times the decoding of a trained run, for the runtime figure; the rows are kept in the folder `runtime/` of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from maskgit_lab import ranks
from maskgit_lab.decoding.base import Decoder
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.cells import KV_CACHE, Cell, Effort, code_of_cell, settings_of_cell, time_cells
from maskgit_lab.evaluation.timing import Decoding, Pixels
from maskgit_lab.nets.described import weights_digest
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import RUNTIME
from maskgit_lab.runs.naming import data_name
from maskgit_lab.runs.outputs import made_folder
from maskgit_lab.runs.results import Row
from maskgit_lab.runs.run import Run
from maskgit_lab.runs.timings import TIMINGS, Timings
from maskgit_lab.sampling.loading import check_decoder, decoder_of, open_run
from maskgit_lab.sampling.pipeline import Pipeline
from maskgit_lab.settings import CommonConf, EvaluateConf, TrainConf

STEPS = (8, 12)  # T of the runtime figure
EFFORT = Effort(repeats=3, enough=20.0, most=600.0)


def check_timing(settings: EvaluateConf, folder: RunFolder | None, whole: CommonConf) -> None:
    """Raises a `UserError` unless `runtime` names what can be timed, and the command asks for nothing else."""
    if folder is None:
        raise UserError("runtime needs a run to keep its rows in: give checkpoint=RUN_DIR")
    if not folder.is_done("transformer"):
        raise UserError(f"runtime needs a trained model: {folder.again}")
    for key in ("out", "optimized_metric", "choose_temperature"):
        if (value := getattr(settings, key)) is not None:
            raise UserError(f"runtime only times decoding, into {folder.path / RUNTIME}: leave {key}={value} out")
    assert isinstance(whole, TrainConf)
    check_decoder(decoder_of(whole)[0], whole)


def place_of_timing(folder: RunFolder) -> Path:
    """Where the rows are kept, made if it is absent; every process calls this."""
    if ranks.is_main():
        made_folder(folder.path / RUNTIME)
    ranks.barrier()
    return folder.path / RUNTIME


def time_run(run: Run[CommonConf], settings: EvaluateConf, place: Path) -> list[Row]:
    """Times what is missing, by the main process; every process calls this.

    Args:
        run: that is evaluated.
        settings: of the command.
        place: the folder of the rows.

    Returns:
        The rows of all cells.
    """
    conf, own = settings, run.settings
    assert isinstance(own, TrainConf)
    pipeline = open_run(run.folder, own, run.device).pipeline

    def work(alone: Run[CommonConf]) -> list[Row]:
        cells = _cells(own, conf, pipeline)
        return time_cells(cells, Timings(place / TIMINGS), alone.console, EFFORT, rerun=conf.rerun, reuse=conf.reuse)

    return run.by_main(work)


def _cells(own: TrainConf, conf: EvaluateConf, pipeline: Pipeline) -> list[Cell]:
    model, device = pipeline.model, pipeline.device
    about: dict[str, Any] = {"weights": "trained", "data": data_name(own.data or {}), "precision": "32"}
    about |= {"model": weights_digest(model, pipeline.tokenizer)}  # type: ignore[arg-type]
    about |= {"repeats": EFFORT.repeats, "enough": EFFORT.enough, **({"debug": own.debug} if own.debug else {})}
    cells = []
    for batch_size in conf.runtime or []:
        of = model.sizes, pipeline.grid, batch_size, device
        labels_B = torch.arange(batch_size, device=device) * model.n_classes // batch_size
        for decoder in _decoders(pipeline.decoder, conf):
            decoding = partial(Decoding, net=model, decoder=decoder, labels_B=labels_B)
            code = code_of_cell(decoder, model)
            cells.append(Cell(settings_of_cell(decoder, *of) | about, decoding, code))
        pixels = partial(Pixels, tokenizer=pipeline.tokenizer, grid=pipeline.grid, batch_size=batch_size, device=device)
        cells.append(Cell(settings_of_cell(None, *of) | about, pixels, code_of_cell(pipeline.tokenizer)))
    return cells


def _decoders(decoder: Decoder, conf: EvaluateConf) -> list[Decoder]:
    """The decoder at each T, or with and without a KV cache."""
    if KV_CACHE in decoder.settings:
        given = conf.decode.get(KV_CACHE)
        every = (True, False) if given is None else (given,)
        return [replace(decoder, **{KV_CACHE: kv_cache}) for kv_cache in every]  # type: ignore[type-var]
    if "steps" not in decoder.settings:
        return [decoder]
    return [decoder.with_steps(steps) for steps in conf.decode.get("steps") or STEPS]
