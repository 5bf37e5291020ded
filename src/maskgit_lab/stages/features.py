"""The feature extractor that the settings name: pretrained, or a classifier that is trained on the data at hand."""

from __future__ import annotations

from maskgit_lab.data.source import ImageData
from maskgit_lab.errors import UserError
from maskgit_lab.metrics.features import ClassifierFeatures, FeatureExtractor
from maskgit_lab.metrics.pretrained import PRETRAINED, ensure_weights
from maskgit_lab.runs.run import Run
from maskgit_lab.settings import CommonConf
from maskgit_lab.stages.classifier import centre_of, load_or_train_classifier

CLASSIFIER = "classifier"  # the extractor that is trained on the data at hand
NO_CLASSIFIER = "features=classifier needs to know which: add classifier=small"


def load_or_train_extractor(
    run: Run[CommonConf], data: ImageData | None, name: str, weights: str | None
) -> FeatureExtractor:
    """The network of `features`; every process calls this.

    Raises:
        UserError: its weights are not available, or there are no images to train it on.
    """
    if name in PRETRAINED:
        return PRETRAINED[name](weights, run.device)
    if run.settings.classifier is None:
        raise UserError(NO_CLASSIFIER)
    if data is None:
        raise UserError("a classifier needs real images with classes: name them with data=NAME and its settings")
    conf = run.settings.classifier
    with run.costs.stage("classifier"):
        trained = load_or_train_classifier(run, data, conf)
    return ClassifierFeatures(trained.net, trained.identity, data.name, centre_of(conf))


def check_extractors(settings: CommonConf) -> None:
    """Finds or downloads the weights of the extractors.

    Raises:
        UserError: they are not available, or are given for an extractor that takes none.
    """
    conf = settings.eval
    of_precision = (conf.precision_features, conf.precision_weights, "eval.precision_weights")
    for name, weights, key in ((settings.features.name, settings.features.weights, "features.weights"), of_precision):
        if weights is not None and name in (None, CLASSIFIER):
            where = "there are no eval.precision_features" if name is None else "features=classifier is trained here"
            raise UserError(f"{key}={weights} is not used, since {where}: leave it out, or name an extractor too")
        if name == CLASSIFIER and settings.classifier is None:
            raise UserError(NO_CLASSIFIER)
    ensure_weights(settings.features.name, settings.features.weights, "features.weights")
    if conf.precision_features is not None:
        ensure_weights(conf.precision_features, conf.precision_weights, "eval.precision_weights")
