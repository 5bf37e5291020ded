"""What `evaluate.py task=` measures: a trained model that edits held-out images, at every T."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from maskgit_lab.data.source import ImageData, Images
from maskgit_lab.editing.editor import Editor
from maskgit_lab.editing.holes import cells_of, grown, hole_name
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.code import origin_of, trained_in_file
from maskgit_lab.evaluation.curve import Evaluation
from maskgit_lab.evaluation.edit_settings import check_labels, hole_for, options_of, spec_of
from maskgit_lab.evaluation.edits import Comparison, Edit, Edited, Pasted, new_labels
from maskgit_lab.evaluation.floors import Floor, floors_of, held_out
from maskgit_lab.evaluation.planning import check_same_data
from maskgit_lab.evaluation.reference import RealImages
from maskgit_lab.evaluation.scorer import Scorer, choices_of, make_scorer
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.nets.described import weights_digest
from maskgit_lab.nets.files import read_about
from maskgit_lab.objectives.perceptual import LPIPS, RANDOM
from maskgit_lab.runs.origin import Origin
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.loading import Trained, files_of, open_files, open_run
from maskgit_lab.sampling.pipeline import Pipeline
from maskgit_lab.settings import CommonConf, EvaluateConf, TrainConf
from maskgit_lab.settings import tokenizer_file as given_tokenizer
from maskgit_lab.settings.editing import CLASS_EDIT
from maskgit_lab.stages.features import load_or_train_extractor

LEAST_FOR_LPIPS = 16  # pixels: its network halves an image four times


@dataclass(frozen=True)
class _Opened:
    """The model that edits."""

    trained: Trained
    about: Mapping[str, Any]  # what its file says of it

    @property
    def pipeline(self) -> Pipeline:
        return self.trained.pipeline


def plan_edits(
    run: Run[CommonConf], settings: EvaluateConf, data: ImageData, real: RealImages, place: Path
) -> Evaluation:
    """The points of edits, and their floors; every process calls this.

    Args:
        run: its settings define what is measured.
        settings: of the command.
        data: whose held-out images are edited.
        real: the images of the reference.
        place: the folder of the results.

    Raises:
        UserError: files are missing or damaged, or do not fit each other, or there are too few images; or there are
            rows of other code, and the settings do not say what to do.
    """
    if run.home is not None:
        check_same_data(run.folder, data)
    opened = _open(run, settings)
    chosen, size = held_out(data, run.settings.eval.n_samples), opened.pipeline.size
    _check(run, settings, data, real, len(chosen), opened.pipeline)
    edit = _edit(run, settings, opened.pipeline)
    extractor = load_or_train_extractor(run, data, run.settings.features.name, run.settings.features.weights)
    scorer = make_scorer(run, data, real, extractor)
    comparison = _comparison(run, settings, data, chosen, scorer)
    source = _source(run, settings, data, opened, chosen, edit, comparison)
    pasted = Pasted(data, chosen, editor=source.editor, edit=edit, comparison=comparison)
    floors: list[Floor] = [*floors_of(run, data, real, size, len(chosen)), pasted]
    draws = [source.at(t).again(i) for t in run.settings.steps for i in range(run.settings.eval.repeats)]
    return Evaluation(
        run=run,
        data=data,
        sources=[*floors, *draws],
        scorer=scorer,
        metrics=tuple(sorted(scorer.computed(run.settings.eval.metrics))),
        place=place,
        origin=_origin(run, opened),
        save=settings.save,
        class_names=opened.pipeline.class_names,
    ).settle()


def _open(run: Run[CommonConf], settings: EvaluateConf) -> _Opened:
    conf = run.settings
    if run.home is not None:
        assert isinstance(conf, TrainConf)
        return _Opened(open_run(run.folder, conf, run.device), {})
    path, tokenizer = files_of(Path(settings.checkpoint or ""), given_tokenizer(settings.tokenizer))
    return _Opened(open_files(path, tokenizer, conf.decode, run.device), read_about(path))


def _check(
    run: Run[CommonConf], settings: EvaluateConf, data: ImageData, real: RealImages, n: int, pipeline: Pipeline
) -> None:
    """Raises a `UserError` for images that the model cannot edit, or too few of them."""
    choices = choices_of(run.settings.eval)
    choices.check(n)
    real.check(pipeline.size, choices)
    if pipeline.size != (data.size, data.size):
        raise UserError(
            f"the model has images of {pipeline.size[1]} x {pipeline.size[0]} pixels and the data {data.size} x "
            f"{data.size}: give data.size={pipeline.size[0]}"
        )
    if data.n_classes != pipeline.model.n_classes:
        raise UserError(
            f"the data have {data.n_classes} classes and the model {pipeline.model.n_classes}: give images of the "
            "classes that it was trained on"
        )
    check_labels(settings, data.n_classes, pipeline.label_dropout)
    if (asked := run.settings.eval.n_samples) is not None and asked > n:
        run.console.note("images", f"{n:,} instead of {asked:,}: there are no more held-out images")


def _edit(run: Run[CommonConf], settings: EvaluateConf, pipeline: Pipeline) -> Edit:
    """What is edited.

    Raises:
        UserError: the hole is not possible, or leaves nothing known.
    """
    cell, options = pipeline.tokenizer.downsample, options_of(settings)
    hole_HW = hole_for(settings, *pipeline.size)
    rows, columns = ([(i * cell, (i + 1) * cell) for i in range(side)] for side in pipeline.grid)
    cells_hw, name = cells_of(hole_HW, rows, columns), hole_name(spec_of(settings))
    if bool(cells_hw.all()):
        raise UserError(f"hole={name} leaves no token of the images known: give a smaller hole")
    n_unknown, n_tokens = int(grown(cells_hw, options.grow).sum()), cells_hw.numel()
    where = "" if n_unknown < n_tokens else "; nothing is known, since the hole is widened over all of it"
    assert settings.task is not None
    run.console.note("hole", f"{name}: {n_unknown} of the {n_tokens} tokens of an image are predicted{where}")
    if beyond := [str(steps) for steps in run.settings.steps if steps > n_unknown]:
        run.console.note("steps", f"T = {', '.join(beyond)}: more steps than tokens in the hole ({n_unknown})")
    return Edit(settings.task, name, hole_HW, options, cell)


def _comparison(
    run: Run[CommonConf], settings: EvaluateConf, data: ImageData, chosen: Images, scorer: Scorer
) -> Comparison:
    n, keeps_content = len(chosen), settings.task != CLASS_EDIT
    name = f"{data.name}-held-out"
    originals = RealImages(name, chosen, f"{data.fingerprint}-test-{n}", (data.size, data.size))
    if keeps_content and n > run.settings.eval.reference_features:
        run.console.note("features", f"feature_distance is left out: it needs eval.reference_features={n}, or more")
    weights = settings.editing.lpips_weights
    if weights is None:
        return Comparison(originals, scorer, None, "", keeps_content)
    if data.size < LEAST_FOR_LPIPS:
        raise UserError(
            f"LPIPS needs images of at least {LEAST_FOR_LPIPS} pixels, and the data have {data.size}: leave "
            "editing.lpips_weights out"
        )
    known = weights if weights == RANDOM else file_sha256(Path(weights))[:12]
    torch.manual_seed(0)  # of random weights, which are then the same in each process
    return Comparison(originals, scorer, LPIPS(weights).to(run.device), known, keeps_content)


def _source(
    run: Run[CommonConf],
    settings: EvaluateConf,
    data: ImageData,
    opened: _Opened,
    chosen: Images,
    edit: Edit,
    comparison: Comparison,
) -> Edited:
    pipeline, home = opened.pipeline, run.home
    Editor(pipeline, edit.options)  # refuses a model that cannot edit
    assert isinstance(pipeline.tokenizer, nn.Module)
    return Edited(
        trained=opened.trained,
        weights=weights_digest(pipeline.model, pipeline.tokenizer),
        labels=new_labels(edit.task, chosen.labels, data.n_classes),
        seed=run.settings.seed,
        data=data.name,
        checkpoint=None if home is None else home.named_checkpoint,
        chosen=chosen,
        fingerprint=data.fingerprint[:12],
        edit=edit,
        variants=settings.editing.variants,
        use_labels=settings.editing.use_labels,
        comparison=comparison,
    )


def _origin(run: Run[CommonConf], opened: _Opened) -> Origin:
    pipeline = opened.pipeline
    roots = [Edited.__module__]
    if run.home is None:
        roots += [type(part).__module__ for part in (pipeline.model, pipeline.tokenizer, pipeline.decoder)]
    origin = origin_of(run.settings, run.home, *roots)
    return trained_in_file(origin, opened.about) if run.home is None else origin
