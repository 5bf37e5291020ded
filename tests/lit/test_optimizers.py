"""Any optimizer and learning-rate schedule: what each is given, and that a resumed training goes on bit for bit."""

import itertools

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, StepLR

from maskgit_lab.errors import UserError
from maskgit_lab.lit.dead_codes import _replace
from maskgit_lab.lit.optimizers import Several, WarmedUp, kernels, make_optimizer, make_scheduler
from maskgit_lab.nets.classifier import ResNet50, SmallConvNet
from maskgit_lab.nets.discriminator import Discriminator
from maskgit_lab.nets.vqgan import VQGAN
from maskgit_lab.settings import Optim
from small_training import Kill, Stopped, module, network, train, weights

LION = "timm.optim.Lion"
OPTIMIZERS = {
    "torch.optim.AdamW": {"betas": [0.9, 0.96]},
    "torch.optim.SGD": {"momentum": 0.9},
    "torch.optim.Muon": {"betas": [0.9, 0.96], "momentum": 0.9},  # of these, betas are AdamW's
    LION: {},
}
SCHEDULERS = {
    "OneCycleLR": {"max_lr": 0.02, "total_steps": "total_steps", "cycle_momentum": False},
    "CosineAnnealingLR": {"T_max": "total_steps"},
    "StepLR": {"step_size": "total_steps/3", "gamma": 0.5},
}


def optimizer_of(target: str) -> dict:
    if target == LION:
        pytest.importorskip("timm")
    return {"_target_": target, "_partial_": True, **OPTIMIZERS[target]}


def scheduler_of(name: str) -> dict:
    return {"_target_": f"torch.optim.lr_scheduler.{name}", **SCHEDULERS[name]}


def optim(**settings) -> Optim:
    return Optim(**{"epochs": 1, "batch_size": 8, "lr": 1e-2, "weight_decay": 0.1, **settings})


def test_the_default_is_adamw():
    made = make_optimizer(network(), optim())
    assert type(made) is torch.optim.AdamW
    assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0.0]
    assert all(group["lr"] == 1e-2 and group["betas"] == (0.9, 0.999) for group in made.param_groups)


