"""The shared first step: the same images, for fewer evaluations of the model."""

import torch

from maskgit_lab.decoding.guidance import class_logits, guided
from maskgit_lab.decoding.parallel import decode
from maskgit_lab.masking.schedules import Cosine
from maskgit_lab.nets.transformer import Transformer


def counting_model():
    torch.manual_seed(0)
    net = Transformer(n_codes=12, n_classes=3, n_tokens=9, depth=1, heads=2, width=16, mlp_width=32).eval()
    rows = []

    def model(tokens, labels):
        rows.append(len(tokens))
        return net(tokens, labels)

    return net, model, rows


@torch.no_grad()
def test_the_first_step_runs_once_a_class_and_changes_nothing():
    net, model, rows = counting_model()
    labels = torch.tensor([2, 0, 2, 2, 0])
    tokens = torch.full((5, 9), net.mask_id)
    settings = {"schedule": Cosine(), "steps": 4, "mask_id": net.mask_id}
    shared, plain = (
        decode(tokens, logits_fn, **settings, generator=torch.Generator().manual_seed(1))
        for logits_fn in (class_logits(model, labels, net.mask_id), lambda x: net(x, labels))
    )
    assert rows == [2, 5, 5, 5]
    assert torch.equal(shared.history, plain.history) and torch.equal(shared.tokens, plain.tokens)


@torch.no_grad()
def test_a_grid_that_does_not_start_empty_is_not_shared():
    net, model, rows = counting_model()
    tokens = torch.full((4, 9), net.mask_id)
    tokens[0, 0] = 5
    class_logits(model, torch.zeros(4, dtype=torch.int64), net.mask_id)(tokens)
    assert rows == [4]


def test_guidance_moves_away_from_no_class():
    def model(tokens, labels):
        return labels[:, None, None].float().expand(-1, tokens.shape[1], 3)

    tokens, labels = torch.zeros(2, 4, dtype=torch.int64), torch.tensor([1, 2])
    assert guided(model, 10, 0.0) is model
    logits = guided(model, 10, 0.5)(tokens, labels)
    assert logits[:, 0, 0].tolist() == [1.5 * 1 - 0.5 * 10, 1.5 * 2 - 0.5 * 10]
