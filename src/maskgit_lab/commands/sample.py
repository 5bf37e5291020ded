"""`sample.py`: images of chosen classes from a trained model, as PNG files."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from torch import Tensor

from maskgit_lab.console import Terminal
from maskgit_lab.data.external import GRID
from maskgit_lab.devices import device_of
from maskgit_lab.errors import UserError
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.opening import held
from maskgit_lab.runs.outputs import new_folder
from maskgit_lab.sampling.drawing import draw_grid
from maskgit_lab.sampling.files import folder_names
from maskgit_lab.sampling.loading import STEPS, is_run, open_trained
from maskgit_lab.settings import SampleConf, tokenizer_file
from maskgit_lab.sizes import MOST_SAMPLES, memory
from maskgit_lab.stages.code import note_other_code


def run(settings: SampleConf) -> None:
    """Writes `out/<class>/<number>.png` for `n` images of each class, and `out/grid.png`."""
    pipeline = open_trained(
        settings.checkpoint,
        tokenizer_file(settings.tokenizer),
        settings.decode,
        device_of(settings.accelerator),
        settings.cache_dir,
    ).pipeline
    console = Terminal()
    if is_run(path := Path(settings.checkpoint)):
        note_other_code(RunFolder(path), console)
    classes, n = _classes(settings.classes, len(pipeline.class_names)), settings.n
    steps = None if pipeline.is_autoregressive else settings.decode.get("steps") or STEPS
    _check_count(n, len(classes), pipeline.size)
    out = new_folder(Path(settings.out))
    labels = [label for label in classes for _ in range(n)]
    schedule = pipeline.decoder.settings.get("decode_schedule", "no")
    how = "one token after the other" if steps is None else f"at T = {steps}, {schedule} schedule"
    with (
        held(out, "out", wait=False),
        console.stage("samples", f"{len(labels)} images {how}"),
        console.bar("samples", len(labels)) as advance,
    ):
        images = pipeline.sample(
            labels, settings.seed, steps=steps, batch_size=settings.batch_size, advance=advance
        ).pixels
        _write(images.unflatten(0, (len(classes), n)), [pipeline.class_names[c] for c in classes], out)
    console.note("written", str(out))


def _classes(chosen: list[int] | None, n_classes: int) -> list[int]:
    if chosen is None:
        return list(range(n_classes))
    if unknown := [c for c in chosen if not 0 <= c < n_classes]:
        raise UserError(f"classes: there is no class {unknown[0]}; there are the classes 0 to {n_classes - 1}")
    return chosen


def _check_count(n: int, n_classes: int, size: tuple[int, int]) -> None:
    """Raises a `UserError` for more images than can be drawn at once."""
    total, room = n * n_classes, memory()
    if total > MOST_SAMPLES:
        raise UserError(f"n={n} of {n_classes} classes are {total:,} images: give at most {MOST_SAMPLES:,} in all")
    needed = 2 * total * 3 * size[0] * size[1]  # bytes, of all batches and of what is made of them
    if room is not None and needed > room:
        raise UserError(
            f"n={n} of {n_classes} classes take {needed / 2**30:,.0f} GiB, and this machine has {room / 2**30:,.0f}: "
            "draw fewer at once"
        )


def _write(images: Tensor, names: list[str], out: Path) -> None:
    for row, name in zip(images, folder_names(names, taken=[GRID]), strict=True):
        folder = out / name
        folder.mkdir()
        for i, image in enumerate(row):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{i:05}.png")
    draw_grid(images[:10, :12], out / GRID, title="Samples by class", row_names=names[:10])
