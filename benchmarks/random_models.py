"""Language models of several shapes with random weights: the time of a pass does not depend on them."""

from __future__ import annotations

from typing import NamedTuple

from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel


class Size(NamedTuple):
    """Shape of a language model, and how many texts of 120 to 384 tokens it reads."""

    layers: int
    width: int
    inner: int
    heads: int
    key_heads: int
    vocabulary: int
    texts: int


SIZES = {
    "two_layers_of_128": Size(2, 128, 512, 4, 4, 3_000, 96),
    "eight_layers_of_576": Size(8, 576, 1536, 9, 9, 32_000, 24),
    "thirty_layers_of_576": Size(30, 576, 1536, 9, 3, 49_152, 12),  # SmolLM2-135M
}


def built(size: Size) -> PreTrainedModel:
    """A model of that shape."""
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_heads,
        max_position_embeddings=512,
    )
    return LlamaForCausalLM(config).eval()
