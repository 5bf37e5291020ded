"""What can be evaluated: the transformer of a run, or one in a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from maskgit_lab.commands.extracting import measure_reconstruction
from maskgit_lab.commands.job import Job, by_main
from maskgit_lab.commands.points import Subject
from maskgit_lab.commands.run_folder import RunFolder
from maskgit_lab.commands.trained import open_trained, recorded_data, trained_of_run
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import file_sha256
from maskgit_lab.metrics.features import FeatureExtractor
from maskgit_lab.metrics.names import distance_name


def subject_of_run(cfg: DictConfig, run: RunFolder, cache: TokenCache | None) -> Subject:
    """The trained transformer of a run.

    Args:
        cfg: how it decodes.
        run: finished as far as its transformer.
        cache: its codes, if they are still there.

    Raises:
        UserError: its files are gone or damaged.
    """
    trained = trained_of_run(cfg, run)
    return Subject(
        sampler=trained.sampler(),
        trained_schedule=trained.trained_schedule,
        identity={
            "run": run.record["fingerprint"],
            "mvtm": run.record["done"]["mvtm"],
            "tokens": run.record["done"]["tokens"]["digest"],
        },
        place=run.path,
        codes=cache.test if cache is not None else None,
        scores={},
        class_names=trained.class_names,
        data=recorded_data(run).name,
    )


def with_reconstruction(subject: Subject, job: Job, extractor: FeatureExtractor) -> Subject:
    """The subject with what its tokenizer does to held-out images, as rFID or rFD."""
    tokenizer = subject.sampler.tokenizer
    scores = by_main(job, lambda alone: dict(measure_reconstruction(alone, tokenizer, extractor)))
    name = f"r{distance_name(extractor.name)}"
    return replace(subject, scores={name: scores[name]} if name in scores else {})


def subject_of_files(cfg: DictConfig, checkpoint: Path, tokenizer: str | None, place: Path) -> Subject:
    """The transformer of a file.

    Args:
        cfg: how it decodes; None means as the file says.
        checkpoint: the file.
        tokenizer: its tokenizer's file.
        place: the folder of the results.

    Raises:
        UserError: they are not there, are damaged, or do not belong together.
    """
    if tokenizer is None:
        raise UserError(f"{checkpoint} is a transformer's file: name its tokenizer's with tokenizer.weights=FILE")
    trained = open_trained(str(checkpoint), tokenizer, cfg.decode.schedule, cfg.trainer.accelerator)
    return Subject(
        sampler=trained.sampler(cfg.decode.choice_temperature, cfg.decode.guidance),
        trained_schedule=trained.trained_schedule,
        identity={
            "transformer": file_sha256(checkpoint.expanduser()),
            "tokenizer": file_sha256(Path(tokenizer).expanduser()),
        },
        place=place,
        codes=None,
        scores={},
        class_names=trained.class_names,
    )
