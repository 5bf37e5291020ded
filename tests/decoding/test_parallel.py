"""Parallel decoding, with fake models whose answers are known."""

import pytest
import torch

from maskgit_lab.decoding.parallel import decode, mask_counts
from maskgit_lab.masking.schedules import Arccos, Cosine, Cubic, Exponential, Linear, Logarithmic, Square, SquareRoot

K, MASK = 6, 7
SCHEDULES = [Cosine(), Linear(), Square(), Cubic(), SquareRoot(), Logarithmic(), Exponential(), Arccos()]

# Tokens still masked after each of 8 steps, from 256: the counts of the released implementation.
PUBLISHED = {
    Cosine: [251, 236, 212, 181, 142, 97, 49, 1],
    Linear: [224, 192, 160, 128, 96, 64, 32, 1],
    Square: [252, 240, 220, 192, 156, 112, 60, 1],
    Cubic: [255, 252, 242, 224, 193, 148, 84, 1],
    SquareRoot: [165, 128, 99, 74, 53, 34, 16, 1],
    Logarithmic: [96, 64, 45, 32, 21, 13, 6, 1],
    Exponential: [254, 252, 248, 240, 224, 192, 128, 1],
}


def random_logits(seed: int = 0):
    """A model that answers at random, but the same to the same grid."""
    table = torch.randn(MASK + 1, K, generator=torch.Generator().manual_seed(seed))
    return lambda tokens: table[tokens] + table[tokens.roll(1, dims=1)]


