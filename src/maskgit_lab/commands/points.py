"""One point of the curve: the samples of one T, made and measured batch by batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.ablation.drawing import draw_tiles
from maskgit_lab.ablation.results import RESULTS, Results
from maskgit_lab.commands.classifying import train_on_samples
from maskgit_lab.commands.generation import Sampler
from maskgit_lab.commands.job import Bench, by_main
from maskgit_lab.commands.parts import PartImages, Parts
from maskgit_lab.commands.saving import save_samples, saved_path
from maskgit_lab.commands.scoring import Scorer
from maskgit_lab.data.tokens import TokenDataset
from maskgit_lab.fingerprints import code_version, fingerprint
from maskgit_lab.masking.schedules import Schedule
from maskgit_lab.metrics.scores import accuracy
from maskgit_lab.seeds import mix_seeds

SAMPLES = 1  # the stream of seeds that samples draw from
PLACE = "evaluation"  # the folder of points that are not finished
MODULES = (
    *("maskgit_lab.commands.generation", "maskgit_lab.decoding.parallel", "maskgit_lab.decoding.conditional"),
    *("maskgit_lab.masking.schedules", "maskgit_lab.nets.transformer", "maskgit_lab.nets.vqgan", "maskgit_lab.seeds"),
)


@dataclass(frozen=True)
class Subject:
    """What is evaluated.

    Args:
        sampler: makes its samples.
        trained_schedule: the schedule that it was trained with.
        identity: what its weights depend on.
        place: the folder of its results.
        codes: held-out codes, for its NLL; None if there are none.
        scores: what is known of it beforehand, such as how well its tokenizer reconstructs.
        class_names: of its classes, in their order.
        data: the name of the data that it was trained on, if that is known.
    """

    sampler: Sampler
    trained_schedule: Schedule
    identity: Mapping[str, Any]
    place: Path
    codes: TokenDataset | None
    scores: Mapping[str, float]
    class_names: Sequence[str]
    data: str | None = None

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.class_names)

    @property
    def results(self) -> Results:
        """The points evaluated."""
        return Results(self.place / RESULTS)


def labels_fingerprint(labels: Tensor) -> str:
    """Of the classes of the samples, in their order."""
    return fingerprint({"labels": labels.tolist()})


@dataclass(frozen=True)
class Point:
    """The samples of one T."""

    bench: Bench
    subject: Subject
    scorer: Scorer
    labels: Tensor
    steps: int
    metrics: Sequence[str]
    save: Sequence[str]

    def measure(self, batch_size: int, picture: Path) -> dict[str, Any]:
        """Every metric of these samples.

        Args:
            batch_size: samples made at once.
            picture: a PNG file that some of them are drawn to.
        """
        parts = Parts(self._folder(), len(self.labels))
        parts.fill(batch_size, self._sample, self.bench.terminal, f"T = {self.steps}")
        row = by_main(self.bench, lambda _: self._scores(parts))
        if "cas" in self.metrics:
            row |= train_on_samples(self.bench, PartImages(parts.paths(), self.labels), parts.folder)
        if ranks.is_main():
            self._save(parts)
            draw_tiles(self._some(parts.array("tokens")), picture)
            parts.remove()
        ranks.barrier()
        return row

    @property
    def is_saved(self) -> bool:
        """Whether the samples are there in all the forms that are asked for."""
        return all(saved_path(self._saved_folder(), form).exists() for form in self.save)

    def _saved_folder(self) -> Path:
        return self.subject.place / "samples" / self._folder().name

    def _folder(self) -> Path:
        """Where the parts lie: a name for all that they depend on."""
        sampler = self.subject.sampler
        depends = {
            "model": dict(self.subject.identity),
            "how": [sampler.schedule.name, sampler.choice_temperature, sampler.guidance, self.steps],
            "what": [self.bench.cfg.seed, labels_fingerprint(self.labels), self._keeps_images],
            "features": self.scorer.settings(),
            "code": code_version(*MODULES),
        }
        return self.subject.place / PLACE / f"T{self.steps}-{fingerprint(depends)}"

    @property
    def _keeps_images(self) -> bool:
        return "cas" in self.metrics or bool(self.save)

    def _sample(self, batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
        for batch in batches:
            start = time.perf_counter()
            # A seed for each sample: it is the same image in any batch and in any process.
            seeds = [mix_seeds(self.bench.cfg.seed, SAMPLES, self.steps, i) for i in batch]
            made = self.subject.sampler(self.labels[batch.start : batch.stop], seeds, self.steps, len(batch))
            seconds = torch.full((len(batch),), (time.perf_counter() - start) / len(batch), dtype=torch.float64)
            arrays = {"tokens": made.tokens.int(), "seconds": seconds, **self.scorer.measure(made.images)}
            yield arrays | ({"images": made.images} if self._keeps_images else {})

    def _scores(self, parts: Parts) -> dict[str, float]:
        scores = self.scorer.scores(parts)
        known = self.scorer.extractor.classes_of
        if self.scorer.needs_features and known is not None and known == self.subject.data:
            logits_nC = self.scorer.features(parts).logits_nC
            scores |= {} if logits_nC is None else {"sample_accuracy": accuracy(logits_nC, self.labels)}
        seconds = float(parts.array("seconds").sum())
        return {"images_per_second": ranks.world_size() * len(self.labels) / seconds, **scores}

    def _some(self, tokens_nN: Tensor) -> Tensor:
        """Samples (R, C, 3, H, W) of the first classes, as many of each."""
        conf, sampler = self.bench.cfg.eval, self.subject.sampler
        classes, counts = self.labels.unique(return_counts=True)
        columns = min(conf.picture_columns, int(counts[: conf.picture_classes].min()))
        chosen = [(self.labels == c).nonzero()[:columns, 0] for c in classes[: conf.picture_classes]]
        images = [sampler.images(tokens_nN[indices].long()) for indices in chosen]
        return torch.stack(images)

    def _save(self, parts: Parts) -> None:
        for form in self.save:
            written = save_samples(parts, self.labels, self.subject.class_names, self._saved_folder(), form)
            self.bench.terminal.note("written", str(written))
