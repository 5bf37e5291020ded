"""Callbacks of a training by what their settings say: which count as part of a run, and in which stage each works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskgit_lab.objects import TARGET

LIGHTNING = ("lightning.", "pytorch_lightning.")
# Lightning's callbacks that change no weights; any other counts.
HARMLESS = (
    *("DeviceStatsMonitor", "LearningRateMonitor", "ModelCheckpoint", "ModelSummary", "OnExceptionCheckpoint"),
    *("RichModelSummary", "RichProgressBar", "ThroughputMonitor", "TQDMProgressBar"),
)


def counted_callbacks(callbacks: Mapping[str, Any]) -> dict[str, Any]:
    """The callbacks that can change the weights of a run."""
    return {name: node for name, node in sorted(callbacks.items()) if node is not None and not _is_harmless(node)}


def works_in(node: Mapping[str, Any], stage: str) -> bool:
    """Whether a callback takes part in a stage: one that monitors a metric only where that is measured.

    Args:
        node: its settings.
        stage: `tokenizer`, `mvtm` or `autoregressive`, which the names of its metrics begin with.
    """
    monitor = node.get("monitor")
    return not isinstance(monitor, str) or monitor.startswith(f"{stage}/")


def _is_harmless(node: Any) -> bool:
    target = str(node.get(TARGET)) if isinstance(node, Mapping) else ""
    return target.startswith(LIGHTNING) and target.rpartition(".")[2] in HARMLESS
