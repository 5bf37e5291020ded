"""Networks are known by their weights."""

import torch
from torch import nn

from maskgit_lab.nets.described import weights_digest


def net(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).to(dtype)


def test_the_same_weights_have_the_same_digest_and_others_another():
    first, again, changed = net(), net(), net()
    with torch.no_grad():
        changed[0].weight[1, 2] += 1e-7 * changed[0].weight[1, 2].abs() + 1e-7
    digests = [weights_digest(each) for each in (first, changed, net(1), net(dtype=torch.bfloat16))]
    assert weights_digest(first) == weights_digest(again) and len(set(digests)) == 4
    assert weights_digest(first, net(1)) != weights_digest(net(1), first) and len(digests[0]) == 12


def test_a_shape_counts_as_well_as_the_numbers():
    assert weights_digest(nn.ParameterList([torch.ones(2, 3)])) != weights_digest(nn.ParameterList([torch.ones(3, 2)]))
