"""Classifiers of real images and of samples: what each is trained on, and how long. Nothing is trained here."""

import pytest
import torch

from maskgit_lab.data.folders import image_folder
from maskgit_lab.data.source import InMemory, some_images
from maskgit_lab.runs.names import LAST
from maskgit_lab.runs.run import begin
from maskgit_lab.settings import AugmentConf, ClassifierConf, CommonConf, Hardware, Optim
from maskgit_lab.stages import classifier
from maskgit_lab.stages.classifier import cas_identity, classification_accuracy_score, load_or_train_classifier
from picture_files import FRAMING, picture

NET = {"_target_": "maskgit_lab.nets.classifier.SmallConvNet", "width": 1}
CONF = ClassifierConf(net=NET, augment=AugmentConf(pad=0.125), optim=Optim(epochs=3, batch_size=4, lr=0.1))
SIZES = {"train": (6, 4), "val": (1, 1)}  # images of each class


@pytest.fixture
def data(tmp_path):
    for split, sizes in SIZES.items():
        for name, size in zip(("cat", "dog"), sizes, strict=True):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            for i in range(size):
                picture(10 * len(name) + i).save(tmp_path / "pets" / split / name / f"{i}.png")
    return image_folder(str(tmp_path / "pets"), **FRAMING)


@pytest.fixture
def trained(monkeypatch):
    """What would have been trained: the training images and the module."""
    seen = []

    def fit(module, train, val, *, folder, **_):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LAST).touch()
        seen.append((train, module))
        return {"classifier/top1": len(train) / 100, "classifier/top5": 1.0}

    monkeypatch.setattr(classifier, "fit", fit)
    return seen


@pytest.fixture
def score(data, tmp_path):
    """CAS of samples of some classes, in a process of its own."""

    def of(labels, conf=CONF, images=data):
        samples = InMemory(torch.zeros(len(labels), 3, 8, 8, dtype=torch.uint8), torch.tensor(labels))
        settings = CommonConf(cache_dir=str(tmp_path / "cache"), trainer=Hardware(accelerator="cpu"))
        return classification_accuracy_score(begin(settings), images, conf, samples, tmp_path / "folder")

    return of


def test_the_ceiling_sees_as_many_real_images_of_each_class_for_as_many_steps(score, trained):
    scores = score([0, 0, 1, 1, 1])
    (real, module), (every, _), (samples, of_samples) = trained
    assert real.labels.tolist() == [0, 0, 1, 1, 1] and len(every) == 10 and len(samples) == 5
    assert module.optim == of_samples.optim == CONF.optim
    assert {key: value for key, value in scores.items() if key.endswith("top1")} == {
        "cas_top1": 0.05,
        "cas_real_top1": 0.05,
        "cas_real_all_top1": 0.1,
    }
    trained.clear()
    score([0, 0, 1, 1, 1])
    assert [len(train) for train, _ in trained] == [5]  # the others are found
    score([0, 0, 0, 1, 1])
    assert trained[1][0].labels.tolist() == [0, 0, 0, 1, 1]


def test_as_many_samples_as_images_have_one_ceiling(score, trained):
    scores = score([0] * 6 + [1] * 4)
    assert [len(train) for train, _ in trained] == [10, 10] and not [key for key in scores if "all" in key]


@pytest.mark.parametrize(("max_steps", "steps"), [(None, 3 * 6), (7, 7)])
def test_more_samples_than_images_are_compared_with_as_many_steps(score, trained, max_steps, steps):
    optim = Optim(epochs=3, batch_size=4, lr=0.1, max_steps=max_steps)
    score([0] * 12 + [1] * 11, ClassifierConf(net=NET, optim=optim))
    (real, module), (samples, of_samples) = trained
    assert (len(real), len(samples)) == (10, 23) and of_samples.optim == optim
    assert module.optim.max_steps == steps and (module.optim.epochs - 1) * 3 < steps <= module.optim.epochs * 3


def test_samples_and_real_images_have_one_augmentation(data, score, trained):
    score([0] * 6 + [1] * 4)
    (real, _), (samples, _) = trained
    assert samples.augmentation == real.augmentation and samples.augmentation.flip  # as the training of the data
    pixels = InMemory((some_images(data.train, 10) * 255).round().byte(), data.train.labels)
    twin = type(samples)(pixels, samples.augmentation, samples.seed)
    for index in range(10):
        assert torch.equal(real[index, 5][0], twin[index, 5][0])


def test_data_that_mirror_nothing_are_not_mirrored_for_a_classifier_unless_it_says_so(data, score, trained, tmp_path):
    never = image_folder(str(tmp_path / "pets"), **FRAMING | {"flip": False})
    score([0] * 6 + [1] * 4, images=never)
    assert not any(train.augmentation.flip for train, _ in trained)
    trained.clear()
    score([0] * 6 + [1] * 4, ClassifierConf(net=NET, augment=AugmentConf(flip=True), optim=CONF.optim), never)
    assert all(train.augmentation.flip for train, _ in trained) and len(trained) == 2


def test_a_classifier_is_tested_on_the_centre_and_known_by_its_sizes(data, trained, tmp_path):
    settings = CommonConf(cache_dir=str(tmp_path / "cache"), trainer=Hardware(accelerator="cpu"))
    run = begin(settings)
    sized = ClassifierConf(net=NET, train_size=6, test_resize=8, test_size=6, optim=CONF.optim)
    load_or_train_classifier(run, data, sized)
    (train, module) = trained[0]
    assert train[0, 0][0].shape == (3, 6, 6) and module.centre(torch.zeros(1, 3, 8, 8)).shape == (1, 3, 6, 6)
    confs = (sized, CONF, ClassifierConf(net=NET, optim=CONF.optim))
    assert len({cas_identity(run, data, conf) for conf in confs}) == 3
