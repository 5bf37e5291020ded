"""The code that trains a run."""

from __future__ import annotations

from typing import Any

from maskgit_lab.code import Code, code_of, targets_in
from maskgit_lab.console import Terminal
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.settings import AutoregressiveConf, MVTMConf, TokenizerConf, TrainConf
from maskgit_lab.settings.callbacks import counted_callbacks

STAGES = "maskgit_lab.stages"


def training_code(settings: TrainConf) -> Code:
    """Of the tokenizer, the codes and the transformer of a run, with the classes that its settings name."""
    tokenizer, transformer = settings.tokenizer, settings.transformer
    own = settings.schedule if isinstance(transformer, MVTMConf) else transformer.order
    named = [settings.data, tokenizer.net, transformer.net, own, _optim(transformer)]
    named.append(counted_callbacks(settings.callbacks))
    of_tokenizer = [tokenizer.discriminator, _optim(tokenizer)]
    trained = [f"{STAGES}.tokenizer", *targets_in(of_tokenizer)] if tokenizer.weights is None else []
    return code_of(f"{STAGES}.tokens", f"{STAGES}.{settings.part}", *trained, *targets_in(named))


def _optim(conf: TokenizerConf | MVTMConf | AutoregressiveConf) -> list[Any]:
    return [conf.optim.optimizer, conf.optim.scheduler]


def note_other_code(folder: RunFolder, console: Terminal) -> None:
    """Says it if other code than today's has trained a run."""
    now = training_code(folder.settings())
    if not folder.record.knows(fingerprint(now)):
        files = folder.codes.changes(folder.record.code, now)
        console.note("code", f"the run was trained by other code (changed since: {files})")
