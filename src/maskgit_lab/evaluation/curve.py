"""The one loop of every evaluation: from the images of each source to features, metrics and a row of results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from maskgit_lab import ranks
from maskgit_lab.console import Terminal
from maskgit_lab.data.shards import Shards
from maskgit_lab.data.source import ImageData
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.floors import Floor, HeldOut, load_or_measure_floor
from maskgit_lab.evaluation.memorisation import KnownCodes
from maskgit_lab.evaluation.runtime import decode_seconds_per_image, timed_on
from maskgit_lab.evaluation.scorer import NEAR, Scorer, versions
from maskgit_lab.evaluation.sources import Generated, Source
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.metrics import registry
from maskgit_lab.metrics.scores import accuracy
from maskgit_lab.runs.costs import add_images
from maskgit_lab.runs.origin import Origin, check_rows, reuse_rows
from maskgit_lab.runs.outputs import SAMPLES
from maskgit_lab.runs.results import (
    HOLE,
    RESULTS,
    TASK,
    TIMED_ON,
    Results,
    Row,
    footnotes,
    grid_path,
    identity,
    is_floor,
    samples_in,
    table,
)
from maskgit_lab.runs.run import Run
from maskgit_lab.runs.store import SCORING
from maskgit_lab.sampling.drawing import draw_tiles
from maskgit_lab.sampling.files import save_samples, saved_path
from maskgit_lab.settings import CommonConf
from maskgit_lab.stages.classifier import cas_identity, classification_accuracy_score

UNFINISHED = "evaluation"  # the folder of points that are not finished
MOST_NAMED = 20  # points that are named at the start


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Points that are measured, each the images of one source."""

    run: Run[CommonConf]  # its settings `eval` and `seed` define what is measured
    data: ImageData | None  # the real images, if there are any
    sources: Sequence[Source]  # the images of each point
    scorer: Scorer  # measures them
    metrics: Sequence[str]  # that can be computed
    place: Path | None  # the folder of the results; None: nothing is kept
    origin: Origin  # where the rows come from
    save: Sequence[str] = ()  # forms in which the images are kept; see `save_samples`
    class_names: Sequence[str] = ()  # of the images
    known: Mapping[str, float] = field(default_factory=dict)  # what is measured beforehand, the same for all samples
    codes: KnownCodes | None = None  # of training and held-out images, if they are available

    @property
    def is_of_model(self) -> bool:
        """Whether a trained model makes the images."""
        return any(source.is_of_model for source in self.sources)

    @property
    def settings(self) -> list[Row]:
        """The settings in the row of each source."""
        return [self._settings(source) for source in self.sources]

    @property
    def points(self) -> list[str]:
        """The identities of the points."""
        return [identity(row) for row in self.settings]

    @property
    def _of_samples(self) -> list[str]:
        """The points of all but floors, which are measured again by other code without a question."""
        pairs = zip(self.sources, self.points, strict=True)
        return [point for source, point in pairs if not isinstance(source, Floor)]

    @property
    def results(self) -> Results | None:
        """Where rows are kept."""
        return None if self.place is None else Results(self.place / RESULTS)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The points that today's code has measured, in the order of the sources."""
        found = self.results.of(*self.origin.key) if self.results is not None else {}
        return [found[point] for point in self.points if point in found]

    def settle(self) -> Evaluation:
        """Sees to the rows of other code, as the settings say; every process calls this.

        Raises:
            UserError: there are such rows, and the settings do not say what to do.
        """
        conf, fault = self.run.settings, None
        if ranks.is_main() and self.results is not None:
            self._note_damage(self.results)
            try:
                if not (conf.rerun or conf.reuse):
                    check_rows(self.results, self._of_samples, self.origin)
                reuse_rows(self.results, self.points, self.origin, all_of_them=conf.reuse)
            except UserError as error:
                fault = str(error)
        if fault := ranks.share(fault):
            raise UserError(fault)
        return self

    def _note_damage(self, results: Results) -> None:
        if n_bad := results.read()[1]:
            lines = "1 line" if n_bad == 1 else f"{n_bad} lines"
            self.run.console.note(
                "results", f"{lines} of {results.path} cut short or damaged: skipped, and measured again if needed"
            )

    def missing(self) -> list[Source]:
        """The sources that have no row yet, or whose samples are to be saved; the same in every process."""
        done = {identity(row) for row in self.rows} if ranks.is_main() else set()
        indices = [
            i
            for i, (source, point) in enumerate(zip(self.sources, self.points, strict=True))
            if point not in done
            or not all(saved_path(self._saved(source), form).exists() for form in self._forms(source))
        ]
        return [self.sources[i] for i in ranks.share(indices)]

    def carry_out(self) -> list[dict[str, Any]]:
        """Adds a row to the results for each missing source; every process calls this.

        Returns:
            The rows of all sources, measured now or before.
        """
        missing = self.missing()
        logger, todo = self.run.logger, {id(source) for source in missing}
        measured = dict(zip(self.points, self.sources, strict=True))
        known = [row for row in self.rows if id(measured[identity(row)]) not in todo]
        logger.earlier(samples_in(known))
        for row in filter(is_floor, known):
            self._log(row)
        new = self._measure(missing) if missing else []
        rows = self.rows if self.results is not None else new
        logger.points(rows)
        return rows

    def _measure(self, missing: Sequence[Source]) -> list[dict[str, Any]]:
        run = self.run
        self.scorer.load_references(run, run.settings.eval.batch_size)
        names = [source.name for source in missing] if len(missing) <= MOST_NAMED else [f"{len(missing)} points"]
        samples = [f"{len(source):,} samples each" for source in missing if not isinstance(source, Floor)]
        rows = []
        with run.console.stage("evaluation", ", ".join([*names, *samples[:1]])):
            self._know_held_out(missing)
            for source in missing:
                source.prepare(run)
                known = {} if isinstance(source, Floor) else self.known
                row = {**self._settings(source), **self._measured(source), **known}
                if ranks.is_main():
                    row |= versions() | self.origin.row
                    self._append(row)
                    self._log(row)
                run.console.say(f"{'':<10} {_summary(row, source)}")
                rows.append(row)
        return rows

    def _append(self, row: Row) -> None:
        if self.results is not None:
            self.origin.remember(self.results.path.parent)
            self.results.append(row)

    def _log(self, row: Row) -> None:
        if not is_floor(row):
            self.run.logger.point(row)
            return
        measured = {key: value for key, value in row.items() if registry.is_measured(key)}
        self.run.logger.scores(row["source"], {"n_samples": row["n_samples"], **measured})

    def _know_held_out(self, missing: Sequence[Source]) -> None:
        """Samples are compared with held-out images, which may have been measured before; every process calls this."""
        wanted = [source for source in self.sources if isinstance(source, HeldOut) and source not in missing]
        for source in wanted if "memorised" in self.metrics else ():
            self._of_floor(source)

    def _of_floor(self, floor: Floor) -> dict[str, Any]:
        """Every metric of held-out images, measured now or found in the store."""
        found = load_or_measure_floor(self.run, floor, self.scorer, self._names(floor), self._filled)
        if (near := found.pop(NEAR, None)) is not None:
            self.scorer.know_near(near)
        return found

    def _measured(self, source: Source) -> dict[str, Any]:
        """Every metric of the images of a source."""
        if isinstance(source, Floor):
            return self._of_floor(source)
        shards = self._shards(source)
        row = self._filled(source, shards) | self._runtime(source)
        if "cas" in self._names(source):
            assert self.data is not None and self.run.settings.cas is not None
            images = source.images(shards)
            assert images is not None
            row |= classification_accuracy_score(self.run, self.data, self.run.settings.cas, images, shards.folder)
        if ranks.is_main():
            self._keep(source, shards)
            shards.remove()
        ranks.barrier()
        return row

    def _filled(self, source: Source, shards: Shards) -> dict[str, Any]:
        """What is known of a source once the shards have the features of all its images; every process calls this."""
        batch_size = self.run.settings.eval.batch_size
        keeps_images = self._keeps_images(source)

        def make(batches: Sequence[range]) -> Iterator[dict[str, Tensor]]:
            for arrays in source.batches(self.run, batches):
                images = arrays.pop("images")
                add_images(len(images))
                yield arrays | self.scorer.measure(images) | ({"images": images} if keeps_images else {})

        if self.scorer.needs_features or source.keeps_more:
            missing = shards.missing(batch_size)
            total = -(-sum(map(len, missing)) // ranks.world_size())
            with self.run.console.bar(source.name, total, "images/s") as advance:
                shards.fill(missing, make, advance)
        return self.run.by_main(lambda alone: self._scores(alone, source, shards))

    def _runtime(self, source: Source) -> dict[str, Any]:
        """The time of decoding, by the main process; every process calls this."""
        if registry.RUNTIME not in self.metrics or not isinstance(source, Generated):
            return {}
        batch_size, pipeline = self.run.settings.eval.batch_size, source.pipeline
        seconds = self.run.by_main(lambda _: decode_seconds_per_image(pipeline, source.labels, batch_size))
        return {"decode_seconds_per_image": seconds, TIMED_ON: timed_on(pipeline.device, batch_size)}

    def _scores(self, alone: Run[CommonConf], source: Source, shards: Shards) -> dict[str, float]:
        near = {}
        if isinstance(source, HeldOut) and "memorised" in self.metrics:
            near = {NEAR: self.scorer.nearness(shards)}
            self.scorer.know_near(near[NEAR])
        scores = source.scores(shards) | self.scorer.scores(shards) | near
        if self.codes is not None and "memorised" in self.metrics and "tokens" in next(iter(shards)):
            scores |= self.codes.memorised(alone, shards.array("tokens").flatten(1))
        extractor = self.scorer.extractor
        of_same_data = extractor.classes_of is not None and extractor.classes_of == source.settings.get("data")
        if self.scorer.needs_features and of_same_data and source.classes is not None:
            logits_nC = self.scorer.features(shards, extractor).logits_nC
            scores |= {} if logits_nC is None else {"sample_accuracy": accuracy(logits_nC, source.classes)}
        return scores

    def _settings(self, source: Source) -> dict[str, Any]:
        settings = {**source.settings, "n_samples": len(source), **self.scorer.settings()}
        if isinstance(source, Generated) and not source.pipeline.is_autoregressive:
            settings |= {"nll_draws": self.run.settings.eval.nll_draws}
        if "cas" in (names := self._names(source)):
            assert self.data is not None and self.run.settings.cas is not None
            settings |= {"cas_classifier": cas_identity(self.run, self.data, self.run.settings.cas)}
            settings.setdefault("data", self.data.name)
        return settings | {"metrics": " ".join(names)}

    def _names(self, source: Source) -> Sequence[str]:
        """The metrics of a source.

        Of held-out images, those that are computed from features; CAS, which trains a classifier, is measured on the
        first draw of samples alone.
        """
        if isinstance(source, Floor):
            return sorted(self.scorer.computed(self.metrics))
        return [name for name in self.metrics if name != "cas"] if source.repeat else self.metrics

    def _shards(self, source: Source) -> Shards:
        """Named after all that the features of a source depend on."""
        of_source = {"source": source.identity, "code": self.origin.key}
        depends = {**of_source, "features": self.scorer.settings(), "kept": self._keeps_images(source)}
        place = self.run.store.root / SCORING if self.place is None else self.place / UNFINISHED
        return Shards(place / f"{_as_file(source.name)}-{fingerprint(depends)}", len(source))

    def _keeps_images(self, source: Source) -> bool:
        return source.is_of_model and ("cas" in self._names(source) or bool(self.save))

    def _forms(self, source: Source) -> Sequence[str]:
        return self.save if source.is_of_model else ()

    def _saved(self, source: Source) -> Path:
        assert self.place is not None
        return self.place / SAMPLES / self._shards(source).folder.name

    def _keep(self, source: Source, shards: Shards) -> None:
        """Files and a picture of what a model made."""
        if self.place is None:
            return
        for form in self._forms(source):
            assert source.classes is not None
            written = save_samples(shards, source.classes, self.class_names, self._saved(source), form)
            self.run.console.note("written", str(written))
        if (tiles := source.picture(shards, self.run)) is not None:
            path = grid_path(self.place, {**self._settings(source), **self.origin.row})
            draw_tiles(tiles, path)
            if source.logged is not None:
                self.run.logger.pictures({source.logged: path})


def show(console: Terminal, rows: Sequence[Row]) -> None:
    """Prints a table of points, and what a reader of it has to know."""
    if rows:
        title = f"Quality of the {'samples' if samples_in(rows) else 'tokenizer'}"
        edits = next((f"{row[TASK]} {row[HOLE]}: quality" for row in samples_in(rows) if TASK in row), "Quality")
        if any("steps" in row for row in rows):
            title = f"{edits} over the number of decoding steps T"
        console.table(title, *table(rows))
        for note in footnotes(rows):
            console.say(note)


def _as_file(name: str) -> str:
    """The name of a source in that of a folder: `T8-repeat1` for `T = 8 (repeat 1)`."""
    return name.replace(" = ", "").replace(" (", "-").replace(")", "").replace(" ", "")


def _summary(row: Row, source: Source) -> str:
    shown = [registry.TABLE["fid"].key_on(row["features"]), "inception_score", "cas_top1", "psnr", "lpips"]
    return f"{source.name:<7} {', '.join(f'{key} {row[key]:.3f}' for key in shown if key in row)}"
