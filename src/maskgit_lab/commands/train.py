"""`train.py`: the whole main job, or one stage of it."""

from __future__ import annotations

from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from maskgit_lab import config
from maskgit_lab.ablation import results
from maskgit_lab.commands import pictures
from maskgit_lab.commands.checks import check_train
from maskgit_lab.commands.evaluation import evaluate
from maskgit_lab.commands.generation import Sampler
from maskgit_lab.commands.job import Job, build, decode_schedule
from maskgit_lab.commands.modelling import obtain_transformer
from maskgit_lab.commands.rehearsal import rehearse
from maskgit_lab.commands.run_folder import RunFolder, open_run, run_name
from maskgit_lab.commands.tokenizing import obtain_tokenizer, obtain_tokens
from maskgit_lab.console import Terminal
from maskgit_lab.data.source import ImageData
from maskgit_lab.lit.logger import finishing, wandb_logger
from maskgit_lab.store import Store

PARTS = {
    "tokenizer": ("tokenizer",),
    "mvtm": ("tokenizer", "tokens", "mvtm"),
    "all": ("tokenizer", "tokens", "mvtm", "evaluation", "pictures"),
}


def run(cfg: DictConfig) -> None:
    """Trains, evaluates and draws what the config asks for, going on from whatever is there."""
    check_train(cfg)
    data = build(cfg.data, "data", ImageData)
    rehearse(cfg, data)
    if cfg.trainer.threads is not None:
        torch.set_num_threads(cfg.trainer.threads)
    overrides = list(HydraConfig.get().overrides.task)
    terminal = Terminal()
    with open_run(cfg, overrides) as folder:
        terminal.note("run", str(folder.path))
        if folder.is_done(PARTS[cfg.stage]):
            _say_what_is_reused(folder, terminal)
            terminal.note("complete", "the run is complete: there is nothing to do")
        else:
            _work(cfg, data, overrides, folder, terminal)
        _summarise(folder, terminal)


def _work(cfg: DictConfig, data: ImageData, overrides: list[str], folder: RunFolder, terminal: Terminal) -> None:
    logger = wandb_logger(
        **config.plain(cfg.logger),
        name=run_name(overrides),
        job_type="train",
        id=folder.record["wandb_id"],
        folder=folder.path,
        config=config.plain(cfg),
        say=lambda line: terminal.note("wandb", line),
    )
    store = Store(Path(cfg.cache_dir).resolve(), lambda line: terminal.note("cache", line))
    with finishing(logger):
        _run_stages(Job(cfg, folder, terminal, store, logger, data))


def _run_stages(job: Job) -> None:
    cfg = job.cfg
    tokenizer = obtain_tokenizer(job)
    pictures.draw_reconstructions(job, tokenizer)
    if cfg.stage == "tokenizer":
        return
    cache = obtain_tokens(job, tokenizer)
    model = obtain_transformer(job, cache)
    if cfg.stage == "mvtm":
        return
    schedule = decode_schedule(cfg, cfg.decode.schedule)
    sampler = Sampler(model, tokenizer, cache.grid, schedule, cfg.decode.choice_temperature, cfg.eval.batch_size)
    evaluate(job, sampler, cache)
    job.run.mark_done("evaluation", steps=list(cfg.eval.steps))
    pictures.draw_run(job, sampler)
    job.run.mark_done("pictures")


def _say_what_is_reused(folder: RunFolder, terminal: Terminal) -> None:
    for part in ("tokenizer", "tokens", "classifier"):
        if path := folder.record["done"].get(part, {}).get("path"):
            there = "reused" if Path(path).exists() else "no longer in the cache, and not needed"
            terminal.note(part, f"{there}: {path}")


def _summarise(folder: RunFolder, terminal: Terminal) -> None:
    if rows := folder.results.rows():
        terminal.table("Quality over the number of decoding steps T", *results.table(rows))
        if "cas_real_top1" in rows[0]:
            terminal.say(f"A classifier trained on real images instead of samples has {rows[0]['cas_real_top1']:.3f}.")
    for path in folder.pictures().values():
        terminal.note("picture", str(path))
