"""`export.py`: a run's networks as safetensors files, with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from maskgit_lab import __version__, config
from maskgit_lab.commands.free_folder import new_folder
from maskgit_lab.commands.run_folder import RunFolder, read_config, read_run
from maskgit_lab.commands.tokenizing import load_tokenizer
from maskgit_lab.commands.trained import open_trained, recorded_data, tokenizer_file
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.nets.files import save_net

TOKENIZER, TRANSFORMER, CARD_FILE = "tokenizer.safetensors", "transformer.safetensors", "README.md"
CARD = """---
library_name: maskgit_lab
tags: [maskgit, vqgan, image-generation]
---

# {title}

Trained with maskgit_lab {version} as in *MaskGIT: Masked Generative Image Transformer* (Chang et al., CVPR 2022).

| file | parameters |
| --- | --- |
{files}

Data: {data}, {n_classes:,} classes, {size} x {size} pixels, fingerprint {fingerprint}.

## Metrics

{metrics}

## Config

```yaml
{config}```
"""
DECODING = ("steps", "decode_schedule", "choice_temperature", "guidance", "seed")
SHOWN = ("n_samples", "features", "reference", "inception_score", "precision", "recall", "cas_top1", "nll")


def run(cfg: DictConfig) -> None:
    """Writes `tokenizer.safetensors`, `transformer.safetensors` if one is trained, and the model card `README.md`."""
    folder = read_run(Path(cfg.checkpoint).expanduser())
    if "tokenizer" not in folder.record["done"]:
        raise UserError(f"the run in {folder.path} has no tokenizer yet: give its train.py command again")
    settings = read_config(folder.path)
    settings.trainer.accelerator = "cpu"
    about = {"config": config.settings(settings), "run": folder.record["fingerprint"], "version": __version__}
    tokenizer = load_tokenizer(settings, tokenizer_file(folder))
    files: dict[str, nn.Module] = {TOKENIZER: tokenizer}
    trained = open_trained(cfg.checkpoint, None, None, "cpu") if folder.is_done(["mvtm"]) else None
    out = new_folder(Path(cfg.out))
    tokenizer.save(out / TOKENIZER, metrics=folder.record["done"].get("reconstruction", {}), **about)
    if trained is not None:
        files[TRANSFORMER] = trained.model
        decoding = {
            "schedule": trained.schedule.name,
            "choice_temperature": trained.choice_temperature,
            "guidance": trained.guidance,
            "label_dropout": trained.label_dropout,
        }
        about |= {"class_names": list(trained.class_names), "decoding": decoding, "metrics": folder.results.rows()}
        save_net(trained.model, out / TRANSFORMER, **about)
    (out / CARD_FILE).write_text(_card(folder, files, about["config"]), encoding="utf-8")
    Terminal().note("written", str(out))


def _card(folder: RunFolder, files: dict[str, nn.Module], settings: dict[str, Any]) -> str:
    data = recorded_data(folder)
    schedule = settings["schedule"]["_target_"].rpartition(".")[2]
    what = f"MaskGIT, {schedule} schedule," if TRANSFORMER in files else "VQGAN tokenizer"
    return CARD.format(
        title=f"{what} on {data.name}",
        version=__version__,
        files="\n".join(f"| `{name}` | {sum(p.numel() for p in net.parameters()):,} |" for name, net in files.items()),
        data=data.name,
        n_classes=data.n_classes,
        size=data.size,
        fingerprint=data.fingerprint,
        metrics=_metrics(folder),
        config=OmegaConf.to_yaml(settings),
    )


def _metrics(folder: RunFolder) -> str:
    rebuilt = {key: value for key, value in folder.record["done"].get("reconstruction", {}).items() if key != "path"}
    rows = folder.results.rows()
    distances = sorted({key for row in rows for key in row if key == "fid" or key.startswith("fd_")})
    keys = [key for key in (*DECODING, *distances, *SHOWN) if any(key in row for row in rows)]
    parts = [("Reconstructions of held-out images:", list(rebuilt), [rebuilt]), ("Samples by T (steps):", keys, rows)]
    told = [f"{title}\n\n{_table(keys, lines)}" for title, keys, lines in parts if keys]
    return "\n\n".join(told) or "Not measured."


def _table(keys: list[str], rows: list[dict[str, Any]]) -> str:
    lines = [keys, ["---"] * len(keys), *([_said(row.get(key, "")) for key in keys] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
