"""The table of all metrics: what each is called, which direction is better, what it needs and how it is computed.

The console, W&B, the curves, the tables, the model card and the report use it. A new metric is one function and one
row: a `Metric` in a module of your own, which `eval.metrics=[fid,my_module.mine]` names. Nothing heavy is imported
here, so that reports start quickly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from maskgit_lab.errors import UserError
from maskgit_lab.objects import locate

INCEPTION = "inception"  # the extractor whose distances are called FID, sFID and KID
SPREAD = "_std"  # at the end of the key of a standard deviation
ERROR = "_se"  # at the end of the key of a standard error
UNCERTAIN = (SPREAD, ERROR)
NLL, BOUND, EXACT = "nll", "nll_bound", "nll_exact"
LIKELIHOODS = (NLL, BOUND)  # of held-out codes, in nats per token: what `eval.metrics` may name
RUNTIME = "runtime"  # what `eval.metrics` calls the time of decoding
ORIGINAL = "original"  # needed only by metrics of edits: the image that was edited


@dataclass(frozen=True)
class Metric:
    """A number that an evaluation measures."""

    key: str  # in the rows of results; for a distance, its key with the Inception network of 2015
    label: str  # on axes and in legends
    better: Literal["min", "max"] | None = None  # whether lower or higher is better; None: neither
    # What it is computed from: `features`, `logits`, `spatial` (features), `kept` (features of real images),
    # `held_out` (features of held-out images, and `kept`), `codes`, `classifier`, `original` (the image that was
    # edited), or "" if it needs nothing.
    needs: str = "features"
    # Its name in `eval.metrics`, which several may share; None: its key; "": it is measured along with others.
    asked: str | None = None
    # `(samples: Features, reference: Reference, choices: Choices) -> float or {key: float}`, or the dotted name of
    # such a function; None: the evaluation measures it in another way.
    compute: str | Callable[..., Any] | None = None
    heading: str | None = ""  # in tables of the console; "": its label; None: it has no column
    title: str = ""  # above its panel in reports; "": it has none
    panel: str = ""  # metrics of the same panel share axes in the picture of a run's curve; "": not drawn
    other: str = ""  # for a distance, the prefix of its key with another extractor: `fd` for `fd_vgg16`
    digits: int = 3  # after the decimal point
    biased: bool = False  # whether it is too high by an amount that depends on the number of samples
    source: str = ""  # for a user's own metric, the dotted name given in `eval.metrics`

    @property
    def column(self) -> str | None:
        """Its heading in tables of the console; None if it has no column."""
        return self.label if self.heading == "" else self.heading

    @property
    def name(self) -> str:
        """Its name in `eval.metrics`; "" if it cannot be requested."""
        return self.key if self.asked is None else self.asked

    def key_on(self, extractor: str) -> str:
        """Its key in rows that were measured with an extractor."""
        return f"{self.other}_{extractor}" if self.other and extractor != INCEPTION else self.key

    def extractor_in(self, key: str) -> str | None:
        """The extractor that a row's key was measured with; None if the key is not this metric's."""
        if key == self.key:
            return INCEPTION
        is_other = bool(self.other) and key.startswith(f"{self.other}_") and not key.endswith(UNCERTAIN)
        return key.removeprefix(f"{self.other}_") if is_other else None

    def on(self, extractor: str) -> Metric:
        """The metric under its name with an extractor: only the Inception network of 2015 gives an FID."""
        if self.key_on(extractor) == self.key:
            return self
        title = self.title and f"Fréchet distance of {extractor} features"
        return replace(self, key=self.key_on(extractor), label=self.label.replace("ID", "D"), title=title)


_SCORES = "maskgit_lab.metrics.scores"
_DISTANCE, _ACCURACY, _NEAR = "Fréchet distance (lower is better)", "Classification accuracy", "Precision and recall"
TABLE: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        Metric("fid", "FID", "min", compute=f"{_SCORES}.fid", title="Fréchet inception distance", panel=_DISTANCE,
               other="fd", biased=True),
        Metric("sfid", "sFID", "min", "spatial", compute=f"{_SCORES}.sfid", other="sfd", biased=True),
        Metric("kid", "KID", "min", "kept", compute=f"{_SCORES}.kid", other="kd", digits=5),
        Metric("inception_score", "IS", "max", "logits", compute=f"{_SCORES}.inception_score",
               title="Inception score", panel="Inception score"),
        Metric("precision", "precision", "max", "kept", "precision_recall", f"{_SCORES}.precision_recall", "prec.",
               title="Precision", panel=_NEAR),
        Metric("recall", "recall", "max", "kept", "precision_recall", title="Recall", panel=_NEAR),
        Metric("cas_top1", "CAS", "max", "classifier", "cas", heading="CAS@1", title="Classification accuracy score",
               panel=_ACCURACY),
        Metric("cas_top5", "CAS@5", "max", "classifier", "cas"),
        Metric("sample_accuracy", "recognised", "max", "logits", "", heading="recog.",
               title="Samples recognised as their class", panel=_ACCURACY),
        Metric("cas_real_top1", "real", None, "classifier", "", heading=None, panel=_ACCURACY),
        Metric("cas_real_top5", "real, top 5", None, "classifier", "", heading=None),
        Metric("cas_real_all_top1", "all real", None, "classifier", "", heading=None),
        Metric("cas_real_all_top5", "all real, top 5", None, "classifier", "", heading=None),
        Metric(NLL, "NLL", "min", "codes"),
        Metric(BOUND, "NLL bound", "min", "codes"),
        Metric(EXACT, "exact NLL", "min", "codes", BOUND),  # of an autoregressive model, beside the bound of others
        Metric("memorised", "memorised", None, "held_out", compute="maskgit_lab.metrics.memorisation.memorised",
               heading="mem.", title="Closer to a training image than 99 % of held-out ones"),
        Metric("memorised_codes", "memorised, by codes", None, "codes", "", heading="codes"),
        Metric("psnr", "PSNR", "max", ORIGINAL, "", title="PSNR of the hole, in dB", digits=2),
        Metric("lpips", "LPIPS", "min", ORIGINAL, "", title="LPIPS of edited and original image", digits=4),
        Metric("feature_distance", "feature distance", "min", ORIGINAL, "", heading="feat. dist.",
               title="Features: edited to original", digits=4),
        Metric("diversity", "diversity", "max", ORIGINAL, "", title="LPIPS between variants of an image", digits=4),
        Metric("feature_diversity", "feature diversity", "max", ORIGINAL, "", heading="feat. div.",
               title="Features: between variants", digits=4),
        Metric("decode_seconds_per_image", "decoding, seconds per image", None, "", RUNTIME, heading="s/img", digits=5),
        Metric("images_per_second", "images per second", None, "", "", heading="img/s"),
    )
}  # fmt: skip


def add(metric: Metric) -> Metric:
    """Adds a metric of your own."""
    metric_of.cache_clear()
    return TABLE.setdefault(metric.key, metric)


def names() -> list[str]:
    """The names that `eval.metrics` accepts."""
    return list(dict.fromkeys(metric.name for metric in TABLE.values() if metric.name))


def asked_for(chosen: Iterable[str]) -> list[str]:
    """The names in `eval.metrics`; a dotted name adds the `Metric` that it refers to.

    Raises:
        UserError: there is no such metric.
    """
    found = []
    for name in chosen:
        if "." in name:
            metric = locate(name, "eval.metrics")
            if not isinstance(metric, Metric):
                raise UserError(f"eval.metrics: {name} is not a Metric of maskgit_lab.metrics.registry")
            found.append(add(replace(metric, source=name)).name)
        else:
            found.append(name)
    if unknown := [name for name in found if name not in names()]:
        raise UserError(
            f"eval.metrics=[{','.join(map(str, found))}] is not possible: choose from {', '.join(names())}, or name a "
            f"Metric of your own as MODULE.NAME, instead of {unknown[0]}"
        )
    return found


def as_given(chosen: Iterable[str]) -> list[str]:
    """The names of metrics as `eval.metrics` accepts them in a new process: a user's own with their modules."""
    sources = {metric.name: metric.source for metric in TABLE.values() if metric.source}
    return [sources.get(name, name) for name in chosen]


@cache  # since reports ask for every key of every row
def metric_of(key: str) -> Metric | None:
    """The metric that a key of a row belongs to, named for the row's extractor; None if the key is not a metric."""
    found = ((metric, metric.extractor_in(key)) for metric in TABLE.values())
    return next((metric.on(extractor) for metric, extractor in found if extractor is not None), None)


def is_measured(key: str) -> bool:
    """Whether a key of a row is a result, and not a setting."""
    return metric_of(measure_of(key)) is not None


def measure_of(key: str) -> str:
    """The key of the metric that a spread or standard error belongs to; any other key unchanged."""
    return key.removesuffix(SPREAD).removesuffix(ERROR)


def of_rows(rows: Iterable[Mapping[str, Any]]) -> list[Metric]:
    """The metrics that any of these rows has, in the order of the table, each named for its rows' extractor."""
    keys = dict.fromkeys(key for row in rows for key in row)
    found = [(metric, metric.extractor_in(key)) for metric in TABLE.values() for key in keys]
    return [metric.on(extractor) for metric, extractor in found if extractor is not None]
