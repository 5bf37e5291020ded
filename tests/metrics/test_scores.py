"""Metrics on features whose scores are known."""

import pytest
import torch
from torchmetrics.image.fid import _compute_fid

from maskgit_lab.errors import UserError
from maskgit_lab.metrics.features import ClassifierFeatures, Features, extract, to_uint8
from maskgit_lab.metrics.scores import accuracy, distance_name, frechet_distance, sample_scores
from maskgit_lab.nets.classifier import SmallConvNet


def normal(n: int, shift: float = 0.0, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed)) + shift


def scores(samples: torch.Tensor, reference: torch.Tensor, logits: torch.Tensor | None = None, **settings):
    logits = torch.zeros(len(samples), 4) if logits is None else logits
    features = Features(samples, logits), Features(reference, torch.zeros(len(reference), 4))
    return sample_scores(*features, "classifier", **{"splits": 1, "neighbours": 3} | settings)


def test_the_distance_of_a_set_to_itself_is_zero_and_of_a_shifted_one_the_shift():
    x = normal(500)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x + 2, x) == pytest.approx(6 * 4, rel=1e-5)


def test_the_distance_agrees_with_torchmetrics():
    x, y = normal(300).double(), (normal(400, 0.5, seed=1) * 1.3).double()
    theirs = _compute_fid(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
    assert frechet_distance(x, y) == pytest.approx(theirs.item(), rel=1e-6)


def test_precision_and_recall_of_equal_and_of_disjoint_sets():
    x = normal(200)
    assert scores(x, x)["precision"] == scores(x, x)["recall"] == 1
    assert scores(x + 100, x)["precision"] == scores(x + 100, x)["recall"] == 0


def test_samples_of_one_mode_are_precise_and_do_not_recall():
    modes = torch.cat([normal(200), normal(200, 50, seed=1)])
    found = scores(normal(200, seed=2), modes)
    assert found["precision"] > 0.8 and found["recall"] < 0.6


def test_inception_score_of_sure_and_of_ignorant_predictions():
    sure = torch.eye(4).repeat(50, 1) * 100
    assert scores(normal(200), normal(200), sure)["inception_score"] == pytest.approx(4)
    assert scores(normal(200), normal(200))["inception_score"] == pytest.approx(1)


def test_only_the_inception_network_gives_a_fid():
    assert distance_name("inception") == "fid" and distance_name("classifier") == "fd_classifier"
    assert "fd_classifier" in scores(normal(20), normal(20))


@pytest.mark.parametrize(
    ("settings", "word"), [({"neighbours": 20}, "eval.neighbours=20"), ({"splits": 11}, "eval.splits=11")]
)
def test_too_few_images_are_refused(settings, word):
    with pytest.raises(UserError, match=word):
        scores(normal(20), normal(20), **settings)


def test_accuracy():
    assert accuracy(torch.eye(4), torch.tensor([0, 1, 2, 0])) == 0.75


def test_samples_are_rounded_to_eight_bits():
    images = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
    assert to_uint8(images).flatten().tolist() == [0, 128, 255]


def test_features_do_not_depend_on_the_batches():
    torch.manual_seed(0)
    extractor = ClassifierFeatures(SmallConvNet(10, width=4))
    images = torch.randint(0, 256, (9, 3, 16, 16), dtype=torch.uint8)
    whole, parts = extractor(images), extract(extractor, images.split(4))
    assert torch.allclose(whole.features_nF, parts.features_nF, atol=1e-6)
    assert whole.features_nF.shape == (9, 32) and whole.logits_nC.shape == (9, 10)
