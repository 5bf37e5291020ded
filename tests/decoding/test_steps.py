"""The steps of a decoding, one by one: they are those of `decode`, and say what was kept for which confidence."""

from itertools import pairwise

import pytest
import torch

from maskgit_lab.decoding.parallel import decode, decode_steps, mask_counts
from maskgit_lab.masking.schedules import Cosine, Square

K, MASK, T = 6, 7, 5


def model(tokens: torch.Tensor) -> torch.Tensor:
    table = torch.randn(MASK + 1, K, generator=torch.Generator().manual_seed(0))
    return table[tokens] + table[tokens.roll(1, dims=1)]


def steps_of(tau: float = 4.5, n_known: int = 6, seed: int = 2):
    tokens = torch.full((3, 20), MASK)
    tokens[:, :n_known] = 1
    settings = {"schedule": Cosine(), "steps": T, "mask_id": MASK, "choice_temperature": tau}
    made = list(decode_steps(tokens, model, **settings, generator=torch.Generator().manual_seed(seed)))
    return tokens, settings, made


def test_they_are_the_steps_of_decode():
    tokens, settings, made = steps_of()
    decoded = decode(tokens, model, **settings, generator=torch.Generator().manual_seed(2))
    assert torch.equal(torch.stack([step.after for step in made], dim=1), decoded.history)
    assert torch.equal(made[-1].filled, decoded.tokens)
    assert torch.equal(made[0].before, tokens)
    for step, following in pairwise(made):
        assert torch.equal(step.after, following.before)


def test_the_log_probability_is_that_of_the_sampled_code():
    for step in steps_of()[-1]:
        masked = step.before == MASK
        log_p = model(step.before).log_softmax(dim=-1).gather(-1, step.filled[..., None])[..., 0]
        torch.testing.assert_close(step.log_p[masked], log_p[masked])


@pytest.mark.parametrize("tau", [0.0, 4.5])
def test_the_least_confident_are_masked_again(tau):
    tokens, _, made = steps_of(tau)
    counts = mask_counts((tokens == MASK).sum(dim=1), Cosine(), T)
    for t, step in enumerate(made):
        again = step.after == MASK
        assert torch.equal(again.sum(dim=1), counts[:, t])
        assert step.confidence[step.before != MASK].isposinf().all()
        worst_kept = step.confidence.masked_fill(again, torch.inf).amin(dim=1)
        best_masked = step.confidence.masked_fill(~again, -torch.inf).amax(dim=1)
        assert (worst_kept >= best_masked).all()


def test_noise_falls_to_zero_with_the_last_step_and_is_absent_at_temperature_0():
    def noise(step):
        masked = step.before == MASK
        return (step.confidence[masked] - step.log_p[masked]).abs().mean()

    noisy, calm = [[noise(step) for step in steps_of(tau)[-1]] for tau in (4.5, 0.0)]
    assert noisy[0] > 1 and noisy[-1] == 0
    assert max(calm) == 0


def test_a_step_is_taken_only_when_it_is_asked_for():
    asked = []

    def counting(tokens):
        asked.append(len(tokens))
        return model(tokens)

    steps = decode_steps(torch.full((1, 8), MASK), counting, schedule=Square(), steps=4, mask_id=MASK)
    next(steps)
    assert len(asked) == 1
