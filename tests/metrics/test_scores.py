"""Metrics on features whose scores are known, and against torch-fidelity and torchmetrics."""

import pytest
import torch
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torchmetrics.image.fid import _compute_fid

from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.batches import extract
from maskgit_lab.metrics import registry
from maskgit_lab.metrics import scores as scores_module
from maskgit_lab.metrics.features import ClassifierFeatures, Features
from maskgit_lab.metrics.pixels import to_uint8
from maskgit_lab.metrics.reference import reference_of
from maskgit_lab.metrics.scores import Choices, accuracy, precision_recall, sample_scores
from maskgit_lab.metrics.statistics import fit_gaussian, frechet_distance
from maskgit_lab.nets.classifier import SmallConvNet

ALL = ("fid", "sfid", "kid", "inception_score", "precision_recall")


def normal(n: int, shift: float = 0.0, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)) + shift


def distance(x: torch.Tensor, y: torch.Tensor) -> float:
    return frechet_distance(fit_gaussian([x]), fit_gaussian([y]))


def scores(samples: torch.Tensor, reference: torch.Tensor, logits=None, extractor="classifier", **choices):
    logits = torch.zeros(len(samples), 4) if logits is None else logits
    choices = Choices(**{"metrics": ALL, "kid_subsets": 3} | choices)
    known = reference_of([Features(reference)], len(reference), 1000)
    return sample_scores(Features(samples, logits), known, extractor, choices)


def test_the_distance_of_a_set_to_itself_is_zero_and_of_a_shifted_one_the_shift():
    x = normal(500)
    assert distance(x, x) == pytest.approx(0, abs=1e-6)
    assert distance(x + 2, x) == pytest.approx(6 * 4, rel=1e-5)


