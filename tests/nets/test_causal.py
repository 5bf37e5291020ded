"""The causal transformer: its size, what each position sees, its cache and its file."""

import json
from inspect import getattr_static

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from maskgit_lab.decoding.base import CausalModel
from maskgit_lab.errors import UserError
from maskgit_lab.nets.causal import CausalTransformer
from maskgit_lab.nets.files import METADATA, open_net, save_net
from maskgit_lab.nets.orders import Column, Permutation, Raster, Spiral
from maskgit_lab.nets.transformer import Transformer

K, CLASSES, SIDE = 12, 3, 3
N = SIDE * SIDE
SMALL = {"n_codes": K, "n_classes": CLASSES, "n_tokens": N, "depth": 2, "heads": 2, "width": 16, "mlp_width": 32}
ORDERS = [Raster(), Column(), Spiral(), Permutation(1)]
every_order = pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)


def small(order=None, seed: int = 0) -> CausalTransformer:
    """With weights that are large enough for every position to matter."""
    torch.manual_seed(seed)
    net = CausalTransformer(**SMALL, order=None if order is None else order(SIDE, SIDE).tolist()).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "norm" not in name:
                parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return net


def inputs(n_images: int = 4, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, K, (n_images, N), generator=generator), torch.arange(n_images) % CLASSES


PAPER = {"n_codes": 1024, "n_classes": 1000, "n_tokens": 256}


@pytest.mark.parametrize("sizes", [SMALL, PAPER], ids=["small", "paper"])
def test_has_as_many_weights_as_the_bidirectional_one_under_the_same_names(sizes):
    with torch.device("meta"):
        nets = [kind(**sizes) for kind in (CausalTransformer, Transformer)]
    shapes = [{name: tuple(value.shape) for name, value in net.state_dict().items()} for net in nets]
    assert shapes[0] == shapes[1]
    counts = [sum(p.numel() for p in net.parameters()) for net in nets]
    assert counts[0] == counts[1] and (sizes is SMALL or counts[0] == 172_457_193)


@every_order
@torch.no_grad()
def test_a_position_sees_the_class_and_what_comes_before_it_in_the_order(order):
    net, (tokens, labels) = small(order), inputs()
    positions, before = order(SIDE, SIDE).tolist(), net(tokens, labels)
    for i, position in enumerate(positions):
        other = tokens.clone()
        other[:, position] = (other[:, position] + 1) % K
        changed = (net(other, labels) - before).abs().amax(dim=(0, 2)) > 1e-4
        assert set(changed.nonzero().flatten().tolist()) == set(positions[i + 1 :])
    assert ((net(tokens, (labels + 1) % CLASSES) - before).abs().amax(dim=-1) > 1e-4).all()
    masked = tokens.clone()
    masked[:, positions[4:]] = net.mask_id  # what is not known yet may be anything
    assert torch.equal(net(masked, labels)[:, positions[:5]], before[:, positions[:5]])


@torch.no_grad()
def test_the_class_token_comes_first_and_the_order_is_that_of_the_sequence():
    net, (tokens, labels) = small(Spiral()), inputs()
    ordered = tokens[:, Spiral()(SIDE, SIDE)]
    sequence = torch.cat([labels[:, None] + K, ordered], dim=1)
    whole = net.sequence_logits(sequence)[:, :-1, :K]  # the last position has no token to predict
    assert torch.allclose(net(tokens, labels)[:, Spiral()(SIDE, SIDE)], whole, atol=1e-6)


@torch.no_grad()
def test_no_class_has_logits_of_its_own():
    net, (tokens, _) = small(), inputs()
    by_class = torch.stack([net(tokens, torch.full((4,), c)) for c in range(CLASSES + 1)])
    assert net.null_label == CLASSES and all(not torch.equal(by_class[-1], each) for each in by_class[:-1])


@every_order
@torch.no_grad()
def test_the_next_token_is_predicted_alike_with_a_cache_without_and_in_training(order):
    net, (tokens, labels) = small(order), inputs()
    positions, whole, cache = order(SIDE, SIDE), net(tokens, labels), net.new_cache(len(tokens))
    for t, position in enumerate(positions.tolist()):
        known = tokens[:, positions[:t]]
        cached, uncached = net.next_logits(known, labels, cache), net.next_logits(known, labels)
        assert cache.length == t + 1
        assert (cached - uncached).abs().max() < 1e-5 and (cached - whole[:, position]).abs().max() < 1e-5


