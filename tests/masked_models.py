"""Tiny random models that fill masks, embed and write, built in code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiny_models import PIECES, build, piece_tokenizer, word_tokenizer
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)

MASK_PIECES = [*PIECES, "[MASK]"]
CHAT_TEMPLATE = (
    "{% for m in messages %}<s> {{ m['content'] }} </s>{% endfor %}{% if add_generation_prompt %} <s>{% endif %}"
)


def mask_tokenizer() -> Any:
    """WordPiece with [CLS], [SEP] and [MASK], as BERT has it."""
    return piece_tokenizer(MASK_PIECES, mask_token="[MASK]")


def _bert_config(positions: int) -> BertConfig:
    return BertConfig(
        vocab_size=len(MASK_PIECES), hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=positions, pad_token_id=0,
    )  # fmt: skip


def tiny_masked_lm(positions: int = 32) -> Any:
    return build(BertForMaskedLM, _bert_config(positions))


def tiny_encoder(positions: int = 32) -> Any:
    return build(BertModel, _bert_config(positions))


def tiny_t5() -> Any:
    config = T5Config(
        vocab_size=25, d_model=16, d_kv=8, d_ff=24, num_layers=1, num_heads=2,
        pad_token_id=0, eos_token_id=2, decoder_start_token_id=0,
    )  # fmt: skip
    return build(T5ForConditionalGeneration, config)


def tiny_writer(positions: int = 128) -> Any:
    config = GPT2Config(
        vocab_size=25, n_positions=positions, n_embd=16, n_layer=1, n_head=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return build(GPT2LMHeadModel, config)


def chat_tokenizer() -> Any:
    """The word tokeniser with a chat template."""
    tokenizer = word_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def saved(model: Any, tokenizer: Any, folder: Path) -> str:
    """A transformers checkpoint on disk."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
