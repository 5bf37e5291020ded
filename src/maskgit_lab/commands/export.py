"""`export.py`: a finished run's networks as safetensors files, with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from maskgit_lab import __version__, config
from maskgit_lab.commands.free_folder import new_folder
from maskgit_lab.commands.run_folder import read_config, read_run
from maskgit_lab.commands.trained import open_trained, recorded_data
from maskgit_lab.console import Terminal
from maskgit_lab.nets.files import save_net

CARD = """---
library_name: maskgit_lab
tags: [maskgit, vqgan, image-generation]
---

# {title}

A MaskGIT transformer (Chang et al., CVPR 2022) with its VQGAN tokenizer, trained with maskgit_lab {version}.

| file | parameters |
| --- | --- |
| `transformer.safetensors` | {transformer:,} |
| `tokenizer.safetensors` | {tokenizer:,} |

```
python sample.py checkpoint=transformer.safetensors tokenizer.weights=tokenizer.safetensors out=samples
```

## Data

{data}, {n_classes:,} classes, {size} x {size} pixels; token cache {tokens}.

## Metrics

{metrics}

## Config

```yaml
{config}```
"""
SHOWN = ("steps", "n_samples", "features", "reference", "inception_score", "precision", "recall", "cas_top1", "nll")


def run(cfg: DictConfig) -> None:
    """Writes `transformer.safetensors`, `tokenizer.safetensors` and `README.md`, the model card."""
    trained = open_trained(cfg.checkpoint, None, None, "cpu")
    folder = read_run(Path(cfg.checkpoint).expanduser())
    data, settings = recorded_data(folder), config.settings(read_config(folder.path))
    rows = folder.results.rows()
    out = new_folder(Path(cfg.out))
    identity = {"fingerprint": folder.record["fingerprint"], "tokens": folder.record["done"]["tokens"]["digest"]}
    about = {"run": identity, "config": settings, "version": __version__}
    decoding = {
        "schedule": trained.schedule.name,
        "choice_temperature": trained.choice_temperature,
        "guidance": trained.guidance,
        "label_dropout": trained.label_dropout,
    }
    names = list(data.class_names)
    trained.tokenizer.save(out / "tokenizer.safetensors", **about)
    save_net(
        trained.model, out / "transformer.safetensors", class_names=names, decoding=decoding, metrics=rows, **about
    )
    card = CARD.format(
        title=f"MaskGIT on {data.name}, {trained.schedule.name} schedule",
        version=__version__,
        transformer=_size(trained.model),
        tokenizer=_size(trained.tokenizer),
        data=data.name,
        n_classes=data.n_classes,
        size=data.size,
        tokens=identity["tokens"],
        metrics=_table(rows),
        config=OmegaConf.to_yaml(settings),
    )
    (out / "README.md").write_text(card, encoding="utf-8")
    Terminal().note("written", str(out))


def _size(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "Not evaluated."
    distances = [key for key in rows[0] if key == "fid" or key.startswith("fd_")]
    keys = [key for key in (*SHOWN[:1], *distances, *SHOWN[1:]) if key in rows[0]]
    lines = [keys, ["---"] * len(keys), *([_said(row.get(key, "")) for key in keys] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