@pytest.mark.parametrize("lengths", [[0, 5, 6], [3, 4, 9 - 1], [8], [0, 1, 8]], ids=str)
@torch.no_grad()
def test_a_cache_takes_several_new_positions_at_once(lengths):
    net, (tokens, labels) = small(), inputs()
    cache = net.new_cache(len(tokens))
    for t in lengths:
        found = net.next_logits(tokens[:, :t], labels, cache)
        assert (found - net(tokens, labels)[:, t]).abs().max() < 1e-5


@torch.no_grad()
def test_a_cache_of_classes_is_shared_by_their_images():
    net, (tokens, _) = small(), inputs(5)
    labels, classes = torch.tensor([2, 0, 2, 1, 0]), torch.arange(3)
    of_classes, own = net.new_cache(3), net.new_cache(5)
    first = net.next_logits(tokens[:3, :0], classes, of_classes)
    own.take(of_classes, labels)
    assert own.length == 1 and (first[labels] - net(tokens, labels)[:, 0]).abs().max() < 1e-5
    net.next_logits(tokens[:, :1], labels, own)
    assert of_classes.length == 1  # its own positions are copies
    assert (net.next_logits(tokens[:, :2], labels, own) - net(tokens, labels)[:, 2]).abs().max() < 1e-5


def test_a_cache_is_of_the_type_of_the_weights():
    cache = small().bfloat16().new_cache(3)
    assert {layer.keys_BHSd.dtype for layer in cache.layers} == {torch.bfloat16}
    assert cache.layers[0].keys_BHSd.shape == (3, 2, N, 8) and cache.length == 0


def test_is_known_as_causal_without_asking_its_getattr():
    """As `isinstance` with a protocol does from Python 3.12 on, which sees no buffer."""
    net = small()
    assert isinstance(net, CausalModel) and not isinstance(Transformer(**SMALL), CausalModel)
    for name in ("order_N", "mask_id", "null_label", "next_logits", "new_cache"):
        getattr_static(net, name)


def test_takes_no_memory_on_the_meta_device():
    with torch.device("meta"):
        net = CausalTransformer(n_codes=1024, n_classes=1000, n_tokens=1024, order=list(range(1024)))
        logits = net(torch.zeros(2, 1024, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
        cached = net.next_logits(torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2).long(), net.new_cache(2))
    assert (logits.shape, cached.shape, logits.device.type) == ((2, 1024, 1024), (2, 1024), "meta")


@torch.no_grad()
def test_dropout_acts_only_in_training():
    torch.manual_seed(0)
    net, (tokens, labels) = CausalTransformer(**SMALL, dropout=0.5).train(), inputs()
    assert not torch.equal(net(tokens, labels), net(tokens, labels))
    assert torch.equal(net.eval()(tokens, labels), net(tokens, labels))


@pytest.mark.parametrize("order", [None, *ORDERS], ids=lambda order: order and order.name)
@torch.no_grad()
def test_a_file_holds_the_order(order, tmp_path):
    net, (tokens, labels) = small(order), inputs()
    save_net(net, tmp_path / "net.safetensors")
    found = open_net(tmp_path / "net.safetensors", CausalTransformer).eval()
    assert torch.equal(found.order_N, net.order_N) and torch.equal(found(tokens, labels), net(tokens, labels))
    with pytest.raises(UserError, match="holds a causal transformer, not a transformer"):
        open_net(tmp_path / "net.safetensors", Transformer)


DAMAGED = {
    "another length": {"order": [0, 1, 2]},
    "duplicates": {"order": [0] * N},
    "a text": {"order": "raster"},
    "a number": {"order": 5},
    "floats": {"order": [float(i) for i in range(N)]},
    "lists": {"order": [[i] for i in range(N)]},
    "far too many tokens": {"order": None, "n_tokens": 10**13},
}


@pytest.mark.parametrize("sizes", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_order_in_a_file_is_refused(sizes, tmp_path):
    path = tmp_path / "net.safetensors"
    save_net(small(Spiral()), path)
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()[METADATA])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    about["sizes"] |= sizes
    save_file(arrays, path, {METADATA: json.dumps(about)})
    with pytest.raises(UserError, match=r"describes an impossible network|does not fit the network") as caught:
        open_net(path, CausalTransformer)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", [[0, 1], [0] * N, [*range(N - 1), 0.5], list(range(1, N + 1))], ids=str)
def test_an_order_that_is_none_of_the_tokens_is_refused(order):
    with pytest.raises(ValueError, match="order"):
        CausalTransformer(**SMALL, order=order)
