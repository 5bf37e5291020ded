"""What a command evaluates: the model of a run, a model in files, or images from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from maskgit_lab.data.external import ExternalImages, open_images
from maskgit_lab.data.source import ImageData
from maskgit_lab.data.tokens import TokenCache, open_codes
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.asked import labels_of, possible_metrics
from maskgit_lab.evaluation.code import origin_of, trained_in_file
from maskgit_lab.evaluation.curve import Evaluation
from maskgit_lab.evaluation.floors import floors_of
from maskgit_lab.evaluation.likelihood import load_or_compute_likelihoods
from maskgit_lab.evaluation.memorisation import KnownCodes
from maskgit_lab.evaluation.reconstruction import load_or_measure_reconstruction
from maskgit_lab.evaluation.reference import RealImages, real_images
from maskgit_lab.evaluation.scorer import choices_of, make_scorer
from maskgit_lab.evaluation.sources import External, Generated
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.features import FeatureExtractor
from maskgit_lab.nets.described import weights_digest
from maskgit_lab.nets.files import read_about
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.run import Run
from maskgit_lab.runs.store import open_valid
from maskgit_lab.sampling.loading import Trained, files_of, open_files, open_run
from maskgit_lab.sampling.tokenizers import load_tokenizer, tokenizer_file
from maskgit_lab.settings import CommonConf, EvaluateConf, TrainConf
from maskgit_lab.settings import tokenizer_file as given_tokenizer
from maskgit_lab.stages.features import load_or_train_extractor
from maskgit_lab.tokenizers.base import Tokenizer

OF_A_MODEL = (*registry.LIKELIHOODS, registry.RUNTIME)  # what images alone do not have


def plan(
    run: Run[CommonConf], settings: EvaluateConf, data: ImageData | None, real: RealImages, place: Path | None
) -> Evaluation:
    """What `evaluate.py` measures; every process calls this.

    Raises:
        UserError: files are missing or damaged, or do not fit each other, or there are too few images.
    """
    if settings.samples is not None:
        return _of_images(run, open_images(Path(settings.samples), "samples"), data, real, place)
    if run.home is None:
        return _of_files(run, settings, data, real, place)
    if data is not None:
        check_same_data(run.folder, data)
    extractor = load_or_train_extractor(run, data, run.settings.features.name, run.settings.features.weights)
    own = run.settings
    assert isinstance(own, TrainConf)
    trained = open_run(run.folder, own, run.device)
    return curve_over_steps(run, data, trained, _codes(run, trained), extractor, real, place, settings.save)


def curve_over_steps(
    run: Run[CommonConf],
    data: ImageData | None,
    trained: Trained,
    codes: TokenCache | None,
    extractor: FeatureExtractor,
    real: RealImages | None = None,
    place: Path | None = None,
    save: Sequence[str] = (),
) -> Evaluation:
    """A run's model at every T; every process calls this.

    Args:
        run: its settings define what is measured.
        data: the real images, if they are available.
        trained: the model.
        codes: of its images, for their likelihood and for memorisation, if they are available.
        extractor: of features.
        real: the images of the reference; None: as the settings say.
        place: the folder of the results; None: the run's.
        save: forms in which samples are kept.

    Raises:
        UserError: there are rows of other code, and the settings do not say what to do.
    """
    real = real or real_images(run.settings.eval.reference, data)
    evaluation = _of_model(run, data, trained, extractor, real, codes is not None, run.folder.data.name)
    evaluation = replace(evaluation, place=place or run.folder.path, save=save, codes=_known_codes(run, codes)).settle()
    known = {}
    asked = tuple(name for name in registry.LIKELIHOODS if name in evaluation.metrics)
    if asked and codes is not None and evaluation.missing():
        known = load_or_compute_likelihoods(run, trained, codes.test, asked)
    return replace(evaluation, known=known)


def floors_alone(
    run: Run[CommonConf], data: ImageData, tokenizer: Tokenizer, extractor: FeatureExtractor
) -> Evaluation:
    """What a tokenizer does, beside held-out images, of a run that has no transformer; every process calls this."""
    real, choices = real_images(run.settings.eval.reference, data), choices_of(run.settings.eval)
    size = (data.size, data.size)
    real.check(size, choices)
    floors = floors_of(run, data, real, size, run.settings.eval.n_samples or len(data.train), tokenizer)
    return Evaluation(
        run=run,
        data=data,
        sources=floors,
        scorer=make_scorer(run, data, real, extractor),
        metrics=possible_metrics(run, data, floors, has_codes=True),
        place=run.folder.path,
        origin=origin_of(run.settings, run.home),
    ).settle()


def measure_tokenizer(run: Run[CommonConf], data: ImageData | None) -> Evaluation:
    """Says what is known of a run that has no transformer yet, and what is measured of it."""
    folder, own = run.folder, run.settings
    if folder.record.transformer is not None:
        raise UserError(f"the checkpoint {folder.checkpoint} is gone: {folder.again} to train it again")
    if folder.record.tokenizer is None:
        raise UserError(f"the run in {folder.path} has trained nothing yet: {folder.again}")
    assert isinstance(own, TrainConf) and data is not None
    check_same_data(folder, data)
    extractor = load_or_train_extractor(run, data, own.features.name, own.features.weights)
    tokenizer = load_tokenizer(own.tokenizer, tokenizer_file(folder), run.device)
    scores = load_or_measure_reconstruction(run, data, tokenizer)
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in scores.items())
    run.console.note("tokenizer", f"{numbers}; the run has no transformer yet")
    return floors_alone(run, data, tokenizer, extractor)


def _of_model(
    run: Run[CommonConf],
    data: ImageData | None,
    trained: Trained,
    extractor: FeatureExtractor,
    real: RealImages,
    has_codes: bool,
    name: str | None,
) -> Evaluation:
    names, choices = trained.pipeline.class_names, choices_of(run.settings.eval)
    labels = labels_of(run.settings, data, len(names))
    choices.check(len(labels))
    real.check(trained.pipeline.size, choices)
    pipeline = trained.pipeline
    assert isinstance(pipeline.tokenizer, nn.Module)
    _note_beyond(run, pipeline.model.n_tokens)
    weights = weights_digest(pipeline.model, pipeline.tokenizer)
    checkpoint = run.home.named_checkpoint if run.home is not None else None
    floors = floors_of(run, data, real, pipeline.size, len(labels), pipeline.tokenizer)
    source = Generated(trained, weights, labels, run.settings.seed, name, checkpoint)
    draws = [source] if pipeline.is_autoregressive else [source.at(t) for t in run.settings.steps]
    made_by = (type(part).__module__ for part in (pipeline.model, pipeline.tokenizer, pipeline.decoder))
    return Evaluation(
        run=run,
        data=data,
        sources=[
            *floors,
            *(draw.again(i) for draw in draws for i in range(run.settings.eval.repeats)),
        ],
        scorer=make_scorer(run, data, real, extractor),
        metrics=possible_metrics(run, data, floors, has_codes=has_codes),
        place=None,
        origin=origin_of(run.settings, run.home, *(made_by if run.home is None else ())),
        class_names=names,
    )


def _note_beyond(run: Run[CommonConf], n_tokens: int) -> None:
    """Says which T are more than there are tokens: each step decides one at least, and draws the last again after N."""
    if beyond := [str(steps) for steps in run.settings.steps if steps > n_tokens]:
        run.console.note(
            "steps",
            f"T = {', '.join(beyond)}: an image has {n_tokens} tokens, and every step decides at least one, so "
            "further steps cost time and change only the noise",
        )


def _of_files(
    run: Run[CommonConf], settings: EvaluateConf, data: ImageData | None, real: RealImages, place: Path | None
) -> Evaluation:
    conf = run.settings
    path, tokenizer = files_of(Path(settings.checkpoint or ""), given_tokenizer(settings.tokenizer))
    trained = open_files(path, tokenizer, conf.decode, run.device)
    extractor = load_or_train_extractor(run, data, conf.features.name, conf.features.weights)
    evaluation = _of_model(run, data, trained, extractor, real, has_codes=False, name=None)
    origin = trained_in_file(evaluation.origin, read_about(path))
    return replace(evaluation, place=place, save=settings.save, origin=origin).settle()


def _of_images(
    run: Run[CommonConf], opened: ExternalImages, data: ImageData | None, real: RealImages, place: Path | None
) -> Evaluation:
    conf, choices = run.settings, choices_of(run.settings.eval)
    if conf.eval.repeats > 1:
        run.console.note("repeats", "eval.repeats applies to samples drawn by a model: these are measured once")
    source = External.choose(opened, conf.eval.n_samples)
    real.check(source.size, choices)
    choices.check(len(source))
    floors = floors_of(run, data, real, source.size, len(source))
    metrics = possible_metrics(run, data, floors, has_codes=True, has_classes=source.classes is not None)
    if "cas" in metrics:
        assert data is not None
        _check_fits(opened, data)
    extractor = load_or_train_extractor(run, data, conf.features.name, conf.features.weights)
    scorer = make_scorer(run, data, real, extractor)
    measured: Sequence[str] = [metric for metric in metrics if metric not in OF_A_MODEL]
    origin = origin_of(run.settings, None)
    return Evaluation(
        run=run, data=data, sources=[*floors, source], scorer=scorer, metrics=measured, place=place, origin=origin
    ).settle()


def _check_fits(images: ExternalImages, data: ImageData) -> None:
    """Raises a `UserError` if a classifier of the images cannot be tested on the data."""
    if images.size != (data.size, data.size):
        raise UserError(
            f"the samples have {images.size[0]} x {images.size[1]} pixels and the data {data.size} x {data.size}: CAS "
            "needs them to be of one size, so leave it out with eval.metrics=[...]"
        )
    low, high = int(images.labels.min()), int(images.labels.max())
    if low < 0 or high >= data.n_classes:
        raise UserError(
            f"the samples have classes from {low} to {high} and the data have {data.n_classes}: give the classes as "
            f"whole numbers from 0 to {data.n_classes - 1}, or leave CAS out with eval.metrics=[...]"
        )


def check_same_data(folder: RunFolder, data: ImageData) -> None:
    """Raises a `UserError` unless these are the images that a run was trained on."""
    if data.fingerprint != folder.data.fingerprint:
        raise UserError(
            f"the images of {data.name} are not those that the run in {folder.path} was trained on: give the same with "
            "data= and its settings, or compare with others by eval.reference=FOLDER_OR_NPZ"
        )


def _codes(run: Run[CommonConf], trained: Trained) -> TokenCache | None:
    """The codes of the run's images, if they are needed and still in the cache."""
    record = run.record.tokens
    if record is None or not {*registry.LIKELIHOODS, "memorised"} & set(run.settings.eval.metrics):
        return None
    path = run.folder.place(record.path)
    if not path.is_dir():
        return None
    open_valid(path, run.folder.remedy)
    pipeline = trained.pipeline
    return open_codes(path, pipeline.tokenizer.codebook_size, len(pipeline.class_names), run.folder.remedy)


def _known_codes(run: Run[CommonConf], codes: TokenCache | None) -> KnownCodes | None:
    if codes is None:
        return None
    assert run.record.tokens is not None
    return KnownCodes(codes, run.record.tokens.digest, run.settings.eval.reference_features)
