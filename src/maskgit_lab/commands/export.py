"""`export.py`: a run's networks as safetensors files, with a model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from maskgit_lab import __version__
from maskgit_lab.console import Terminal
from maskgit_lab.errors import UserError
from maskgit_lab.metrics import registry
from maskgit_lab.nets.files import save_net
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import CKPT
from maskgit_lab.runs.opening import held
from maskgit_lab.runs.outputs import new_folder
from maskgit_lab.runs.results import knobs, over_repeats
from maskgit_lab.sampling.loading import TOKENIZER, TRANSFORMER, Trained, decoding_of, open_run
from maskgit_lab.sampling.tokenizers import load_tokenizer, tokenizer_file
from maskgit_lab.sampling.transformers import build_order
from maskgit_lab.settings import AUTOREGRESSIVE, ExportConf, TrainConf, training

CARD_FILE = "README.md"
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


def run(settings: ExportConf) -> None:
    """Writes `tokenizer.safetensors`, `transformer.safetensors` if the run has one, and the model card `README.md`.

    Raises:
        UserError: the training of the transformer is not finished or has diverged, or its checkpoint is gone.
    """
    folder, device, terminal = RunFolder(Path(settings.checkpoint), settings.cache_dir), torch.device("cpu"), Terminal()
    path = tokenizer_file(folder)
    own = folder.settings()
    about: dict[str, Any] = {"config": training(own), "run": folder.record.fingerprint, "version": __version__}
    tokenizer = load_tokenizer(own.tokenizer, path, device)
    trained = _trained(folder, own, device)
    if trained is None:
        terminal.note("transformer", "this run has trained none: only its tokenizer is written")
    files: dict[str, nn.Module] = {TOKENIZER: tokenizer}
    out = new_folder(Path(settings.out))
    about["training_code"] = dict(folder.codes.get(folder.record.trained_by or folder.record.code))
    with held(out, "out", wait=False):
        tokenizer.save(out / TOKENIZER, metrics=folder.record.reconstruction or {}, **about)
        if trained is not None:
            model, names = trained.pipeline.model, list(trained.pipeline.class_names)
            rows = folder.results.rows()
            files[TRANSFORMER] = model
            save_net(model, out / TRANSFORMER, **about, class_names=names, decoding=decoding_of(trained), metrics=rows)
        (out / CARD_FILE).write_text(_card(folder, files, about["config"]), encoding="utf-8")
    terminal.note("written", str(out))


def _trained(folder: RunFolder, own: TrainConf, device: torch.device) -> Trained | None:
    """The model of a run; None where no transformer was begun, as with `stage=tokenizer`.

    Raises:
        UserError: it is not finished, or gone.
    """
    was_trained = folder.record.transformer is not None
    if was_trained and not folder.checkpoint.exists():
        raise UserError(
            f"the checkpoint {folder.checkpoint} of a run that was trained is missing: put it back, name another with "
            f"checkpoint={folder.checkpoints}/NAME.ckpt, or {folder.again} to train it again"
        )
    if not was_trained and not any(folder.checkpoints.glob(f"*{CKPT}")):
        return None
    return open_run(folder, own, device)


def _card(folder: RunFolder, files: Mapping[str, nn.Module], config: Mapping[str, Any]) -> str:
    data = folder.data
    what = f"{_model(folder.settings())}," if TRANSFORMER in files else "VQGAN tokenizer"
    return CARD.format(
        title=f"{what} on {data.name}",
        version=__version__,
        files="\n".join(f"| `{name}` | {sum(p.numel() for p in net.parameters()):,} |" for name, net in files.items()),
        data=data.name,
        n_classes=data.n_classes,
        size=data.size,
        fingerprint=data.fingerprint,
        metrics=_metrics(folder),
        config=yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True),
    )


def _model(settings: TrainConf) -> str:
    """The transformer, and what it was trained with."""
    if settings.model == AUTOREGRESSIVE:
        return f"Autoregressive transformer, {build_order(settings).name} order"
    return f"MaskGIT, {str(settings.schedule['_target_']).rpartition('.')[2]} schedule"


def _metrics(folder: RunFolder) -> str:
    rebuilt = folder.record.reconstruction or {}
    rows: Sequence[Mapping[str, Any]] = [row for row, _ in over_repeats(folder.results.rows())]
    own = dict.fromkeys(key for row in rows for key in knobs(row))
    measured = [metric.key for metric in registry.of_rows(rows)]
    first, last = ("source", "order", "steps", "decode_schedule"), ("seed", "n_samples", "features", "reference")
    wanted = (*first, *own, *last, *measured)
    keys = [key for key in wanted if any(key in row for row in rows)]
    parts = [
        ("Reconstructions of held-out images:", list(rebuilt), [rebuilt]),
        (f"Samples{' by T (steps)' * ('steps' in keys)}, and held-out images (source):", keys, rows),
    ]
    tables = [f"{title}\n\n{_table(keys, lines)}" for title, keys, lines in parts if keys]
    return "\n\n".join(tables) or "Not measured."


def _table(keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [keys, ["---"] * len(keys), *([_shown(row.get(key, "")) for key in keys] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