NETWORKS = {
    "transformer": network,
    "vqgan": lambda: VQGAN(8, latent_dim=4, base_width=4, multipliers=(1, 2), n_blocks=1, norm_groups=2),
    "discriminator": lambda: Discriminator(16, base_width=2, max_width=8),
    "small classifier": lambda: SmallConvNet(3, width=4),
    "ResNet": lambda: ResNet50(3, layers=[1, 1, 1, 1]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_decay_is_for_the_kernels_of_every_network_of_the_suite(name):
    net = NETWORKS[name]()
    names = {id(parameter): key for key, parameter in net.named_parameters()}
    decayed, kept = ({names[id(p)] for p in group["params"]} for group in make_optimizer(net, optim()).param_groups)
    layers = {key: type(module) for key, module in net.named_modules()}
    assert {layers[key.rpartition(".")[0]] for key in decayed} <= {nn.Linear, nn.Conv2d}
    assert {key.rpartition(".")[2] for key in decayed} == {"weight"}
    of_kernels = {key for key, kind in layers.items() if kind in (nn.Linear, nn.Conv2d)}
    assert decayed == {f"{key}.weight" for key in of_kernels}
    assert decayed | kept == set(names.values())


def test_decay_is_not_for_what_only_has_two_axes():
    net = network()
    _, kept = make_optimizer(net, optim()).param_groups
    ids = {id(p) for p in kept["params"]}
    assert {id(net.token_embedding.weight), id(net.position_embedding.weight)} <= ids
    vqgan = NETWORKS["vqgan"]()
    assert vqgan.quantizer.codebook not in kernels(vqgan)


def test_decay_is_for_the_projections_of_attention_but_not_for_a_tied_embedding():
    attention, embedding = nn.MultiheadAttention(4, 2), nn.Embedding(3, 4)
    head = nn.Linear(4, 3, bias=False)
    head.weight = embedding.weight
    found = kernels(nn.ModuleList([attention, embedding, head]))
    assert found == {attention.in_proj_weight, attention.out_proj.weight}


def test_muon_has_the_matrices_of_linear_layers_and_adamw_all_else():
    net = network()
    made = make_optimizer(net, optim(optimizer=optimizer_of("torch.optim.Muon")))
    assert isinstance(made, Several)
    muon, adamw = made.parts
    (of_muon,) = muon.param_groups
    linear = [layer.weight for layer in net.modules() if isinstance(layer, torch.nn.Linear)]
    assert {id(p) for p in of_muon["params"]} == {id(p) for p in linear}
    assert [group["weight_decay"] for group in adamw.param_groups] == [0.0]
    assert {id(e.weight) for e in (net.token_embedding, net.position_embedding)} <= {
        id(p) for p in adamw.param_groups[0]["params"]
    }
    assert adamw.param_groups[0]["betas"] == (0.9, 0.96) and of_muon["momentum"] == 0.9
    assert sum(len(group["params"]) for group in made.param_groups) == len(list(net.parameters()))


def test_several_optimizers_do_what_each_does_alone():
    one, other = network(), network()
    together = make_optimizer(one, optim(optimizer=optimizer_of("torch.optim.Muon")))
    alone = make_optimizer(other, optim(optimizer=optimizer_of("torch.optim.Muon"))).parts
    tokens, labels = torch.arange(18).view(2, 9) % 12, torch.tensor([0, 1])
    for _ in range(3):
        for net in (one, other):
            net.eval().zero_grad()
            net(tokens, labels).square().mean().backward()
        together.step()
        for part in alone:
            part.step()
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("target", "scheduler"),
    [*itertools.product(OPTIMIZERS, [None]), *itertools.product(["torch.optim.Muon"], SCHEDULERS)],
)
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, target, scheduler):
    settings = {"optimizer": optimizer_of(target), "decay": "cosine"}
    settings |= {"scheduler": scheduler_of(scheduler)} if scheduler else {}
    whole, killed, resumed = (module(epochs=3, **settings) for _ in range(3))
    start = weights(whole)
    train(whole, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(killed, tmp_path / "cut", Kill(2))
    train(resumed, tmp_path / "cut")
    assert torch.equal(weights(whole), weights(resumed))
    assert not torch.equal(weights(whole), start) and not torch.equal(weights(whole), weights(killed))


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_schedule_follows_the_warm_up_as_it_is_alone(name):
    settings = optim(warmup_steps=5, scheduler=scheduler_of(name))
    lrs = _learning_rates(make_scheduler, settings, 25)
    kind = {"OneCycleLR": OneCycleLR, "CosineAnnealingLR": CosineAnnealingLR, "StepLR": StepLR}[name]
    steps = {"total_steps": 20, "total_steps/3": 7}  # a third, rounded up
    own = {key: steps.get(value, value) for key, value in SCHEDULERS[name].items()}
    alone = _learning_rates(lambda optimizer, *_: kind(optimizer, **own), optim(), 20)
    assert lrs[5:] == alone
    assert lrs[:5] == pytest.approx([alone[0] * step / 5 for step in range(1, 6)])


def _learning_rates(make, settings, steps):
    optimizer = make_optimizer(network(), settings)
    schedule = make(optimizer, settings, steps)
    lrs = []
    for _ in range(steps):
        lrs.append(optimizer.param_groups[0]["lr"])
        assert schedule.get_last_lr()[0] == lrs[-1]
        optimizer.step()
        schedule.step()
    return lrs


def test_a_schedule_without_a_warm_up_begins_at_once():
    schedule = make_scheduler(make_optimizer(network(), optim()), optim(scheduler=scheduler_of("StepLR")), 10)
    assert isinstance(schedule, WarmedUp) and schedule.get_last_lr() == [1e-2, 1e-2]


REFUSED = {
    "no class": ({"_target_": "torch.optim.Adan"}, "has no attribute 'Adan'"),
    "no optimizer": ({"_target_": "torch.nn.Linear"}, "_target_ does not make the required Optimizer"),
    "a word": ({"_target_": "adam"}, "not a module and a name in it"),
    "unknown": (
        {"_target_": "torch.optim.SGD", "betas": [0.9, 0.9]},
        "~mvtm.optim.optimizer.betas on the command line",
    ),
    "ours": ({"_target_": "torch.optim.SGD", "lr": 1.0}, "optimizer.lr is not used: give mvtm.optim.lr"),
    "decay": ({"_target_": "torch.optim.Rprop"}, "Rprop takes no weight_decay: set mvtm.optim.weight_decay=0"),
    "value": ({"_target_": "torch.optim.SGD", "momentum": -1.0}, "Invalid momentum value"),
    "one group": ({"_target_": "torch.optim.SparseAdam", "eps": "x"}, "optimizer"),
}


@pytest.mark.parametrize(("node", "sentence"), REFUSED.values(), ids=REFUSED)
def test_another_optimizer_is_refused_in_one_sentence(node, sentence):
    with pytest.raises(UserError) as caught:
        make_optimizer(network(), optim(optimizer=node), "mvtm.optim")
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


BAD_SCHEDULES = {
    "plateau": ({"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau"}, "depends on a metric and not on the step"),
    "needs": ({"_target_": "torch.optim.lr_scheduler.StepLR"}, "step_size"),
    "unknown": ({"_target_": "torch.optim.lr_scheduler.StepLR", "step": 1}, "scheduler.step: there is no such setting"),
    "no schedule": ({"_target_": "torch.optim.SGD"}, "_target_ does not make the required LRScheduler"),
}


@pytest.mark.parametrize(("node", "sentence"), BAD_SCHEDULES.values(), ids=BAD_SCHEDULES)
def test_another_schedule_is_refused_in_one_sentence(node, sentence):
    made = make_optimizer(network(), optim())
    with pytest.raises(UserError) as caught:
        make_scheduler(made, optim(scheduler=node), 10, "mvtm.optim")
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("target", ["torch.optim.AdamW", "torch.optim.SGD"])
def test_reviving_a_code_resets_what_any_optimizer_keeps_of_it(target):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.quantizer = torch.nn.Module()
            self.quantizer.codebook = torch.nn.Parameter(torch.randn(4, 3))

    net = Net()
    codebook = net.quantizer.codebook
    made = make_optimizer(net, optim(optimizer=optimizer_of(target)))
    codebook.sum().backward()
    made.step()

    class Module:
        trainer = type("T", (), {"optimizers": [made]})
        ema = None

    Module.net = net
    _replace(Module, torch.tensor([True, False, False, False]), torch.zeros(1, 3))
    kept = [value for value in made.state[codebook].values() if value.shape == codebook.shape]
    assert kept and all((value[0] == 0).all() and (value[1:] != 0).all() for value in kept)
    assert (codebook[0] == 0).all()


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_a_schedule_that_ends_too_early_is_a_sentence():
    node = {
        "_target_": "torch.optim.lr_scheduler.OneCycleLR",
        "max_lr": 0.02,
        "total_steps": 2,
        "cycle_momentum": False,
    }
    schedule = make_scheduler(make_optimizer(network(), optim()), optim(scheduler=node), 10, "mvtm.optim")
    with pytest.raises(UserError, match=r"^mvtm.optim.scheduler fails \(Tried to step"):
        for _ in range(10):
            schedule.step()


def test_annotations_that_only_type_checkers_can_read_do_not_matter():
    node = {"_target_": "torch.optim.lr_scheduler.CyclicLR", "base_lr": 0.001, "max_lr": 0.01, "cycle_momentum": False}
    schedule = make_scheduler(make_optimizer(network(), optim()), optim(scheduler=node), 10)
    assert schedule.get_last_lr()[0] > 0
