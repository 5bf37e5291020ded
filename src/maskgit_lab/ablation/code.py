"""Which points may share a study by the code that they come from: no file of it occurs in two versions there.

Fingerprints of code are no help: a schedule of the user's own adds a file to the code of its runs, and evaluate.py runs
other files than train.py. So files are compared, those that measured and those that trained each for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from maskgit_lab.ablation.points import Point

MEASURED, TRAINED = "code", "training_code"  # keys of a row
EARLIER = "earlier"  # the version of code that left no fingerprint
WHOLE = ""  # in place of a file: all of the code, whose version is its fingerprint where the files are not known
File = tuple[str, str]  # what it did (measured or trained), and its name
Versions = Mapping[File, str]  # hashes of the files


@dataclass(frozen=True)
class Code:
    """The code that the points of a study come from."""

    versions: Versions = field(default_factory=dict)
    newest: Versions = field(default_factory=dict)  # of the newest code among points that were measured alike
    age: int = 0  # 0: the newest, or the only one

    @property
    def is_earlier(self) -> bool:
        """Whether it left no fingerprint, as earlier versions of the suite."""
        return self.versions.get((MEASURED, WHOLE)) == EARLIER

    def differs(self, kind: str) -> list[str]:
        """The files, of those that measured or of those that trained, that are not the newest code's."""
        files = sorted(file for file in self.versions if file[0] == kind)
        return [file[1] for file in files if self.newest.get(file, self.versions[file]) != self.versions[file]]

    @property
    def version(self) -> str:
        """The hash of a file that is not the newest code's; "" if there is none."""
        return next((v for file, v in sorted(self.versions.items()) if self.newest.get(file, v) != v), "")

    @property
    def label(self) -> str:
        """What it is, for a title; "" for the newest."""
        if self.is_earlier:
            return "earlier version of maskgit_lab"
        if not self.age:
            return ""
        did = {verb: self.differs(kind) for verb, kind in (("measured", MEASURED), ("trained", TRAINED))}
        names = list(dict.fromkeys(PurePosixPath(file).name for files in did.values() for file in files))
        more = {1: "", 2: " and 1 more file"}.get(len(names), f" and {len(names) - 1} more files")
        verbs = " and ".join(verb for verb, files in did.items() if files)
        return f"{verbs} by older code" + (f" ({names[0]}{more})" if names[0] else "")


def by_code(points: Sequence[Point], known: Mapping[str, Mapping[str, str]]) -> list[tuple[Code, list[Point]]]:
    """The points that may share a study, those of the newest code first.

    Code is as new as its last row, by the modification time of the results file and then by its place in it; code
    without a fingerprint is the oldest. From the newest on, code joins the newest study that has none of its files in
    another version, so a point without a file shares the study of that file's newest version.

    Args:
        points: measured alike, of models that were trained alike.
        known: the files of each fingerprint.
    """
    groups: list[dict[File, str]] = []
    place: dict[tuple[str, str], int] = {}
    for pair in _newest_first(points):
        versions = _versions(pair, known)
        agreeing = (i for i, group in enumerate(groups) if all(group.get(k, v) == v for k, v in versions.items()))
        place[pair] = next(agreeing, len(groups))
        if place[pair] == len(groups):
            groups.append({})
        groups[place[pair]] |= versions
    of_group = [[point for point in points if place[_pair(point)] == i] for i in range(len(groups))]
    return [
        (Code(group, groups[0], i), several) for i, (group, several) in enumerate(zip(groups, of_group, strict=True))
    ]


def _newest_first(points: Sequence[Point]) -> list[tuple[str, str]]:
    ordered = sorted(
        range(len(points)), key=lambda i: (bool(_pair(points[i])[0]), points[i].sources[0][0].modified, i), reverse=True
    )
    return list(dict.fromkeys(_pair(points[i]) for i in ordered))


def _pair(point: Point) -> tuple[str, str]:
    return str(point.row.get(MEASURED) or ""), str(point.row.get(TRAINED) or "")


def _versions(pair: tuple[str, str], known: Mapping[str, Mapping[str, str]]) -> dict[File, str]:
    """Of all files; of training code that is not known, which may be of any version, none."""
    measured, trained = pair
    found = _files(MEASURED, measured, known) if measured else {(MEASURED, WHOLE): EARLIER}
    return found | (_files(TRAINED, trained, known) if trained else {})


def _files(kind: str, name: str, known: Mapping[str, Mapping[str, str]]) -> dict[File, str]:
    if name not in known:
        return {(kind, WHOLE): name}
    return {(kind, WHOLE): "known", **{(kind, file): version for file, version in known[name].items()}}
