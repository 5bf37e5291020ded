"""How one can watch a training of a run: its `metrics.csv`, its loggers, and pictures while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from maskgit_lab.data.source import ImageData, some_images
from maskgit_lab.lit.monitoring.watched import Watched
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.runs.names import METRICS
from maskgit_lab.runs.run import Run
from maskgit_lab.sampling.drawing import draw_tiles
from maskgit_lab.sampling.loading import decoder_of
from maskgit_lab.sampling.pipeline import Pipeline
from maskgit_lab.seeds import mix_seeds
from maskgit_lab.settings import TrainConf
from maskgit_lab.tokenizers.base import Tokenizer

RECONSTRUCTED = 12  # images of a picture of reconstructions
MOST_CLASSES, SAMPLES = 10, 4  # of a picture of samples, for each class
SMALLEST = 64  # pixels of an image in a picture: smaller ones are enlarged
AT_ONCE = 32  # images decoded at once
PICTURES = 4  # the stream of seeds that these samples draw from


def watched_tokenizer(run: Run[TrainConf], data: ImageData) -> Watched:
    """The training of a tokenizer; its pictures are held-out images over their reconstructions."""
    originals = some_images(data.test, RECONSTRUCTED)

    def images(net: nn.Module) -> Tensor:
        assert isinstance(net, VQGAN)
        rebuilt = net.decode(net.encode(originals.to(run.device))).float().cpu()
        return to_uint8(torch.stack([originals, rebuilt]))

    return _watched(run, "tokenizer", "reconstructions", images)


def watched_transformer(run: Run[TrainConf], tokenizer: Tokenizer) -> Watched:
    """The training of a transformer; its pictures are samples of the first classes, always with the same seeds."""
    conf, names = run.settings.eval, run.folder.data.class_names
    classes = min(len(names), conf.picture_classes, MOST_CLASSES)
    labels = torch.arange(classes).repeat_interleave(SAMPLES)
    seeds = [mix_seeds(run.settings.seed, PICTURES, i) for i in range(len(labels))]
    decoder = decoder_of(run.settings)[0].with_steps(conf.picture_steps)

    def images(net: nn.Module) -> Tensor:
        assert isinstance(net, Transformer)
        samples = Pipeline(net, tokenizer, decoder, names).sample(labels, seeds, batch_size=AT_ONCE)
        pictures: Tensor = samples.pixels.unflatten(0, (classes, SAMPLES))
        return pictures

    return _watched(run, run.settings.part, "samples", images)


def _watched(run: Run[TrainConf], stage: str, name: str, images: Callable[[nn.Module], Tensor]) -> Watched:
    """What is kept of a training, and rows of images (R, C, 3, H, W) that a network makes meanwhile."""
    folder = run.folder.path / "pictures" / "training"

    def draw(net: nn.Module, epochs: int, step: int) -> None:
        made = images(net)
        scale = -(-SMALLEST // made.shape[-1])
        larger = made.repeat_interleave(scale, dim=-1).repeat_interleave(scale, dim=-2)
        path: Path = folder / f"{name}-epoch_{epochs:04d}.png"
        draw_tiles(larger, path)
        run.logger.pictures({f"training/{name}": path}, step)

    return Watched(
        stage=stage,
        history=run.folder.path / METRICS,
        loggers=run.logger.lightning,
        draw=draw,
        draw_every_epochs=run.settings.trainer.pictures_every_epochs,
    )