def with_holes(n_images: int = 32, n_tokens: int = 20) -> torch.Tensor:
    """Grids whose holes differ in size: image i has i % (n_tokens + 1) masked tokens."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, K, (n_images, n_tokens), generator=generator)
    order = torch.rand(tokens.shape, generator=generator).argsort(dim=1)
    return tokens.masked_fill(order < (torch.arange(n_images) % (n_tokens + 1))[:, None], MASK)


@pytest.mark.parametrize("kind", PUBLISHED, ids=lambda kind: kind.__name__)
def test_counts_are_the_published_ones(kind):
    assert mask_counts(torch.tensor([256]), kind(), 8)[0].tolist() == PUBLISHED[kind]


@pytest.mark.parametrize("steps", [1, 2, 5, 10, 20, 50])
def test_linear_counts_do_not_suffer_from_rounding(steps):
    counts = mask_counts(torch.tensor([100]), Linear(), steps)[0].tolist()
    exact = [100 - -(-100 * (t + 1) // steps) for t in range(steps)]  # floor(100 (1 - (t + 1) / T)) in whole numbers
    assert counts == [max(1, n) for n in exact]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
@pytest.mark.parametrize("steps", [1, 2, 8, 40])
def test_fills_every_hole_and_keeps_every_known_token(schedule, steps, generator):
    tokens = with_holes()
    known = tokens != MASK
    decoded = decode(tokens, random_logits(), schedule=schedule, steps=steps, mask_id=MASK, generator=generator)
    assert decoded.history.shape == (*tokens.shape[:1], steps, tokens.shape[1])
    assert decoded.tokens.max() < K and decoded.tokens.min() >= 0
    assert torch.equal(decoded.tokens[known], tokens[known])
    for t in range(steps):
        assert torch.equal(decoded.history[:, t][known], tokens[known])


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s.name)
def test_history_has_the_planned_masks_and_a_kept_token_stays(schedule, generator):
    tokens = with_holes()
    decoded = decode(tokens, random_logits(), schedule=schedule, steps=6, mask_id=MASK, generator=generator)
    planned = mask_counts((tokens == MASK).sum(dim=1), schedule, 6)
    assert torch.equal((decoded.history == MASK).sum(dim=2), planned)
    for before, after in zip(decoded.history.unbind(1), [*decoded.history.unbind(1)[1:], decoded.tokens], strict=True):
        kept = before != MASK
        assert torch.equal(after[kept], before[kept])


def test_a_grid_without_a_hole_stays_as_it_is():
    tokens = torch.randint(0, K, (3, 5))
    decoded = decode(tokens, random_logits(), schedule=Cosine(), steps=4, mask_id=MASK)
    assert torch.equal(decoded.tokens, tokens) and torch.equal(decoded.history[:, -1], tokens)


def test_a_certain_model_gives_its_image(generator):
    image = torch.randint(0, K, (4, 30), generator=generator)
    logits = torch.nn.functional.one_hot(image, K) * 100.0
    tokens = torch.full_like(image, MASK)
    decoded = decode(tokens, lambda _: logits, schedule=Cosine(), steps=5, mask_id=MASK, generator=generator)
    assert torch.equal(decoded.tokens, image)


def test_without_noise_the_most_certain_positions_are_kept_first():
    certainty = torch.arange(10.0)  # position 9 is the most certain
    logits = torch.zeros(1, 10, K)
    logits[..., 0] = 5 + certainty
    tokens = torch.full((1, 10), MASK)
    decoded = decode(tokens, lambda _: logits, schedule=Linear(), steps=10, mask_id=MASK, choice_temperature=0.0)
    sure = decoded.tokens[0] == 0
    assert sure[5:].all()
    assert (decoded.history[0, 2] != MASK).nonzero().flatten().tolist() == [7, 8, 9]


def test_samples_follow_the_model():
    p = torch.tensor([0.05, 0.1, 0.15, 0.2, 0.5])
    tokens = torch.full((200, 100), MASK)
    decoded = decode(
        tokens, lambda x: p.log().expand(*x.shape, 5), schedule=Cosine(), steps=1, mask_id=MASK,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    share = torch.bincount(decoded.tokens.flatten(), minlength=5) / decoded.tokens.numel()
    assert (share - p).abs().max() < 0.012


def test_a_high_temperature_chooses_positions_at_random(generator):
    logits = torch.zeros(2000, 10, K)
    logits[:, 5:, 0] = 50.0  # positions 5 to 9 are certain
    tokens = torch.full((2000, 10), MASK)
    kept = {}
    for temperature in (0.0, 1e4):
        decoded = decode(
            tokens, lambda _: logits, schedule=Linear(), steps=2, mask_id=MASK, choice_temperature=temperature,
            generator=generator,
        )  # fmt: skip
        kept[temperature] = (decoded.history[:, 0] != MASK).double().mean(dim=0)
    assert kept[0.0][5:].min() == 1
    assert (kept[1e4] - 0.5).abs().max() < 0.05


def test_the_same_generator_gives_the_same_image():
    tokens = with_holes()
    runs = [
        decode(
            tokens,
            random_logits(),
            schedule=Cosine(),
            steps=4,
            mask_id=MASK,
            generator=torch.Generator().manual_seed(s),
        )
        for s in (0, 0, 1)
    ]
    assert torch.equal(runs[0].history, runs[1].history)
    assert not torch.equal(runs[0].tokens, runs[2].tokens)


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"steps": 0}, "at least 1 step"), ({"choice_temperature": -1.0}, "negative"), ({"mask_id": 3}, "cut")],
)
def test_impossible_settings_are_refused(settings, word):
    settings = {"steps": 2, "mask_id": MASK} | settings
    with pytest.raises(ValueError, match=word):
        decode(torch.full((1, 4), settings["mask_id"]), random_logits(), schedule=Cosine(), **settings)


def generators(numbers):
    return [torch.Generator().manual_seed(number) for number in numbers]


def test_with_a_generator_each_an_image_is_the_same_in_any_batch():
    tokens = with_holes(23)
    settings = {"schedule": Cosine(), "steps": 5, "mask_id": MASK}
    whole = decode(tokens, random_logits(), **settings, generator=generators(range(23)))
    parts = [
        decode(tokens[i : i + 7], random_logits(), **settings, generator=generators(range(i, min(i + 7, 23))))
        for i in range(0, 23, 7)
    ]
    assert torch.equal(whole.history, torch.cat([part.history for part in parts]))
    backwards = decode(tokens.flip(0), random_logits(), **settings, generator=generators(reversed(range(23))))
    assert torch.equal(whole.tokens, backwards.tokens.flip(0))


def test_images_with_equal_generators_are_equal_and_others_differ():
    tokens = torch.full((3, 30), MASK)
    made = decode(tokens, random_logits(), schedule=Cosine(), steps=3, mask_id=MASK, generator=generators([1, 1, 2]))
    assert torch.equal(made.tokens[0], made.tokens[1]) and not torch.equal(made.tokens[0], made.tokens[2])


def test_samples_follow_the_model_with_a_generator_each_too():
    p = torch.tensor([0.05, 0.1, 0.15, 0.2, 0.5])
    tokens = torch.full((200, 100), MASK)
    logits_fn = lambda x: p.log().expand(*x.shape, 5)  # noqa: E731
    made = decode(tokens, logits_fn, schedule=Cosine(), steps=1, mask_id=MASK, generator=generators(range(200)))
    share = torch.bincount(made.tokens.flatten(), minlength=5) / made.tokens.numel()
    assert (share - p).abs().max() < 0.012


def test_a_generator_for_some_images_only_is_refused():
    tokens, settings = torch.full((3, 4), MASK), {"schedule": Cosine(), "steps": 2, "mask_id": MASK}
    with pytest.raises(ValueError, match="2 generators for 3 images"):
        decode(tokens, random_logits(), **settings, generator=generators([0, 1]))
