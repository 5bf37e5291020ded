"""Scores and times beside torch-fidelity's: `python benchmarks/against_torch_fidelity.py --images FOLDER_OR_NPZ`.

Splits the images into two sets of `--count` images, scores one against the other by this suite and by
`torch_fidelity.calculate_metrics` on the same network, and prints the relative difference of every score. Then the
times, in one run: this suite's FID, inception score, KID, precision and recall from features that are computed once,
over torch-fidelity asked once for all of them, and over torch-fidelity asked for one metric after the other.
`--network inception` (random weights unless `--weights` names the file) or `resnet56` (with `--weights`).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch_fidelity
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from maskgit_lab.data.external import open_images
from maskgit_lab.evaluation.batches import extract
from maskgit_lab.metrics.features import FeatureExtractor, Features
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.metrics.pretrained import InceptionFeatures, ResNet56Features
from maskgit_lab.metrics.reference import reference_of
from maskgit_lab.metrics.scores import Choices, sample_scores

BATCH = 64
NEEDED = ("isc", "fid", "kid", "prc")
NAMES = {
    "fid": "frechet_inception_distance",
    "inception_score": "inception_score_mean",
    "kid": "kernel_inception_distance_mean",
    "precision": "precision",
    "recall": "recall",
}


class Pictures(Dataset[Tensor]):
    """8-bit images as torch-fidelity wants them."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


def main() -> None:
    """Measures and prints."""
    options = _options()
    source = open_images(Path(options.images), "--images")
    chosen = torch.linspace(0, len(source) - 1, 2 * options.count).round().long()
    fake, real = (torch.stack([to_uint8(source[int(i)][0]) for i in part]) for part in (chosen[::2], chosen[1::2]))
    fake = fake.roll(options.shift, dims=-1)  # another distribution, as samples are
    extractor, theirs = _networks(options)
    extractor(fake[:BATCH])  # what torch sets up at the first use belongs to neither side
    times: dict[str, float] = {}
    ours = _timed(times, "this suite", lambda: _ours(extractor, fake, real))
    settings = {"input1": Pictures(fake), "input2": Pictures(real), "cuda": False, "batch_size": BATCH, "isc_splits": 1}
    settings |= {"verbose": False, "save_cpu_ram": True, "kid_subset_size": min(1000, options.count), **theirs}
    whole = dict.fromkeys(NEEDED, True)
    found = _timed(times, "once for all", lambda: torch_fidelity.calculate_metrics(**settings, **whole))
    for own, their in NAMES.items():
        difference = abs(ours[own] - found[their]) / max(abs(found[their]), 1e-12)
        print(f"{own:<16} {ours[own]:.8g} here, {found[their]:.8g} there, relative difference {difference:.1e}")
    if options.each:
        _timed(times, "one by one", lambda: [torch_fidelity.calculate_metrics(**settings, **{m: True}) for m in NEEDED])
    for name, seconds in times.items():
        print(f"{name:<16} {seconds:8.1f} s, this suite takes {times['this suite'] / seconds:.2f} of it")


def _features(extractor: FeatureExtractor, images: Tensor) -> Features:
    parts = [extract(extractor, batch).named() for batch in images.split(BATCH)]
    return Features(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def _ours(extractor: FeatureExtractor, fake: Tensor, real: Tensor) -> dict[str, float]:
    samples, known = (_features(extractor, images) for images in (fake, real))
    reference = reference_of([known], len(real), len(real))
    metrics = ("fid", "kid", "inception_score", "precision_recall")
    return sample_scores(samples, reference, "inception", Choices(metrics))


def _timed(times: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    start = time.perf_counter()
    result = work()
    times[name] = time.perf_counter() - start
    return result


def _networks(options: argparse.Namespace) -> tuple[FeatureExtractor, dict[str, Any]]:
    """The network here, and the arguments that have torch-fidelity use the same one."""
    cpu = torch.device("cpu")
    if options.network == "resnet56":
        ours = ResNet56Features(options.weights, cpu)
        torch_fidelity.register_feature_extractor("resnet56", _adapter(ours))
        return ours, {"feature_extractor": "resnet56"}
    extractor = InceptionFeatures(options.weights, cpu)
    if options.weights == "random":
        extractor.net.fc.weight.mul_(options.sharpen)  # type: ignore[union-attr, operator]
    path = Path(tempfile.mkdtemp()) / "inception.pth"
    torch.save(extractor.net.state_dict(), path)
    return extractor, {"feature_extractor": "inception-v3-compat", "feature_extractor_weights_path": str(path)}


def _adapter(extractor: ResNet56Features) -> type[FeatureExtractorBase]:
    class Adapter(FeatureExtractorBase):
        def __init__(self, name: str, features_list: list[str], **how: Any) -> None:
            super().__init__(name, features_list)

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            found = extractor(images)
            parts = {"features": found.features_nF, "logits": found.logits_nC}
            return tuple(parts[name] for name in self.features_list)  # type: ignore[misc]

        @staticmethod
        def get_provided_features_list() -> tuple[str, ...]:
            return "features", "logits"

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return "logits" if metric == "isc" else "features"

    return Adapter


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", required=True, help="a folder or an npz file with twice as many images")
    parser.add_argument("--count", type=int, default=2048, help="images of each set")
    parser.add_argument("--network", choices=("inception", "resnet56"), default="inception")
    parser.add_argument("--weights", default="random", help="the file of the network's weights")
    parser.add_argument("--sharpen", type=float, default=30.0, help="of random logits, so that they differ")
    parser.add_argument("--shift", type=int, default=3, help="pixels by which one set is moved")
    parser.add_argument("--each", action="store_true", help="also ask torch-fidelity for one metric after the other")
    return parser.parse_args()


if __name__ == "__main__":
    main()
