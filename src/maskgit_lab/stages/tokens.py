"""The codes of a run's images: encoded in shards by all processes, found in the store, or a cache made elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from maskgit_lab import lifeline, ranks
from maskgit_lab.code import code_of, targets_in
from maskgit_lab.console import Advance
from maskgit_lab.data.shards import Shards
from maskgit_lab.data.source import ImageData, Images, Key
from maskgit_lab.data.tokens import CODES, LABELS, TokenCache, code_type, open_codes, shards_of
from maskgit_lab.errors import UserError
from maskgit_lab.lit.hardware import workers
from maskgit_lab.nets.files import write_arrays
from maskgit_lab.runs.costs import add_images
from maskgit_lab.runs.record import TokensRecord
from maskgit_lab.runs.run import Run
from maskgit_lab.runs.store import Entry, is_valid, open_valid
from maskgit_lab.settings import TokensConf, TrainConf
from maskgit_lab.tokenizers.base import Tokenizer


def load_or_encode_tokens(run: Run[TrainConf], data: ImageData, tokenizer: Tokenizer) -> TokenCache:
    """The codes of the run's images.

    Raises:
        UserError: the cache that `tokens.path` names is damaged, or of other images or another tokenizer.
    """
    assert run.record.tokenizer is not None
    identity = {"tokenizer": run.record.tokenizer.weights, "data": data.fingerprint}
    recorded, path = run.record.tokens, run.settings.tokens.path
    advice = run.folder.remedy
    if recorded is not None and ranks.share(is_valid(run.folder.place(recorded.path))):
        entry = open_valid(run.folder.place(recorded.path), advice)
        _check_same(entry, identity)
    elif path is not None:
        advice = "name a finished one with tokens.path, or leave that out, and the codes are made again"
        entry = open_valid(Path(path), advice)
        _check_same(entry, identity)
    else:
        entry = _find_or_make(run, data, tokenizer, identity)
    if entry.reused:
        run.console.note("tokens", f"found in the cache: {entry.path}")
    _check_codes(entry, tokenizer.codebook_size)
    cache = open_codes(entry.path, tokenizer.codebook_size, data.n_classes, advice)
    if (len(cache.train), len(cache.test)) != (len(data.train), len(data.test)):
        raise UserError(f"the token cache {entry.path} was made from other images: {advice}")
    run.mark(tokens=TokensRecord(run.folder.recorded(entry.path), entry.digest))
    return cache


def encode(
    data: ImageData, tokenizer: Tokenizer, folder: Path, run: Run[TrainConf], advance: Advance
) -> Iterator[Shards]:
    """Encodes what has no shard yet, split by split; gives the shards of each split when they are finished.

    The held-out split is encoded as it is evaluated, the training split view after view; a shard depends on the
    images, the seed of their views and the tokenizer alone.
    """
    conf = run.settings.tokens
    kind = code_type(tokenizer.codebook_size)
    for split, images in data.splits().items():
        views = n_views(conf, data) if split == "train" else 0

        def make(ranges: Sequence[range], images: Images = images, views: int = views) -> Iterator[dict[str, Tensor]]:
            for items in ranges:
                yield {CODES: torch.cat(list(_codes(images, views, items, tokenizer, run, advance))).to(kind)}

        shards = shards_of(folder, split, len(images) * max(1, views))
        shards.fill(shards.missing(conf.shard_size), make)
        yield shards


def n_views(conf: TokensConf, data: ImageData) -> int:
    """The number of views of each training image: as the settings say, or what fits the augmentation of the data."""
    return data.train.n_views if conf.views is None else conf.views


def _codes(
    images: Images, views: int, items: range, tokenizer: Tokenizer, run: Run[TrainConf], advance: Advance
) -> Iterator[Tensor]:
    keys: list[Key] = [(i % len(images), i // len(images)) if views else i for i in items]
    n_workers = workers(run.hardware) if images.decodes else 0
    size, end = run.settings.tokens.batch_size, lifeline.end_worker_with_parent
    loader = DataLoader(images, size, sampler=keys, num_workers=n_workers, worker_init_fn=end)
    for batch, _ in loader:
        yield tokenizer.encode(batch.to(run.device)).cpu()
        add_images(len(batch))
        advance(len(batch))


def _find_or_make(run: Run[TrainConf], data: ImageData, tokenizer: Tokenizer, identity: Mapping[str, str]) -> Entry:
    conf = run.settings.tokens
    code = code_of(__name__, type(tokenizer).__module__, *targets_in([run.settings.data, run.settings.tokenizer.net]))
    views = n_views(conf, data)
    how = {"views": views, "shard_size": conf.shard_size, "code": code}

    def make(folder: Path) -> Mapping[str, Any]:
        counts = {split: len(images) for split, images in data.splits().items()}
        total = counts["train"] * max(1, views) + counts["test"]
        with (
            run.console.stage("tokens", f"encoding {total:,} images"),
            run.console.bar("tokens", -(-total // ranks.world_size())) as advance,
        ):
            made = list(encode(data, tokenizer, folder, run, advance))
        if not ranks.is_main():
            return {}
        labels = {split: images.labels for split, images in data.splits().items()}
        write_arrays(labels, folder / f"{LABELS}.safetensors")
        largest = max(int(shard[CODES].int().max()) for shards in made for shard in shards)
        grid = list(next(iter(made[0]))[CODES].shape[1:])
        return {**identity, "grid": grid, "views": views, "largest_code": largest}

    return run.store.obtain("tokens", {**identity, **how}, make)


def _check_same(entry: Entry, identity: Mapping[str, str]) -> None:
    for key, what in (("tokenizer", "by another tokenizer"), ("data", "of other images")):
        if entry.about.get(key) != identity[key]:
            raise UserError(
                f"{entry.path} holds codes made {what} than this run's: name with tokens.path the cache that was made "
                "with this tokenizer and these data, or leave that out"
            )


def _check_codes(entry: Entry, codebook_size: int) -> None:
    largest = entry.about.get("largest_code")
    if isinstance(largest, int) and largest >= codebook_size:
        raise UserError(
            f"the token cache {entry.path} has codes up to {largest} and the tokenizer has only {codebook_size}: "
            "give the tokenizer that it was made with"
        )
