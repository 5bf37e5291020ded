"""A study made ready for the reader: figures, tables and sentences, before they become HTML or Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskgit_lab.ablation.curves import Curve, curves, distance_of
from maskgit_lab.ablation.heats import Heat, decoupled_heat, surface_heats
from maskgit_lab.ablation.panels import Panel, curve_panels, format_value, guidance_panels, papers_panel, side_by_side
from maskgit_lab.ablation.ranking import Agreement, Ranking, rank
from maskgit_lab.ablation.sentences import count, how_to_read, order_sentences, warnings
from maskgit_lab.ablation.studies import Study, differences
from maskgit_lab.ablation.styles import spoken
from maskgit_lab.ablation.tables import Table, pairs_table, papers_form, settings_table, sweet_spots, training_table
from maskgit_lab.ablation.tiles import Encoded, Tile, encode, tiles

PAPER_NOTE = "The paper's numbers are of ImageNet 256 x 256 with 50,000 samples; its NLL is of its own tokens."
EDGE_NOTE = "† at the edge of the T that were measured: a better one may lie beyond."


@dataclass(frozen=True)
class Chapter:
    """What the report says of one study.

    Args:
        number: from 1.
        study: its points.
        apart: the settings in which it differs from studies of the same title.
        facts: a number or a name each, and what it is.
        warnings: what to beware of.
        reading: how the curves are to be read.
        pair: the distance against T, if it was measured, and beside it FID against T as published.
        panels: the other metrics against T.
        heats: maps of the distance.
        guidance: metrics against guidance.
        ranking: of the schedules; None if there are too few.
        order: what is said of it.
        table: in the form of Table 3.
        spots: the best T by each metric.
        settings: with which the points were measured.
        training: of the models.
        run_names: where the points come from.
        pictures: of samples at the best T.
    """

    number: int
    study: Study
    apart: Table
    facts: Sequence[tuple[str, str]]
    warnings: Sequence[str]
    reading: str
    pair: Sequence[Panel]
    panels: Sequence[Panel]
    heats: Sequence[Heat]
    guidance: Sequence[Panel]
    ranking: Ranking | None
    order: Sequence[str]
    table: Table
    spots: Table
    settings: Table
    training: Table
    run_names: Sequence[str]
    pictures: Sequence[tuple[Tile, Encoded]]

    @property
    def anchor(self) -> str:
        """Of its heading."""
        return f"study-{self.number}"

    @property
    def slug(self) -> str:
        """At the start of the names of its files."""
        return f"{self.number}-{self.study.slug}"


def chapters(every: Sequence[Study], names: Mapping[Path, str], *, bootstrap: int, seed: int) -> list[Chapter]:
    """One for each study.

    Args:
        every: the studies.
        names: short ones of the runs' folders.
        bootstrap: resamples of the intervals.
        seed: of the resamples.
    """
    found = [tiles(study) for study in every]
    n_pictures = sum(len(several) for several in found)
    pictures = [[(tile, made) for tile in several if (made := encode(tile.path, n_pictures))] for several in found]
    parts = zip(every, differences(every), pictures, strict=True)
    return [
        _chapter(i, study, apart, shown, names, rank(_distances(study), bootstrap=bootstrap, seed=seed))
        for i, (study, apart, shown) in enumerate(parts, 1)
    ]


def _chapter(
    number: int,
    study: Study,
    apart: Mapping[str, Any],
    pictures: Sequence[tuple[Tile, Encoded]],
    names: Mapping[Path, str],
    ranking: Ranking | None,
) -> Chapter:
    panels, decoupled = curve_panels(study), decoupled_heat(study)
    distance = [panel for panel in panels if panel.key == study.distance]
    return Chapter(
        number=number,
        study=study,
        apart=pairs_table(apart),
        facts=_facts(study, ranking),
        warnings=warnings(study, names),
        reading=how_to_read(study),
        pair=side_by_side([*distance, papers_panel()]),
        panels=[panel for panel in panels if panel not in distance],
        heats=[*surface_heats(study), *([decoupled] if decoupled else [])],
        guidance=guidance_panels(study),
        ranking=ranking,
        order=order_sentences(study, ranking),
        table=papers_form(study),
        spots=sweet_spots(study),
        settings=settings_table(study),
        training=training_table(study),
        run_names=[names[run.path] for run in study.runs],
        pictures=pictures,
    )


def _distances(study: Study) -> list[Curve]:
    return curves(study.main, distance_of(study))


def _facts(study: Study, ranking: Ranking | None) -> list[tuple[str, str]]:
    found = _distances(study)
    told = f"of {count(len(study.runs), 'run')}, {count(len(study.seeds), 'seed')}, {study.n_samples:,} samples each"
    facts = [(count(len(study.points), "point"), told)]
    if found:
        best = min(found, key=lambda curve: curve.mean_T[curve.best])
        value = format_value(float(best.mean_T[best.best]))
        facts.insert(
            0, (f"{spoken(best.schedule)}, T = {best.best_steps}", f"the lowest {study.distance_label}: {value}")
        )
    if ranking is not None:
        facts.append((_number(ranking.order), f"Kendall's tau of our order and the paper's{_interval(ranking.order)}"))
        facts.append((_number(ranking.shift), f"Kendall's tau of our best T and the paper's{_interval(ranking.shift)}"))
    return facts


def _number(agreement: Agreement) -> str:
    return "no tau" if agreement.tau is None else f"τ = {agreement.tau:+.2f}"


def _interval(agreement: Agreement) -> str:
    if agreement.interval is None:
        return "; no interval"
    low, high = agreement.interval
    return f"; 95 % interval {low:+.2f} to {high:+.2f}"
