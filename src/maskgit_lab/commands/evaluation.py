"""The curve: for each T, samples, their features, and every metric from those, as one row of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.ablation.results import Row, footnotes, grid_path, identity, table
from maskgit_lab.commands.classifying import cas_identity
from maskgit_lab.commands.job import Bench
from maskgit_lab.commands.likelihood import obtain_nll
from maskgit_lab.commands.memory import fitting_batch
from maskgit_lab.commands.points import Point, Subject, labels_fingerprint
from maskgit_lab.commands.referencing import RealImages, check_enough, check_same_size
from maskgit_lab.commands.scoring import Scorer, choices_of, obtain_scorer, versions
from maskgit_lab.console import Terminal
from maskgit_lab.data.source import ImageData
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.lit.logger import RunLogger, is_fresh, log_point, log_points
from maskgit_lab.metrics.features import FeatureExtractor
from maskgit_lab.metrics.names import distance_name


@dataclass(frozen=True)
class Evaluation:
    """Points that are to be measured, with what is done of them.

    Args:
        bench: its config's `eval` and `seed` say what is measured.
        subject: what is evaluated.
        scorer: measures the samples.
        metrics: that can be computed.
        shared: what the rows of all points say of their settings.
        todo: the points by T.
        missing: the T that have no row yet, or whose samples are to be saved.
    """

    bench: Bench
    subject: Subject
    scorer: Scorer
    metrics: Sequence[str]
    shared: Row
    todo: Mapping[int, Point]
    missing: Sequence[int]

    @property
    def points(self) -> list[str]:
        """The identities of the points, in the order of `eval.steps`."""
        return [identity({**self.shared, "steps": steps}) for steps in self.todo]

    def carry_out(self, logger: RunLogger | None) -> None:
        """Adds a row to the results for each missing T; every process calls this.

        Args:
            logger: where points go.
        """
        known = [row for row in self.rows if row["steps"] not in self.missing] if is_fresh(logger) else []
        for row in known:
            log_point(logger, row)
        if self.missing:
            self._measure_missing(logger)
        log_points(logger, self.rows if logger is not None else [])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The points that are measured, in the order of `eval.steps`."""
        rows = {identity(row): row for row in self.subject.results.rows()}
        return [rows[point] for point in self.points if point in rows]

    def _measure_missing(self, logger: RunLogger | None) -> None:
        bench, subject = self.bench, self.subject
        batch_size = ranks.share(_batch_size(bench.cfg.eval, subject, self.scorer.extractor, bench.device))
        self.scorer.obtain_references(bench, batch_size)
        n_samples = self.shared["n_samples"]
        what = f"T = {', '.join(map(str, self.missing))}, {n_samples:,} samples each"
        with bench.terminal.stage("evaluation", what):
            known = dict(subject.scores) | (_likelihood(bench, subject) if "nll" in self.metrics else {})
            for steps in self.missing:
                told = {**self.shared, "steps": steps}
                picture = grid_path(subject.place, told)
                self._add({**told, **self.todo[steps].measure(batch_size, picture), **known}, logger)

    def _add(self, row: Row, logger: RunLogger | None) -> None:
        if ranks.is_main():
            row = {**row, **versions()}
            self.subject.results.append(row)
            log_point(logger, row)
        self.bench.terminal.say(f"{'':<10} {_summary(row)}")


def plan_evaluation(
    bench: Bench, subject: Subject, extractor: FeatureExtractor, real: RealImages, save: Sequence[str] = ()
) -> Evaluation:
    """What `eval.steps` asks for; every process calls this.

    Args:
        bench: its config's `eval` and `seed` say what is measured.
        subject: what is evaluated.
        extractor: of the features.
        real: the images of the reference.
        save: forms in which the samples are kept; see `save_samples`.

    Raises:
        UserError: too few samples, or a reference that does not fit them.
    """
    labels = labels_of(bench.cfg, bench.data, subject.n_classes)
    check_same_size(subject.sampler.size, real)
    choices_of(bench.cfg.eval).check(len(labels))
    check_enough(choices_of(bench.cfg.eval), real)
    scorer = obtain_scorer(bench, real, extractor)
    metrics = possible_metrics(bench, has_codes=subject.codes is not None)
    shared = _settings(bench, subject, scorer, labels, metrics)
    todo = {steps: Point(bench, subject, scorer, labels, steps, metrics, save) for steps in bench.cfg.eval.steps}
    done = {identity(row) for row in subject.results.rows()}
    missing = [t for t, point in todo.items() if identity({**shared, "steps": t}) not in done or not point.is_saved]
    return Evaluation(bench, subject, scorer, metrics, shared, todo, ranks.share(missing))


