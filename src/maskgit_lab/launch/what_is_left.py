"""What Ctrl-C leaves behind, by command, and how to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskgit_lab.settings import EvaluateConf, ExportConf, SampleConf

LEFT_BY_SWEEP = "jobs that were finished stay finished, and the same command runs what is missing"
OF_VERB = {
    "train": "the same command continues from what was saved",
    "evaluate": "what was measured is kept, and the same command measures the rest",
    "edit": "pictures that were written stay, and the same command makes the others",
    "report": "its folder may lack some of the report, and the same command writes all of it again",
    "clean": "what was removed is gone, and the same command lists what is left",
}


def what_is_left(verb: str, settings: Any) -> str:
    """What is true after Ctrl-C.

    Args:
        verb: the command.
        settings: of it; None: it had not begun to work.
    """
    if settings is None:
        return "nothing was begun"
    if isinstance(settings, SampleConf | ExportConf):
        out = Path(settings.out)
        if out.is_dir() and any(out.iterdir()):
            return f"out={out} is not complete: remove it, or choose another folder, and give the command again"
        return "nothing was written, and the same command begins again"
    if isinstance(settings, EvaluateConf) and settings.checkpoint is None and settings.out is None:
        return "nothing is kept without out=FOLDER, and the same command begins again"
    return OF_VERB[verb]
