"""The codes of a job's images: encoded in shards by all processes, found in the store, or a cache made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskgit_lab import ranks
from maskgit_lab.commands.job import Job
from maskgit_lab.data.shards import ShardWriter
from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import code_version
from maskgit_lab.lit.fit import workers
from maskgit_lab.store import Entry, open_sound
from maskgit_lab.tokenizers.base import Tokenizer

TOKENS_MODULES = (
    *("maskgit_lab.data.shards", "maskgit_lab.data.views", "maskgit_lab.data.pictures", "maskgit_lab.seeds"),
    *("maskgit_lab.tokenizers.vqgan", "maskgit_lab.nets.vqgan", "maskgit_lab.nets.quantizer"),
)


def obtain_tokens(job: Job, tokenizer: Tokenizer) -> TokenCache:
    """The codes of the job's images.

    Raises:
        UserError: the cache that `tokens.path` names is damaged, or of other images or another tokenizer.
    """
    identity = {"tokenizer": job.run.record["done"]["tokenizer"]["weights"], "data": job.data.fingerprint}
    if job.cfg.tokens.path is not None:
        entry = open_sound(Path(job.cfg.tokens.path).expanduser())
        _check_same(entry, identity)
    else:
        entry = _make_or_find(job, tokenizer, identity)
    if entry.reused:
        job.terminal.note("tokens", f"found in the cache: {entry.path}")
    try:
        _check_codes(entry, tokenizer.codebook_size)
        cache = TokenCache.open(entry.path)
        cache.check(len(job.data.train), len(job.data.test))
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError, AttributeError, OSError) as error:
        raise UserError(f"the token cache {entry.path} is damaged ({first_line(error)}): make it again") from error
    job.run.mark_done("tokens", path=str(entry.path), digest=entry.digest)
    return cache


def _make_or_find(job: Job, tokenizer: Tokenizer, identity: Mapping[str, str]) -> Entry:
    conf = job.cfg.tokens
    how = {"views": conf.views, "shard_size": conf.shard_size, "code": code_version(*TOKENS_MODULES)}

    def encode(folder: Path) -> Mapping[str, Any]:
        writer = ShardWriter(job.data, conf.views, conf.shard_size, folder)
        missing = ranks.share(writer.missing() if ranks.is_main() else [])
        mine = missing[ranks.rank() :: ranks.world_size()]
        total, left = (sum(map(len, shards)) for shards in (writer.shards(), missing))
        what = (
            f"encoding {total:,} images"
            if left == total
            else f"encoding {left:,} of {total:,} images, the rest is done"
        )
        with job.terminal.stage("tokens", what), job.terminal.bar("tokens", sum(map(len, mine))) as advance:
            for shard in mine:
                writer.write(
                    shard,
                    lambda images: tokenizer.encode(images.to(job.device)),
                    tokenizer.codebook_size,
                    conf.batch_size,
                    workers(job.hardware),
                    advance,
                )
            ranks.barrier()
        return {**identity, **(writer.finish() if ranks.is_main() else {})}

    return job.store.obtain("tokens", {**identity, **how}, encode)


def _check_same(entry: Entry, identity: Mapping[str, str]) -> None:
    for key, what in (("tokenizer", "by another tokenizer"), ("data", "of other images")):
        if entry.about.get(key) != identity[key]:
            raise UserError(
                f"tokens.path={entry.path} holds codes made {what} than this run's: name the cache that was made with "
                "this tokenizer and these data, or leave tokens.path out"
            )


def _check_codes(entry: Entry, codebook_size: int) -> None:
    largest = entry.about["largest_code"]
    if largest >= codebook_size:
        raise UserError(
            f"the token cache {entry.path} has codes up to {largest} and the tokenizer has only {codebook_size}: "
            "give the tokenizer that it was made with"
        )
