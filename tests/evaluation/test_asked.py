"""What an evaluation is asked for is checked against the images and the machine before anything is computed."""

import pytest
import torch

from maskgit_lab.commands import sample
from maskgit_lab.data.source import ImageData, InMemory
from maskgit_lab.errors import UserError
from maskgit_lab.evaluation.asked import check_evaluation
from maskgit_lab.evaluation.reference import RealImages
from maskgit_lab.lit import hardware
from maskgit_lab.lit.hardware import check_hardware
from maskgit_lab.settings import CommonConf, EvaluateHardware, Hardware, checked
from maskgit_lab.stages.features import check_extractors
from maskgit_lab.stages.preflight import check_classifiers

OPTIM = {"epochs": 1, "batch_size": 2, "lr": 0.1}
SMALL = {"net": {"_target_": "maskgit_lab.nets.classifier.SmallConvNet", "width": 4}, "optim": OPTIM}
ALL = ["fid", "inception_score", "precision_recall"]


def images(n: int) -> InMemory:
    return InMemory(torch.zeros(n, 3, 16, 16), torch.arange(n) % 2)


DATA = ImageData("some", images(20), images(10), ["a", "b"], 16, "f")


def settings(**values) -> CommonConf:
    given = {"features": {"name": "inception", "weights": "random"}, **values}
    return checked(CommonConf, given | {"eval": {"metrics": ALL, **values.get("eval", {})}})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"n_samples": 3}, "eval.neighbours=3 is not below the number of images, 3"),
        ({"reference_features": 1}, "1 image of eval.reference_features is too few to have a spread"),
        ({"reference_features": 3}, "is not below the number of images of eval.reference_features, 3"),
        ({"splits": 11}, "eval.splits=11 is too many for the 20 images there are"),
        ({"splits": 4, "reference_features": 7}, "is too many for the 7 images of eval.reference_features there are"),
        ({"precision_features": "resnet56_cifar10"}, "resnet56_cifar10 needs 32 x 32 pixels, not 16 x 16"),
    ],
)
def test_an_evaluation_that_would_fail_at_its_end_is_refused_at_its_start(values, said):
    real = RealImages("some-train", DATA.train, "f", (16, 16))
    check_evaluation(settings(), DATA, real, 16)
    with pytest.raises(UserError, match=said):
        check_evaluation(settings(eval=values), DATA, real, 16)


def test_a_reference_without_images_needs_the_network_of_its_statistics(tmp_path):
    real = RealImages("a.npz", None, "f", None, tmp_path / "a.npz")
    with pytest.raises(UserError, match="has only statistics of the Inception network: give features=inception"):
        check_evaluation(settings(features={"name": "vgg16"}), DATA, real, 16)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"features": {"name": "classifier"}}, "features=classifier needs to know which: add classifier=small"),
        ({"eval": {"precision_features": "classifier"}}, "features=classifier needs to know which"),
        ({"features": {"name": "classifier", "weights": "F"}}, "features.weights=F is not used, since features=class"),
        ({"eval": {"precision_weights": "F"}}, "eval.precision_weights=F is not used, since there are no eval.prec"),
    ],
)
def test_extractors_that_are_not_there(values, said):
    with pytest.raises(UserError, match=said):
        check_extractors(settings(**values))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"net": {**SMALL["net"], "width": 0}}, "cas.net cannot be built (the classifier needs a width of at least 1)"),
        ({"net": {**SMALL["net"], "width": 10**9}}, "cas.net has more "),
        ({"net": {**SMALL["net"], "dropout": 2}}, "cas.net cannot be built (dropout probability has to be between"),
        ({"net": {"_target_": "torch.nn.Identity"}}, "cas.net._target_ does not make the required Classifier"),
        ({"test_size": 99}, "cas.test_size=99 is larger than the images of 16 pixels"),
        ({"optim": {**OPTIM, "optimizer": {"_target_": "torch.optim.SGD", "momentum": "a"}}}, "cas.optim.optimizer"),
    ],
)
def test_classifiers_that_these_images_cannot_take(values, said):
    check_classifiers(settings(cas=SMALL), DATA)
    with pytest.raises(UserError) as caught:
        check_classifiers(settings(cas=SMALL | values), DATA)
    assert said in str(caught.value)


def test_hardware_that_this_machine_has_not(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    for fits in (Hardware(accelerator="cpu", devices=8), EvaluateHardware(accelerator="cpu")):
        check_hardware(fits)
    with pytest.raises(UserError, match=r"^trainer.devices=64 is far more than the 2 cores .*: give at most 8$"):
        check_hardware(EvaluateHardware(accelerator="cpu", devices=64))
    for kind in (Hardware, EvaluateHardware):
        with pytest.raises(UserError, match=r"^trainer.precision=16-mixed needs a GPU: choose bf16-mixed or 32-true$"):
            check_hardware(kind(accelerator="cpu", precision="16-mixed"))
    monkeypatch.setattr(hardware, "device_of", lambda *_: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    check_hardware(Hardware(devices=4, precision="16-mixed"))
    with pytest.raises(UserError, match=r"^trainer.devices=5 is more than the 4 of this machine: lower it$"):
        check_hardware(Hardware(devices=5))


def test_more_samples_than_can_be_drawn_at_once(monkeypatch):
    sample._check_count(100_000, 10, (16, 16))
    with pytest.raises(
        UserError, match=r"^n=100001 of 10 classes are 1,000,010 images: give at most 1,000,000 in all$"
    ):
        sample._check_count(100_001, 10, (16, 16))
    monkeypatch.setattr(sample, "memory", lambda: 2**34)
    with pytest.raises(
        UserError, match=r"^n=1000 of 100 classes take 37 GiB, and this machine has 16: draw fewer at once"
    ):
        sample._check_count(1000, 100, (256, 256))
