"""Autoregressive decoding: fake models whose answers are known, and a small network with and without its cache."""

import math

import pytest
import torch

from maskgit_lab.decoding.autoregressive import Autoregressive, decode_in_order, probabilities
from maskgit_lab.decoding.guidance import guided_causal
from maskgit_lab.errors import UserError
from maskgit_lab.nets.causal import CausalTransformer
from maskgit_lab.nets.orders import Column, Permutation, Raster, Spiral

K, CLASSES, SIDE = 12, 3, 4
N, MASK, NOBODY = SIDE * SIDE, K + CLASSES, CLASSES
ORDERS = [Raster(), Column(), Spiral(), Permutation(1)]
every_order = pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.name)


def generators(numbers):
    return [torch.Generator().manual_seed(number) for number in numbers]


def network(order=Raster()) -> CausalTransformer:  # noqa: B008
    """With weights that are large enough for every token to matter."""
    torch.manual_seed(0)
    sizes = {"n_codes": K, "n_classes": CLASSES, "n_tokens": N, "depth": 2, "heads": 2, "width": 16, "mlp_width": 32}
    net = CausalTransformer(**sizes, order=order(SIDE, SIDE).tolist()).eval()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "norm" not in name:
                parameter.copy_(torch.randn(parameter.shape) * 0.7)
    return net


class Known:
    """A model of known logits; each call is remembered as the number of images and of the tokens before."""

    mask_id, null_label = MASK, NOBODY

    def __init__(self, logits, order=None):
        self.logits, self.calls = logits, []  # a function of the known tokens and the labels
        self.order_N = torch.arange(N) if order is None else order

    def __call__(self, tokens, labels):
        raise AssertionError("one token after the other")

    def next_logits(self, known, labels, cache=None):
        self.calls.append(tuple(known.shape))
        assert (known < K).all(), "the mask token is no code"
        return self.logits(known, labels)

    def new_cache(self, batch_size):
        return None


