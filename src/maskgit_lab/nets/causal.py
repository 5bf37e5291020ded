"""The autoregressive transformer that the paper compares with (MaskGIT, section 4.2, "VQGAN, same hyper-parameters").

It has the sizes and parts of the bidirectional one, and as many weights: only the attention differs. The class token
comes first, and each position predicts the token that follows it in the order of the tokens.

Shapes: B images, N tokens an image, S positions of a sequence, t known tokens, K codes, D width, H heads, d = D / H.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from maskgit_lab.nets.orders import is_permutation
from maskgit_lab.nets.transformer import Attention, Layer, Transformer


class LayerCache:
    """Keys and values of one layer, for so many images and positions; the first `length` are filled."""

    def __init__(self, shape_BHSd: tuple[int, int, int, int], like: Tensor) -> None:
        self.keys_BHSd, self.values_BHSd = like.new_empty(shape_BHSd), like.new_empty(shape_BHSd)
        self.length = 0

    def append(self, keys_BHsd: Tensor, values_BHsd: Tensor) -> tuple[Tensor, Tensor]:
        """Adds those of further positions, and returns those of all."""
        end = self.length + keys_BHsd.shape[2]
        self.keys_BHSd[:, :, self.length : end] = keys_BHsd
        self.values_BHSd[:, :, self.length : end] = values_BHsd
        self.length = end
        return self.keys_BHSd[:, :, :end], self.values_BHSd[:, :, :end]


class Cache:
    """The keys and values of all layers, allocated once for a whole decoding."""

    def __init__(self, layers: Sequence[LayerCache]) -> None:
        self.layers = layers

    @property
    def length(self) -> int:
        """The positions that are filled."""
        return self.layers[0].length

    def take(self, other: Cache, index_B: Int64[Tensor, " B"]) -> None:
        """Fills itself with what another cache holds, whose images are shared by those of this one."""
        for own, given in zip(self.layers, other.layers, strict=True):
            end = own.length = given.length
            own.keys_BHSd[:, :, :end] = given.keys_BHSd[index_B, :, :end]
            own.values_BHSd[:, :, :end] = given.values_BHSd[index_B, :, :end]


class CausalAttention(Attention):
    """Multi-head self-attention over a position and those before it."""

    def forward(self, x_BSD: Float[Tensor, "B S D"], cache: LayerCache | None = None) -> Float[Tensor, "B S D"]:
        """With a cache, `x_BSD` are the positions that follow those in it: all of them, or one."""
        q, k, v = self.qkv(x_BSD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if cache is not None:
            k, v = cache.append(k, v)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, **_causal(q.shape[2], k.shape[2], q))
        return self.out(attended.transpose(1, 2).flatten(2))


def _causal(n_new: int, n_all: int, like: Tensor) -> dict[str, Any]:
    """How the last `n_new` of `n_all` positions are kept from seeing those after them.

    Torch's own causal mask is aligned with the first key, so that it fits a whole sequence alone.
    """
    if n_new == 1:
        return {}
    if n_new == n_all:
        return {"is_causal": True}
    return {"attn_mask": torch.ones(n_new, n_all, dtype=torch.bool, device=like.device).tril(n_all - n_new)}


class CausalLayer(Layer):
    """The layer of the bidirectional transformer, with causal attention."""

    attend: ClassVar[type[Attention]] = CausalAttention

    def forward(self, x_BSD: Float[Tensor, "B S D"], cache: LayerCache | None = None) -> Float[Tensor, "B S D"]:
        x_BSD = self.attention_norm(x_BSD + self.dropout(self.attention(x_BSD, cache)))
        return self.mlp_norm(x_BSD + self.dropout(self.mlp(x_BSD)))


class CausalTransformer(Transformer):
    """Predicts each token of an image from the class and the tokens before it.

    Args:
        n_codes: K, the size of the tokenizer's codebook.
        n_classes: each class has its own token, after the codes.
        n_tokens: N, the tokens of one image.
        depth: number of layers.
        heads: attention heads per layer.
        width: hidden width, a multiple of `heads`.
        mlp_width: width inside the MLPs.
        dropout: on hidden states and on attention.
        order: the positions of the tokens, row by row from 0, in the order in which they are predicted; None: row by
            row, as in the paper.

    Raises:
        ValueError: sizes that do not fit, or an order that does not name each of N positions once.
    """

    kind = "causal transformer"
    is_autoregressive: ClassVar[bool] = True
    layer: ClassVar[type[nn.Module]] = CausalLayer
    _order_N: Tensor

    def __init__(
        self,
        n_codes: int,
        n_classes: int,
        n_tokens: int,
        depth: int = 24,
        heads: int = 8,
        width: int = 768,
        mlp_width: int = 3072,
        dropout: float = 0.1,
        order: Sequence[int] | None = None,
    ) -> None:
        # The last of the N + 1 positions is never read: with it, both transformers have the same weights.
        super().__init__(n_codes, n_classes, n_tokens, depth, heads, width, mlp_width, dropout)
        if order is not None and not is_permutation(order, n_tokens):
            raise ValueError(f"its order of {len(order)} positions is not one of the {n_tokens} tokens")
        self.sizes |= {} if order is None else {"order": list(order)}
        order_N = torch.arange(n_tokens) if order is None else torch.tensor(order)
        self.register_buffer("_order_N", order_N, persistent=False)  # which the sizes have

    @property
    def order_N(self) -> Int64[Tensor, " N"]:
        """The positions of the tokens in the order in which they are predicted."""
        # A property, since a runtime-checkable protocol does not see what `nn.Module.__getattr__` finds: the buffer.
        return self._order_N

    def forward(self, tokens_BN: Int64[Tensor, "B N"], labels_B: Int64[Tensor, " B"]) -> Float[Tensor, "B N K"]:
        """Logits over the K codes at every position of an image, given the class and the tokens before it in the order.

        The label `null_label` stands for no class at all. What a position holds is nothing to its own logits and to
        those of positions before it, so it may be the mask token.
        """
        sequence_BN = self._sequence(tokens_BN[:, self.order_N[:-1]], labels_B)
        logits_BNK = self._to_logits(self._hidden(sequence_BN), self.n_codes)
        return logits_BNK[:, self.order_N.argsort()]

    def next_logits(
        self, known_Bt: Int64[Tensor, "B t"], labels_B: Int64[Tensor, " B"], cache: Cache | None = None
    ) -> Float[Tensor, "B K"]:
        """Logits over the K codes of the token that follows the first t in the order; t may be 0.

        Args:
            known_Bt: the first t tokens.
            labels_B: the class of each image.
            cache: keys and values of the positions that were passed before; those of the others are computed and added.
        """
        sequence_BS = self._sequence(known_Bt, labels_B)
        return self._to_logits(self._hidden(sequence_BS, cache)[:, -1], self.n_codes)

    def new_cache(self, batch_size: int) -> Cache:
        """An empty cache for so many images."""
        heads, width = self.sizes["heads"], self.sizes["width"]
        shape = (batch_size, heads, self.n_tokens, width // heads)
        return Cache([LayerCache(shape, self.head_bias) for _ in self.layers])

    def _sequence(self, known_Bt: Tensor, labels_B: Tensor) -> Tensor:
        return torch.cat([labels_B[:, None] + self.n_codes, known_Bt], dim=1)

    def _hidden(self, sequence_BS: Tensor, cache: Cache | None = None) -> Tensor:
        start = 0 if cache is None else cache.length
        positions_S = self.position_embedding.weight[start : sequence_BS.shape[1]]
        x_BSD = self.embedding_norm(self.token_embedding(sequence_BS[:, start:]) + positions_S)
        x_BSD = self.embedding_dropout(x_BSD)
        for i, layer in enumerate(self.layers):
            x_BSD = layer(x_BSD, None if cache is None else cache.layers[i])
        return x_BSD
