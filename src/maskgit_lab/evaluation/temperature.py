"""Chooses the choice temperature of a run: every temperature of a grid at several T, on samples that are not reported.

What is chosen is known by the distance alone, and kept in the folder `temperature/` of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from maskgit_lab import ranks
from maskgit_lab.ablation.temperature import TEMPERATURE
from maskgit_lab.data.source import ImageData
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation import planning
from maskgit_lab.evaluation.chosen import Choice, choice_path
from maskgit_lab.evaluation.curve import Evaluation
from maskgit_lab.evaluation.reference import RealImages
from maskgit_lab.evaluation.sources import CHOICE, Generated
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import TEMPERATURE as FOLDER
from maskgit_lab.runs.outputs import made_folder
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.loading import check_decoder, decoder_of
from maskgit_lab.settings import CommonConf, EvaluateConf, TrainConf, replaced


def settings_to_choose(settings: EvaluateConf, folder: RunFolder | None, whole: CommonConf) -> CommonConf:
    """The settings of an evaluation that chooses: the distance is all that it measures.

    Raises:
        UserError: what is evaluated has no choice temperature, or the command asks for something else too.
    """
    if folder is None:
        raise UserError("choose_temperature needs a run to keep the choice in: give checkpoint=RUN_DIR")
    if not folder.is_done("transformer"):
        raise UserError(f"choose_temperature needs a trained model: {folder.again}")
    if settings.out is not None:
        raise UserError(f"the choice is kept in {folder.path / FOLDER}: leave out={settings.out} out")
    if settings.optimized_metric is not None:
        raise UserError("choose_temperature optimizes the distance alone: leave optimized_metric out")
    assert isinstance(whole, TrainConf)
    decoder, _ = decoder_of(whole)
    check_decoder(decoder, whole)
    if TEMPERATURE not in decoder.settings:
        raise UserError(f"the decoder {type(decoder).__name__} has no {TEMPERATURE}: there is nothing to choose")
    if TEMPERATURE in settings.decode:
        raise UserError(f"give either choose_temperature=[...] or decode.{TEMPERATURE}, and not both")
    return replaced(whole, type(whole), {"eval": {"metrics": ["fid"]}})


def place_of_choice(folder: RunFolder) -> Path:
    """Where the choice is kept, made if it is absent; every process calls this."""
    if ranks.is_main():
        made_folder(folder.path / FOLDER)
    ranks.barrier()
    return folder.path / FOLDER


def choose(
    run: Run[CommonConf], settings: EvaluateConf, data: ImageData | None, real: RealImages, place: Path
) -> Choice:
    """Measures what is missing of the grid, and writes and prints the choice; every process calls this.

    Args:
        run: that is evaluated.
        settings: of the command.
        data: the real images, if they are available.
        real: the images of the reference.
        place: the folder of the results.
    """
    rows = grid(planning.plan(run, settings, data, real, place), settings).carry_out()
    choice = Choice.of(rows, run.settings.decode)
    run.console.table("The distance over T, at each choice temperature", *_table(choice))
    run.console.note("chosen", choice.sentence)
    if ranks.is_main():
        path = choice_path(run.folder)
        choice.write(path)
        run.console.note("written", str(path))
    return choice


def grid(evaluation: Evaluation, settings: EvaluateConf) -> Evaluation:
    """Every temperature at every T, on samples that no reported point has; the same for all temperatures.

    T are those of the command, or else the powers of two from 2, and N.
    """
    first = [source for source in evaluation.sources if isinstance(source, Generated)]
    first = [source for source in first if source.steps == first[0].steps]  # a source for each repeat
    every = settings.decode.get("steps") or settings.eval.get("steps") or _powers(first[0].pipeline.model.n_tokens)
    sources = [
        _at(source, temperature).at(steps)
        for temperature in sorted(settings.choose_temperature or [])
        for steps in every
        for source in first
    ]
    return replace(evaluation, sources=sources, known={}).settle()


def _at(source: Generated, temperature: float) -> Generated:
    pipeline = source.pipeline
    decoder = replace(pipeline.decoder, **{TEMPERATURE: temperature})  # type: ignore[type-var]
    trained = replace(source.trained, pipeline=replace(pipeline, decoder=decoder))
    return replace(source, trained=trained, purpose=CHOICE)


def _powers(n_tokens: int) -> list[int]:
    """2, 4, 8, ... below N, and N: one step has no temperature, and more than N decide nothing."""
    return [*(2**k for k in range(1, n_tokens.bit_length()) if 2**k < n_tokens), n_tokens]


def _table(choice: Choice) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    values = {(temperature, steps): mean for temperature, steps, mean, _ in choice.curve}
    head = ["temp.", *(f"T={t}" for t in choice.steps), "best T"]
    rows = [
        [
            f"{spot.value:g}{'*' * (spot is choice.best)}",
            *(f"{values[spot.value, t]:.3g}" for t in choice.steps),
            str(spot.steps),
        ]
        for spot in choice.spots
    ]
    return head, rows