def holes(n_images: int = 12) -> torch.Tensor:
    """Grids with holes anywhere: none in the first image, nothing but holes in the last."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, K, (n_images, N), generator=generator)
    share = torch.arange(n_images) / (n_images - 1)
    return tokens.masked_fill(torch.rand(tokens.shape, generator=generator) < share[:, None], MASK)


def fill(model, tokens, numbers=None, labels=None, **settings):
    labels = torch.arange(len(tokens)) % CLASSES if labels is None else labels
    with torch.inference_mode():
        return Autoregressive(**settings)(model, tokens, labels, generators(numbers or range(len(tokens))))


@every_order
@pytest.mark.parametrize("settings", [{}, {"top_k": 3}, {"top_p": 0.5, "temperature": 0.7}, {"guidance": 1.5}], ids=str)
def test_samples_are_the_same_with_and_without_a_cache(order, settings):
    net, tokens = network(order), holes()
    cached, uncached = (fill(net, tokens, **settings, kv_cache=on) for on in (True, False))
    assert torch.equal(cached.tokens, uncached.tokens) and torch.equal(cached.history, uncached.history)


@every_order
def test_every_hole_is_filled_and_every_known_token_kept(order):
    tokens = holes()
    given, known = tokens.clone(), tokens != MASK
    decoded = fill(network(order), tokens)
    assert torch.equal(tokens, given) and torch.equal(decoded.tokens[known], tokens[known])
    assert decoded.tokens.max() < K and decoded.tokens.min() >= 0
    assert torch.equal(decoded.tokens[0], tokens[0]) and decoded.history.shape == (len(tokens), N, N)
    positions = order(SIDE, SIDE)
    for t in range(N):
        there = known.clone()
        there[:, positions[: t + 1]] = True
        assert torch.equal(decoded.history[:, t], decoded.tokens.where(there, MASK))


@pytest.mark.parametrize("kv_cache", [True, False])
@pytest.mark.parametrize("size", [1, 5, 11])
def test_a_sample_does_not_depend_on_its_batch(kv_cache, size):
    net, tokens, labels = network(Spiral()), holes(), torch.tensor([0, 1, 2, 2, 1, 0] * 2)
    whole = fill(net, tokens, labels=labels, kv_cache=kv_cache).tokens
    rows = [range(i, min(i + size, len(tokens))) for i in range(0, len(tokens), size)]
    parts = [fill(net, tokens[list(r)], r, labels[list(r)], kv_cache=kv_cache).tokens for r in rows]
    assert torch.equal(whole, torch.cat(parts))
    shuffled = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(size))
    others = fill(net, tokens[shuffled], shuffled.tolist(), labels[shuffled], kv_cache=kv_cache).tokens
    assert torch.equal(whole[shuffled], others)


def test_what_an_image_draws_depends_on_its_own_holes_alone():
    """The generators of two images are where each has drawn as often as it has holes."""
    tokens, own = holes(), generators(range(12))
    p = torch.full((K,), 1 / K)
    with torch.inference_mode():
        Autoregressive()(Known(lambda x, _: p.log().expand(len(x), K)), tokens, torch.zeros(12).long(), own)
    for number, generator in enumerate(own):
        alone = torch.Generator().manual_seed(number)
        for _ in range(int((tokens[number] == MASK).sum())):
            torch.empty(K).exponential_(generator=alone)
        assert torch.equal(generator.get_state(), alone.get_state())


def test_a_token_sees_those_before_it_in_the_order_and_no_others():
    positions = Column()(SIDE, SIDE)

    def next_code(known, labels):
        code = known.sum(dim=1) + known.shape[1] + labels
        return torch.nn.functional.one_hot(code % K, K) * 1000.0

    tokens = torch.full((2, N), MASK)
    tokens[1, positions[5]] = 7
    found = fill(Known(next_code, positions), tokens, labels=torch.tensor([1, 2])).tokens[:, positions]
    for image, label in enumerate((1, 2)):
        expected = []
        for t in range(N):
            expected.append(7 if (image, t) == (1, 5) else (sum(expected) + t + label) % K)
        assert found[image].tolist() == expected


@pytest.mark.parametrize("guidance", [0.0, 2.0])
@pytest.mark.parametrize("kv_cache", [True, False])
def test_the_first_step_is_computed_once_for_each_class(kv_cache, guidance):
    model = Known(lambda known, labels: labels[:, None].float().expand(-1, K) * 0)
    model.new_cache = lambda size: Counted(size)
    fill(model, torch.full((6, N), MASK), labels=torch.tensor([2, 0, 2, 2, 0, 2]), kv_cache=kv_cache, guidance=guidance)
    twice = 2 if guidance else 1
    assert model.calls == [(2, 0)] * twice + [(6, t) for t in range(1, N) for _ in range(twice)]


class Counted:
    """A cache of so many images."""

    def __init__(self, size):
        self.size = size

    def take(self, other, index):
        assert self.size == len(index) == 6 and other.size == 2


def test_nothing_is_computed_where_nothing_is_masked():
    model = Known(lambda known, _: torch.zeros(len(known), K))
    tokens = torch.zeros(3, N, dtype=torch.int64)
    assert torch.equal(fill(model, tokens).tokens, tokens) and model.calls == []
    tokens[1, 3] = tokens[2, 9] = MASK
    fill(model, tokens)
    assert model.calls == [(3, 3), (3, 9)]


@pytest.mark.parametrize("kv_cache", [True, False])
@torch.no_grad()
def test_guidance_moves_away_from_no_class(kv_cache):
    net, tokens, labels = network(), holes()[:3].clamp(max=K - 1), torch.tensor([0, 2, 1])
    model = guided_causal(net, 0.5)
    cache = model.new_cache(3) if kv_cache else None
    for t in range(0, N, 3):
        known, nobody = tokens[:, :t], torch.full_like(labels, NOBODY)
        expected = 1.5 * net.next_logits(known, labels) - 0.5 * net.next_logits(known, nobody)
        assert (model.next_logits(known, labels, cache) - expected).abs().max() < 1e-5
    assert guided_causal(net, 0.0) is net
    whole = 1.5 * net(tokens, labels) - 0.5 * net(tokens, nobody)
    assert (model(tokens, labels) - whole).abs().max() < 1e-5


P = [0.4, 0.3, 0.2, 0.1]
# What is left of P, by hand.
CUTS = [
    ({}, P),
    ({"top_k": 4}, P),
    ({"top_k": 100}, P),
    ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
    ({"top_k": 1}, [1, 0, 0, 0]),
    ({"top_p": 0.39}, [1, 0, 0, 0]),
    ({"top_p": 0.41}, [4 / 7, 3 / 7, 0, 0]),
    ({"top_p": 0.69}, [4 / 7, 3 / 7, 0, 0]),
    ({"top_p": 0.85}, [4 / 9, 3 / 9, 2 / 9, 0]),
    ({"top_p": 1e-9}, [1, 0, 0, 0]),
    ({"top_k": 3, "top_p": 0.5}, [4 / 7, 3 / 7, 0, 0]),  # of 4/9, 3/9 and 2/9
    ({"top_k": 3, "top_p": 0.4}, [1, 0, 0, 0]),
    ({"temperature": 0.5}, [0.16 / 0.3, 0.09 / 0.3, 0.04 / 0.3, 0.01 / 0.3]),
    ({"temperature": 2}, [p**0.5 / sum(q**0.5 for q in P) for p in P]),
    ({"temperature": 0.5, "top_k": 2}, [16 / 25, 9 / 25, 0, 0]),
    ({"temperature": 1e30}, [0.25] * 4),
    *(({"temperature": small}, [1, 0, 0, 0]) for small in (1e-3, 1e-30, 1e-44, 1e-310)),
]


@pytest.mark.parametrize(("settings", "expected"), CUTS, ids=str)
def test_what_tokens_are_drawn_from(settings, expected, generator):
    order = torch.tensor([2, 0, 3, 1])  # the likeliest codes are anywhere
    logits = (torch.tensor(P).log() + 50)[order].expand(2, 4)
    found = probabilities(logits, **settings)
    assert torch.allclose(
        found / found.sum(-1, keepdim=True), torch.tensor(expected, dtype=torch.float)[order], atol=1e-5
    )
    assert found.dtype == torch.float32 and (found == 0).sum() == 2 * (torch.tensor(expected) == 0).sum()


@pytest.mark.parametrize("settings", [{}, {"top_k": 2}, {"top_p": 0.85}, {"temperature": 2.0}], ids=str)
def test_samples_follow_what_they_are_drawn_from(settings):
    logits = torch.full((K,), -math.inf)
    logits[3:7] = torch.tensor(P).log()
    tokens = torch.full((300, N), MASK)
    made = fill(Known(lambda known, _: logits.expand(len(known), K)), tokens, **settings).tokens
    share = torch.bincount(made.flatten(), minlength=K) / made.numel()
    expected = next(cut for own, cut in CUTS if own == {**settings})
    assert (share[3:7] - torch.tensor(expected)).abs().max() < 4 * (0.25 / made.numel()) ** 0.5
    assert share[3:7].sum() == pytest.approx(1) and made.max() < K  # a code of -inf is never drawn


@pytest.mark.parametrize(
    "settings", [{"temperature": 1e-6}, {"temperature": 1e-44}, {"top_k": 1}, {"top_p": 1e-6}], ids=str
)
def test_near_temperature_0_the_likeliest_token_is_taken(settings):
    net = network(Spiral())
    made = fill(net, torch.full((5, N), MASK), **settings).tokens
    with torch.inference_mode():
        assert torch.equal(net(made, torch.arange(5) % CLASSES).argmax(dim=-1), made) and len(made.unique()) > 1


def test_equal_generators_give_equal_images_and_others_differ():
    made = fill(network(), torch.full((3, N), MASK), [1, 1, 2], torch.zeros(3, dtype=torch.int64)).tokens
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def test_a_generator_for_some_images_only_is_refused():
    with pytest.raises(ValueError, match="2 generators for 3 images"):
        fill(network(), torch.full((3, N), MASK), [0, 1])


def test_any_function_of_the_tokens_before_is_decoded():
    """`decode_in_order` knows no network and no classes."""
    seen = []

    def next_logits(known):
        seen.append(known.shape[1])
        return torch.nn.functional.one_hot(torch.full((len(known),), known.shape[1]), K) * 1000.0

    tokens = torch.full((2, 5), MASK)
    order = torch.tensor([4, 2, 0, 1, 3])
    found = decode_in_order(
        tokens, next_logits, order=order, mask_id=MASK, probabilities=probabilities, generators=generators(range(2))
    )
    assert found.tokens.tolist() == [[2, 3, 1, 4, 0]] * 2 and seen == [0, 1, 2, 3, 4]


WRONG = [
    {"temperature": 0.0},
    {"temperature": -1.0},
    {"temperature": math.nan},
    {"top_k": 0},
    {"top_k": -3},
    {"top_p": 0.0},
    {"top_p": 1.5},
    {"top_p": math.nan},
    {"guidance": -0.1},
    {"guidance": math.nan},
]


@pytest.mark.parametrize("settings", WRONG, ids=str)
def test_settings_that_make_no_sense_are_refused(settings):
    ((key, value),) = settings.items()
    with pytest.raises(UserError) as caught:
        Autoregressive(**settings)
    assert str(caught.value).startswith(f"decode.{key}={value} is not possible: give ")


def test_guidance_needs_a_model_that_knows_no_class():
    with pytest.raises(UserError, match=r"^decode.guidance=2.0 needs a model that was trained with mvtm.label_dropout"):
        Autoregressive(guidance=2.0).check_fits_model(autoregressive=True, label_dropout=0.0)
    Autoregressive(guidance=2.0).check_fits_model(autoregressive=True, label_dropout=0.1)
    with pytest.raises(UserError, match="needs an autoregressive model, and this one fills masked tokens"):
        Autoregressive().check_fits_model(autoregressive=False, label_dropout=0.0)


def test_its_settings_are_those_of_a_row_and_it_has_no_steps():
    decoder = Autoregressive(top_k=5)
    own = {"temperature": 1.0, "top_k": 5, "top_p": 1.0, "guidance": 0.0, "kv_cache": True}
    assert decoder.settings == {"decoder": "autoregressive", **own} and decoder.with_steps(8) is decoder