def say_results(terminal: Terminal, rows: Sequence[Row]) -> None:
    """Prints a table of points, and what has to be known to read it."""
    if rows:
        title = "Quality over the number of decoding steps T" if "steps" in rows[0] else "Quality of the samples"
        terminal.table(title, *table(rows))
        for note in footnotes(rows):
            terminal.say(note)


def possible_metrics(bench: Bench, *, has_codes: bool, has_classes: bool = True) -> tuple[str, ...]:
    """The metrics that are asked for, without those that what is at hand does not allow; what is left out is said.

    Args:
        bench: its config names the metrics.
        has_codes: whether there are held-out codes, for the NLL.
        has_classes: whether the samples have classes, for CAS.
    """
    asked = set(bench.cfg.eval.metrics)
    if "nll" in asked and not has_codes:
        asked.remove("nll")
        bench.terminal.note("nll", "left out: the codes of the held-out images are not at hand")
    if "cas" in asked and not (has_classes and bench.cfg.cas is not None and bench.data is not None):
        asked.remove("cas")
        bench.terminal.note("cas", "left out: it needs real images, samples with classes, and a classifier (cas=small)")
    return tuple(sorted(asked))


def labels_of(cfg: DictConfig, data: ImageData | None, n_classes: int) -> Tensor:
    """The classes of the samples, sorted: those of the training images, or as many of each class.

    Raises:
        UserError: neither their number nor training images are given.
    """
    count = cfg.eval.n_samples
    if count is not None:
        return torch.arange(count) * n_classes // count
    if data is None:
        raise UserError("n_samples is needed: give the number of samples for each T, such as n_samples=50000")
    return data.train.labels.sort().values


def _batch_size(conf: DictConfig, subject: Subject, extractor: FeatureExtractor, device: torch.device) -> int:
    """The one that is given, or as many images as fit the memory at hand."""
    if conf.batch_size is not None:
        return conf.batch_size

    def work(count: int) -> None:
        labels = torch.arange(count) % subject.n_classes
        extractor(subject.sampler(labels, list(range(count)), 2, count).images)

    return fitting_batch(work, device)


def _likelihood(bench: Bench, subject: Subject) -> dict[str, float]:
    model = subject.sampler.model
    assert subject.codes is not None
    return {"nll": obtain_nll(bench, model, subject.codes, subject.trained_schedule, subject.identity)}


def _settings(bench: Bench, subject: Subject, scorer: Scorer, labels: Tensor, metrics: Sequence[str]) -> dict[str, Any]:
    """What a row was measured with."""
    sampler, cfg = subject.sampler, bench.cfg
    told = {
        "model": fingerprint(subject.identity),
        "schedule": subject.trained_schedule.name,
        "decode_schedule": sampler.schedule.name,
        "choice_temperature": sampler.choice_temperature,
        "guidance": sampler.guidance,
        "seed": cfg.seed,
        "n_samples": len(labels),
        "labels": labels_fingerprint(labels),
        **scorer.settings(),
        "nll_draws": cfg.eval.nll_draws,
        "metrics": " ".join(metrics),
    }
    told |= {"cas_classifier": cas_identity(bench)} if "cas" in metrics else {}
    return told | ({"data": subject.data} if subject.data is not None else {})


def _summary(row: Mapping[str, Any]) -> str:
    shown = (distance_name(row["features"]), "inception_score", "cas_top1")
    said = [f"{key} {row[key]:.3f}" for key in shown if key in row]
    return f"T = {row['steps']:<3} {', '.join(said)}"
