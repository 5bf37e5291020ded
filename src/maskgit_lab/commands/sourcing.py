"""The images of a job: listed, cut to a number, and read once to leave out those that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from maskgit_lab import ranks
from maskgit_lab.commands.job import as_object, build
from maskgit_lab.console import Terminal
from maskgit_lab.data.folders import FEWEST
from maskgit_lab.data.source import ImageData
from maskgit_lab.data.survey import check_limit, find_unreadable, names_of
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import code_version
from maskgit_lab.lit.fit import workers
from maskgit_lab.settings import Hardware
from maskgit_lab.store import Store

SURVEY = "unreadable.json"
MOST_SAID = 5


def list_images(cfg: DictConfig, **settings: Any) -> ImageData:
    """The images that the config names, as they lie there.

    Args:
        cfg: of `train.py`.
        settings: of the data, in place of the config's.
    """
    data = build(cfg.data, "data", ImageData, **settings)
    return data if cfg.max_images is None else data.take(cfg.max_images)


def leave_out_unreadable(cfg: DictConfig, data: ImageData, store: Store, terminal: Terminal) -> ImageData:
    """The images that can be read; which ones cannot is found once for these files, and said each time.

    Raises:
        UserError: more than `data.max_unreadable` images cannot be read.
    """
    if not any(split.decodes for split in data.splits().values()):
        return data
    hardware = as_object(cfg.trainer, Hardware)

    def read_all(folder: Path) -> Mapping[str, Any]:
        if not ranks.is_main():
            return {}
        total = sum(len(split) for split in data.splits().values())
        what = f"reading {total:,} images once, to know which cannot be read"
        with terminal.stage("images", what), terminal.bar("images", total) as advance:
            found = {name: find_unreadable(split, workers(hardware), advance) for name, split in data.splits().items()}
        (folder / SURVEY).write_text(json.dumps(found), encoding="utf-8")
        return {"names": names_of(data, found)}

    code = code_version("maskgit_lab.data.survey", "maskgit_lab.data.pictures")
    entry = store.obtain("images", {"data": data.fingerprint, "code": code}, read_all)
    names = list(entry.about["names"])
    check_limit(data, names)
    if names:
        said = ", ".join(names[:MOST_SAID]) + (" and more" if len(names) > MOST_SAID else "")
        terminal.note("images", f"{len(names):,} cannot be read and are left out: {said}")
    left = data.without(json.loads((entry.path / SURVEY).read_text(encoding="utf-8")))
    if few := [name for name, split in left.splits().items() if len(split) < FEWEST]:
        raise UserError(f"the {few[0]} split of {data.name} has fewer than {FEWEST} images that can be read: mend them")
    return left
