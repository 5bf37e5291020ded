"""The table of metrics: what each is called on another extractor, and what of a row is measured."""

import pytest

from maskgit_lab.errors import UserError
from maskgit_lab.metrics import registry


@pytest.mark.parametrize("key", ["fid", "sfid", "kid", "fd_vgg16", "sfd_dinov2", "kd_resnet56_cifar10", "nll"])
def test_smaller_is_better(key):
    assert registry.metric_of(key).better == "min"


@pytest.mark.parametrize("key", ["inception_score", "precision", "recall", "cas_top1", "cas_top5", "sample_accuracy"])
def test_larger_is_better(key):
    assert registry.metric_of(key).better == "max"


@pytest.mark.parametrize(
    "key", ["kid_subsets", "kid_subset_size", "kd_vgg16_std", "nll_draws", "cas_real_top1", "seed"]
)
def test_settings_and_spreads_have_no_direction(key):
    metric = registry.metric_of(key)
    assert metric is None or metric.better is None


@pytest.mark.parametrize(
    "key", ["kid_subsets", "kid_subset_size", "nll_draws", "seed", "steps", "n_samples", "decoder"]
)
def test_settings_are_not_measured(key):
    assert not registry.is_measured(key)


@pytest.mark.parametrize(
    "key",
    [
        "kid_std",
        "kd_vgg16_std",
        "inception_score_std",
        "memorised_codes",
        "cas_real_top1",
        "cas_real_all_top5",
        "nll_bound_se",
    ],
)
def test_what_comes_along_is_measured(key):
    assert registry.is_measured(key)


def test_what_is_left_out_has_a_place_in_no_list():
    named = [metric.name for metric in registry.TABLE.values() if metric.name]
    assert set(named) == set(registry.names()) and len(registry.names()) == len(set(registry.names()))
    assert registry.names() == [
        "fid",
        "sfid",
        "kid",
        "inception_score",
        "precision_recall",
        "cas",
        "nll",
        "nll_bound",
        "memorised",
        "runtime",
    ]


def test_a_distance_on_another_extractor_has_another_key_label_and_title():
    fid = registry.TABLE["fid"]
    assert fid.on("inception") is fid
    other = fid.on("vgg16")
    assert (other.key, other.label, other.title) == ("fd_vgg16", "FD", "Fréchet distance of vgg16 features")
    assert (fid.extractor_in("fd_vgg16"), fid.extractor_in("fid"), fid.extractor_in("kid")) == (
        "vgg16",
        "inception",
        None,
    )
    nll = registry.TABLE["nll"]
    assert nll.on("vgg16") is nll


def test_the_metrics_of_rows_are_in_the_order_of_the_table_each_as_it_was_measured():
    rows = [{"recall": 0.5, "seed": 1, "fd_classifier": 3.0}, {"fid": 2.0, "kid_std": 0.1}]
    assert [metric.key for metric in registry.of_rows(rows)] == ["fd_classifier", "fid", "recall"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "fidd",
            "choose from fid, sfid, kid, inception_score, precision_recall, cas, nll, nll_bound, memorised, runtime",
        ),
        ("nowhere.mine", r"eval.metrics=nowhere.mine is not possible \(No module named 'nowhere'\)"),
        ("maskgit_lab.metrics.scores.nothing", "has no attribute 'nothing'"),
        ("maskgit_lab.metrics.scores.fid", "is not a Metric of maskgit_lab.metrics.registry"),
    ],
)
def test_a_metric_that_is_not_there_is_said(name, said):
    before = dict(registry.TABLE)
    with pytest.raises(UserError, match=said):
        registry.asked_for(["kid", name])
    assert before == registry.TABLE


def test_every_function_that_the_table_names_is_there():
    from maskgit_lab.objects import locate

    named = [metric.compute for metric in registry.TABLE.values() if metric.compute is not None]
    assert len(named) == 6 and all(callable(locate(name, "compute")) for name in named)
