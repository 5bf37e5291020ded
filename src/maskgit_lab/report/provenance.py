"""Sentences on where the points of a study come from: the code that made them, and whether they are only tries."""

from __future__ import annotations

from collections.abc import Sequence

from maskgit_lab.ablation.code import MEASURED, TRAINED
from maskgit_lab.ablation.group import Group
from maskgit_lab.report.words import count

DID = {MEASURED: "measured", TRAINED: "trained"}
OF = {MEASURED: "These points", TRAINED: "The models of these points"}  # what it did that to


def provenance(study: Group) -> list[str]:
    """What a reader has to know of the code of a study, and of debug runs."""
    found = []
    if study.debug:
        found.append(f"These are debug runs ({study.debug}): their numbers say nothing about the schedules.")
    if study.code.is_earlier:
        found.append(
            "These points are from an earlier version of maskgit_lab, which kept no record of its code, so they share "
            "no study with others."
        )
    elif study.code.age:
        found += [_older(kind, files) for kind in DID if (files := study.code.differs(kind))]
    return found + [text for kind in DID if (text := _reused(study, kind))]


def _older(kind: str, files: Sequence[str]) -> str:
    """Which files of the code are older than the newest ones."""
    text = f"{OF[kind]} were {DID[kind]} by older code than the current ones"
    if not all(files):
        return f"{text}; which files differ is not known, since there is no readable code.json beside the results."
    return f"{text}: {', '.join(files)} {'differs' if len(files) == 1 else 'differ'}."


def _reused(study: Group, kind: str) -> str:
    """How many points were reused at the user's word; "" for none."""
    rows = [point.sources[-1][1] for point in study.points]
    n = sum(bool(row.get(f"reused_{kind}")) for row in rows)
    if not n:
        return ""
    what = f"{n} of {count(len(rows), 'point')}"
    if kind == TRAINED:
        return f"The models of {what} were trained by earlier code and reused (reuse=true)."
    return f"{what} {'was' if n == 1 else 'were'} measured by earlier code and reused (reuse=true)."
