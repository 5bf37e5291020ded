"""How the commands are typed, and where their configs lie: in a checkout, or in the installed package."""

from __future__ import annotations

import os
import re
from pathlib import Path

VERBS = {
    "train": "trains a tokenizer and a transformer, and evaluates them over decoding steps",
    "evaluate": "measures a trained model, or any images",
    "sample": "draws images from a trained model",
    "edit": "edits pictures with a trained model: other classes, holes, borders, panoramas",
    "report": "curves, tables and figures of runs",
    "export": "writes a run as safetensors files with a model card",
    "clean": "lists what lies in runs and their cache, and removes it",
}
PROGRAM = "maskgit-lab"
PACKAGE = Path(__file__).resolve().parent
SCRIPT, MODULE, INSTALLED = "python {verb}.py", "python -m maskgit_lab {verb}", f"{PROGRAM} {{verb}}"
VARIABLE = "MASKGIT_LAB_COMMAND"  # how this command was typed, also for the processes that it starts
NAMED = re.compile(rf"(?<![\w/\\.-])(?:python )?({'|'.join(VERBS)})\.py\b")


def configs() -> Path:
    """The folder that has `conf/` and `sweeps/`: the installed package, or the checkout."""
    return PACKAGE if (PACKAGE / "conf").is_dir() else PACKAGE.parents[1]


def remember(program: str) -> None:
    """Keeps how a command was typed, for its messages, unless another process has started it and knows.

    Args:
        program: `sys.argv[0]`.
    """
    name = Path(program).name
    way = MODULE if name == "__main__.py" else SCRIPT if name.endswith(".py") else INSTALLED
    os.environ.setdefault(VARIABLE, way)


def as_typed(text: str) -> str:
    """A text that names commands as scripts, such as `python train.py`, with their names here."""
    way = os.environ.get(VARIABLE) or (INSTALLED if configs() == PACKAGE else SCRIPT)
    return text if way == SCRIPT else NAMED.sub(lambda found: way.format(verb=found[1]), text)
