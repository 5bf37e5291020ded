"""The code that trains a run."""

from __future__ import annotations

from maskgit_lab.code import Code, code_of, targets_in
from maskgit_lab.console import Terminal
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.settings import TrainConf

STAGES = "maskgit_lab.stages"


def training_code(settings: TrainConf) -> Code:
    """Of the tokenizer, the codes and the transformer of a run, with the classes that its settings name."""
    tokenizer, named = settings.tokenizer, [settings.data, settings.tokenizer.net, settings.mvtm.net, settings.schedule]
    trained = [f"{STAGES}.tokenizer", *targets_in(tokenizer.discriminator)] if tokenizer.weights is None else []
    return code_of(f"{STAGES}.tokens", f"{STAGES}.mvtm", *trained, *targets_in(named))


def note_other_code(folder: RunFolder, console: Terminal) -> None:
    """Says it if other code than today's has trained a run."""
    now = training_code(folder.settings())
    if not folder.record.knows(fingerprint(now)):
        files = folder.codes.changes(folder.record.code, now)
        console.note("code", f"the run was trained by other code (changed since: {files})")