def test_the_distance_agrees_with_torchmetrics():
    x, y = normal(300).double(), (normal(400, 0.5, seed=1) * 1.3).double()
    theirs = _compute_fid(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
    assert distance(x, y) == pytest.approx(theirs.item(), rel=1e-6)


def test_precision_and_recall_of_equal_and_of_disjoint_sets():
    x = normal(200)
    assert scores(x, x)["precision"] == scores(x, x)["recall"] == 1
    assert scores(x + 100, x)["precision"] == scores(x + 100, x)["recall"] == 0


def test_samples_of_one_mode_are_precise_and_do_not_recall():
    modes = torch.cat([normal(200), normal(200, 50, seed=1)])
    found = scores(normal(200, seed=2), modes)
    assert found["precision"] > 0.8 and found["recall"] < 0.6


def test_precision_and_recall_by_their_definition_and_in_blocks(monkeypatch):
    x, y = normal(50), normal(70, 0.7, seed=1)

    def near(samples, real):
        return precision_recall(Features(samples), reference_of([Features(real)], 70, 70), Choices(ALL, neighbours=3))

    def covered(points, centres, k=3):
        radii = torch.cdist(centres, centres).sort(dim=1).values[:, k]
        return (torch.cdist(points, centres) <= radii).any(dim=1).double().mean().item()

    whole = near(x, y)
    assert whole == pytest.approx({"precision": covered(x, y), "recall": covered(y, x)})
    assert 0 < whole["precision"] < 1
    monkeypatch.setattr(scores_module, "BLOCK", 7)
    assert near(x, y) == whole


def test_the_kernel_distance_is_about_zero_for_equal_distributions_and_grows_with_a_shift():
    near, far = (scores(normal(300), normal(300, shift, seed=1))["kd_classifier"] for shift in (0, 1))
    assert abs(near) < 0.05 < far


@pytest.mark.parametrize(("size", "is_given"), [(1000, False), (500, False), (251, False), (250, True), (50, True)])
def test_the_deviation_between_subsets_is_given_where_they_are_not_nearly_the_whole_set(size, is_given):
    found = scores(normal(500), normal(500, seed=1), metrics=("kid",), kid_subset_size=size)
    assert ("kd_classifier_std" in found) == is_given
    assert found.get("kd_classifier_std", 1) > 1e-4  # 1e-9 between subsets that are all the whole set


def test_inception_score_of_sure_and_of_ignorant_predictions():
    sure = torch.eye(4).repeat(50, 1) * 100
    assert scores(normal(200), normal(200), sure)["inception_score"] == pytest.approx(4)
    assert scores(normal(200), normal(200))["inception_score"] == pytest.approx(1)
    assert scores(normal(200), normal(200), sure, splits=10)["inception_score_std"] > 0


def test_only_the_inception_network_gives_a_fid():
    distances = [registry.TABLE[key] for key in ("fid", "sfid", "kid")]
    assert [metric.key_on("inception") for metric in distances] == ["fid", "sfid", "kid"]
    assert [metric.key_on("vgg16") for metric in distances] == ["fd_vgg16", "sfd_vgg16", "kd_vgg16"]
    assert {"fd_classifier", "kd_classifier"} <= scores(normal(20), normal(20)).keys()
    assert {"fid", "kid"} <= scores(normal(20), normal(20), extractor="inception").keys()


def test_what_was_not_asked_for_or_cannot_be_computed_is_absent():
    assert scores(normal(20), normal(20), metrics=("fid",)).keys() == {"fd_classifier"}
    known = reference_of([Features(normal(20))], 20, 100)
    without = sample_scores(Features(normal(20)), known, "vgg16", Choices(ALL, kid_subsets=1))
    assert without.keys() == {"fd_vgg16", "kd_vgg16", "precision", "recall"}
    numbers = scores(torch.full((20, 6), torch.nan), normal(20), metrics=("precision_recall", "kid"))
    assert all(value == value for value in numbers.values())


@pytest.mark.parametrize(
    ("count", "choices", "word"),
    [(20, {"neighbours": 20}, "neighbours=20"), (20, {"splits": 11}, "splits=11"), (1, {}, "1 image is too few")],
)
def test_too_few_images_are_refused(count, choices, word):
    with pytest.raises(UserError, match=word):
        scores(normal(count), normal(20), **choices)


def test_accuracy():
    assert accuracy(torch.eye(4), torch.tensor([0, 1, 2, 0])) == 0.75


def test_samples_are_rounded_to_eight_bits():
    images = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
    assert to_uint8(images).flatten().tolist() == [0, 128, 255]


@pytest.fixture
def extractor():
    torch.manual_seed(0)
    return ClassifierFeatures(SmallConvNet(10, width=4), "seed 0", "digits")


def test_features_do_not_depend_on_the_batches(extractor):
    images = torch.randint(0, 256, (9, 3, 16, 16), dtype=torch.uint8)
    whole, parts = extractor(images), [extract(extractor, part) for part in images.split(4)]
    assert torch.allclose(whole.features_nF, torch.cat([part.features_nF for part in parts]), atol=1e-6)
    assert torch.allclose(whole.logits_nC, torch.cat([part.logits_nC for part in parts]), atol=1e-6)
    assert whole.features_nF.shape == (9, 32) and whole.logits_nC.shape == (9, 10) and whole.spatial_nS is None


def test_a_batch_that_does_not_fit_the_memory_is_halved_until_it_does(extractor):
    sizes = []

    class OnSmallGPU(ClassifierFeatures):
        def __call__(self, images):
            sizes.append(len(images))
            if len(images) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().__call__(images)

    images = torch.randint(0, 256, (9, 3, 16, 16), dtype=torch.uint8)
    found, whole = extract(OnSmallGPU(extractor.net, "seed 0", "digits"), images), extractor(images)
    assert sizes == [9, 4, 2, 2, 5, 2, 3]
    assert torch.allclose(found.features_nF, whole.features_nF, atol=1e-6)
    assert torch.allclose(found.logits_nC, whole.logits_nC, atol=1e-6)


class Pixels(FeatureExtractorBase):
    """A network of torch-fidelity's kind that is only a matrix."""

    def __init__(self, name, features_list, **kwargs):
        super().__init__(name, features_list)
        generator = torch.Generator().manual_seed(0)
        self.matrix = torch.randn(48, 20, generator=generator) / 7

    def forward(self, x):
        features = (x.flatten(1).float() / 255) @ self.matrix
        return tuple({"features": features, "logits": 5 * features[:, :8]}[name] for name in self.features_list)

    @staticmethod
    def get_provided_features_list():
        return "features", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "logits" if metric == "isc" else "features"


class Pictures(Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


@pytest.fixture(scope="module")
def registered():
    register_feature_extractor("pixels", Pixels)


@pytest.mark.parametrize("splits", [1, 10])
def test_every_score_is_torch_fidelitys(registered, splits):
    generator = torch.Generator().manual_seed(1)
    fake, real = (
        torch.randint(low, 256, (n, 3, 4, 4), generator=generator, dtype=torch.uint8)
        for n, low in ((120, 30), (150, 0))
    )
    settings = {"isc_splits": splits, "kid_subsets": 5, "kid_subset_size": 50, "feature_extractor": "pixels"}
    theirs = calculate_metrics(
        input1=Pictures(fake), input2=Pictures(real), isc=True, fid=True, kid=True, prc=True, **settings,
        cuda=False, save_cpu_ram=True, verbose=False, cache=False,
    )  # fmt: skip
    net = Pixels("pixels", ["features", "logits"])
    ours = sample_scores(
        Features(*net(fake)),
        reference_of([Features(net(real)[0][:60]), Features(net(real)[0][60:])], 150, 1000),
        "inception",
        Choices(ALL, splits=splits, kid_subsets=5, kid_subset_size=50),
    )
    pairs = {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "kid_std": "kernel_inception_distance_std",
        "inception_score": "inception_score_mean",
        "precision": "precision",
        "recall": "recall",
    }
    for own, their in pairs.items():
        assert ours[own] == pytest.approx(theirs[their], rel=1e-4), own
    assert 0 < ours["recall"] < 1 and ours["inception_score"] > 1.05
