"""The bidirectional transformer of MVTM (MaskGIT, section 3.1): BERT with post-LayerNorm and a tied output head.

Shapes: B images, N tokens an image, S = N + 1 positions (the class token first), K codes, V = K + classes + 1
tokens in all (the last is the mask token), D width, H heads.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from maskgit_lab.nets.described import Described
from maskgit_lab.sizes import MOST_LAYERS, MOST_TOKENS

INIT_STD = 0.02
LAYERNORM_EPS = 1e-12  # BERT's


class Attention(nn.Module):
    """Multi-head self-attention over all positions."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_BSD: Float[Tensor, "B S D"]) -> Float[Tensor, "B S D"]:
        q, k, v = self.qkv(x_BSD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        return self.out(attended.transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Attention, then an MLP, each with dropout, the residual and then LayerNorm."""

    attend: ClassVar[type[Attention]] = Attention  # subclasses name others

    def __init__(self, width: int, heads: int, mlp_width: int, dropout: float) -> None:
        super().__init__()
        self.attention = self.attend(width, heads, dropout)
        self.attention_norm = nn.LayerNorm(width, eps=LAYERNORM_EPS)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_width), nn.GELU(approximate="tanh"), nn.Linear(mlp_width, width))
        self.mlp_norm = nn.LayerNorm(width, eps=LAYERNORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BSD: Float[Tensor, "B S D"]) -> Float[Tensor, "B S D"]:
        x_BSD = self.attention_norm(x_BSD + self.dropout(self.attention(x_BSD)))
        return self.mlp_norm(x_BSD + self.dropout(self.mlp(x_BSD)))


class Transformer(Described):
    """Predicts all tokens of an image at once from the known tokens and the class.

    Args:
        n_codes: K, the size of the tokenizer's codebook.
        n_classes: each class has its own token, after the codes.
        n_tokens: N, the tokens of one image.
        depth: number of layers.
        heads: attention heads per layer.
        width: hidden width, a multiple of `heads`.
        mlp_width: width inside the MLPs.
        dropout: on hidden states and on attention.
    """

    kind = "transformer"
    is_autoregressive: ClassVar[bool] = False  # whether it predicts one token after the other, and not masked ones
    layer: ClassVar[type[nn.Module]] = Layer  # of the same arguments, (B, S, D) to (B, S, D); subclasses name others

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
    ) -> None:
        super().__init__()
        if min(depth, heads, width, mlp_width) < 1:
            raise ValueError("the transformer needs sizes of at least 1")
        if depth > MOST_LAYERS:
            raise ValueError(f"the transformer's depth {depth:,} is more than {MOST_LAYERS:,} layers")
        if width % heads:
            raise ValueError(f"the transformer's width {width} is not a multiple of its {heads} heads")
        if n_tokens > MOST_TOKENS:
            raise ValueError(f"images of {n_tokens:,} tokens have more than {MOST_TOKENS:,}")
        self.n_codes, self.n_classes, self.n_tokens = n_codes, n_classes, n_tokens
        self.sizes = {
            **{"n_codes": n_codes, "n_classes": n_classes, "n_tokens": n_tokens},
            **{"depth": depth, "heads": heads, "width": width, "mlp_width": mlp_width, "dropout": dropout},
        }
        self.token_embedding = nn.Embedding(n_codes + n_classes + 1, width)
        self.position_embedding = nn.Embedding(n_tokens + 1, width)
        self.embedding_norm = nn.LayerNorm(width, eps=LAYERNORM_EPS)
        self.embedding_dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(self.layer(width, heads, mlp_width, dropout) for _ in range(depth))
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.GELU(approximate="tanh"), nn.LayerNorm(width, eps=LAYERNORM_EPS)
        )
        self.head_bias = nn.Parameter(torch.zeros(n_codes + n_classes + 1))
        self.apply(_init_weights)

    @property
    def mask_id(self) -> int:
        """Id of the mask token, the last of the vocabulary."""
        return self.n_codes + self.n_classes

    @property
    def null_label(self) -> int:
        """The label of no class: its token is the mask token, so that it needs no weights of its own."""
        return self.n_classes

    def forward(self, tokens_BN: Int64[Tensor, "B N"], labels_B: Int64[Tensor, " B"]) -> Float[Tensor, "B N K"]:
        """Logits over the K codes at every position of an image, the class token's position left out.

        The label `null_label` stands for no class at all.
        """
        sequence_BS = torch.cat([labels_B[:, None] + self.n_codes, tokens_BN], dim=1)
        return self._to_logits(self._hidden(sequence_BS)[:, 1:], self.n_codes)

    def sequence_logits(self, sequence_BS: Int64[Tensor, "B S"]) -> Float[Tensor, "B S V"]:
        """Logits over the whole vocabulary at every position of a sequence, as the released model returns them."""
        return self._to_logits(self._hidden(sequence_BS), len(self.head_bias))

    def _hidden(self, sequence_BS: Tensor) -> Tensor:
        positions_S = self.position_embedding.weight[: sequence_BS.shape[1]]
        x_BSD = self.embedding_norm(self.token_embedding(sequence_BS) + positions_S)
        x_BSD = self.embedding_dropout(x_BSD)
        for layer in self.layers:
            x_BSD = layer(x_BSD)
        return x_BSD

    def _to_logits(self, x_BSD: Tensor, n_outputs: int) -> Tensor:
        return F.linear(self.head(x_BSD), self.token_embedding.weight[:n_outputs], self.head_bias[:n_outputs])


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=INIT_STD, a=-2 * INIT_STD, b=2 * INIT_STD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
