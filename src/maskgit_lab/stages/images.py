"""The images of a run: listed, cut to a number, and read once to leave out those that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskgit_lab import ranks
from maskgit_lab.code import code_of, targets_in
from maskgit_lab.data.folders import FEWEST
from maskgit_lab.data.source import ImageData
from maskgit_lab.data.survey import check_limit, find_unreadable, names_of
from maskgit_lab.errors import UserError
from maskgit_lab.lit.hardware import workers
from maskgit_lab.objects import build
from maskgit_lab.runs.record import DataRecord
from maskgit_lab.runs.run import Run
from maskgit_lab.settings import CommonConf, TrainConf

SURVEY = "unreadable.json"
MOST_NAMED = 5


def list_images(settings: CommonConf, **values: Any) -> ImageData:
    """The images that the settings name, as they lie there.

    Args:
        settings: with `data` and `max_images`.
        values: settings of the data, in place of its own.

    Raises:
        UserError: there are none.
    """
    assert settings.data is not None
    data = build({**settings.data, **values}, "data", ImageData)
    return data if settings.max_images is None else data.take(settings.max_images)


def record_images(run: Run[TrainConf], data: ImageData) -> None:
    """Records the images that a run is trained on; what it found for other images before its training is forgotten.

    Raises:
        UserError: the images have changed since the run was trained.
    """
    folder, before = run.folder, run.record.data
    found = DataRecord(data.name, data.size, list(data.class_names), data.fingerprint)
    if before is not None and before.fingerprint != found.fingerprint:
        if ranks.share(folder.checkpoint.exists()):
            raise UserError(
                f"the images of {data.name} have changed since the run in {folder.path} was trained: put them back, or "
                "choose another run_dir"
            )
        run.mark(tokenizer=None, tokens=None)
    run.mark(data=found)


def readable(run: Run[CommonConf], data: ImageData) -> ImageData:
    """The images that can be read; which ones cannot is found once for these files, and printed each time.

    Raises:
        UserError: more than `data.max_unreadable` images cannot be read.
    """
    if not any(split.decodes for split in data.splits().values()):
        return data

    def read_all(folder: Path) -> Mapping[str, Any]:
        if not ranks.is_main():
            return {}
        total = sum(len(split) for split in data.splits().values())
        what = f"reading {total:,} images once, to know which cannot be read"
        n_workers = workers(run.settings.trainer)
        with run.console.stage("images", what), run.console.bar("images", total) as advance:
            found = {name: find_unreadable(split, n_workers, advance) for name, split in data.splits().items()}
        (folder / SURVEY).write_text(json.dumps(found), encoding="utf-8")
        return {"names": names_of(data, found)}

    code = code_of("maskgit_lab.data.survey", *targets_in(run.settings.data))
    entry = run.store.obtain("images", {"data": data.fingerprint, "code": code}, read_all)
    names = list(entry.about["names"])
    check_limit(data, names)
    if names:
        shown = ", ".join(names[:MOST_NAMED]) + (" and more" if len(names) > MOST_NAMED else "")
        run.console.note("images", f"{len(names):,} cannot be read and are left out: {shown}")
    left = data.without(json.loads((entry.path / SURVEY).read_text(encoding="utf-8")))
    if few := [name for name, split in left.splits().items() if len(split) < FEWEST]:
        raise UserError(f"the {few[0]} split of {data.name} has fewer than {FEWEST} images that can be read: fix them")
    return left
