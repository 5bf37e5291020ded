"""The transformer: its size, its sequence and its attention."""

import pytest
import torch

from maskgit_lab.nets.transformer import Layer, Transformer

SMALL = {"n_codes": 12, "n_classes": 3, "n_tokens": 9, "depth": 2, "heads": 2, "width": 16, "mlp_width": 32}


def small() -> Transformer:
    torch.manual_seed(0)
    return Transformer(**SMALL).eval()


@pytest.mark.parametrize(("n_tokens", "heads"), [(256, 8), (256, 16)])
def test_has_the_published_number_of_parameters(n_tokens, heads):
    with torch.device("meta"):
        net = Transformer(n_codes=1024, n_classes=1000, n_tokens=n_tokens, heads=heads)
    assert sum(p.numel() for p in net.parameters()) == 172_457_193


def test_logits_are_the_code_part_of_the_sequence_logits():
    net = small()
    tokens, labels = torch.randint(0, 12, (4, 9)), torch.tensor([0, 1, 2, 0])
    sequence = torch.cat([labels[:, None] + 12, tokens], dim=1)
    whole = net.sequence_logits(sequence)
    assert whole.shape == (4, 10, 16)
    assert torch.allclose(net(tokens, labels), whole[:, 1:, :12], atol=1e-6)


def test_the_mask_token_is_the_last_of_the_vocabulary():
    net = small()
    assert net.mask_id == 15 == net.token_embedding.num_embeddings - 1


def test_every_position_sees_every_other_and_the_class():
    net = small()
    tokens, labels = torch.zeros(1, 9, dtype=torch.int64), torch.tensor([0])
    before = net(tokens, labels)
    for changed in (0, 8):
        other = tokens.clone()
        other[0, changed] = 5
        assert ((net(other, labels) - before).abs().amax(dim=-1) > 0).all()
    assert ((net(tokens, labels + 1) - before).abs().amax(dim=-1) > 0).all()


def test_layers_normalise_after_the_residual():
    torch.manual_seed(0)
    out = Layer(16, 2, 32, 0.0)(10 * torch.randn(2, 5, 16))
    assert torch.allclose(out.mean(dim=-1), torch.zeros(2, 5), atol=1e-5)
    assert torch.allclose(out.var(dim=-1, unbiased=False), torch.ones(2, 5), atol=1e-4)


def test_weights_start_within_two_standard_deviations():
    net = small()
    assert net.token_embedding.weight.abs().max() <= 0.04
    assert net.layers[0].attention.qkv.bias.abs().max() == 0


def test_dropout_acts_only_in_training():
    net = small().train()
    tokens, labels = torch.zeros(1, 9, dtype=torch.int64), torch.tensor([0])
    assert not torch.equal(net(tokens, labels), net(tokens, labels))
    net.eval()
    assert torch.equal(net(tokens, labels), net(tokens, labels))


def test_a_width_that_is_not_a_multiple_of_the_heads_is_refused():
    with pytest.raises(ValueError, match="not a multiple of its 3 heads"):
        Transformer(**SMALL | {"heads": 3})
