"""Tokenisers and tiny random models built in code: nothing is downloaded, and they never change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

WORDS = [
    "the",
    "patient",
    "has",
    "fever",
    "and",
    "cough",
    "no",
    "pain",
    "in",
    "left",
    "chest",
    "was",
    "given",
]
WORDS += ["aspirin", ".", ",", "cf", "mn", "a", "of", "stable"]
SPECIALS = ["<pad>", "<s>", "</s>", "<unk>"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, "c", "f", "##f", "##n", "m", "feb", "##rile", "##s"]
LABELS = {0: "alive", 1: "died"}


def word_tokenizer() -> Any:
    """Whitespace words with a fixed vocabulary of its own BOS, EOS, pad and unknown token."""
    vocab = {word: i for i, word in enumerate([*SPECIALS, *WORDS])}
    core = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), SPECIALS, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, **names)


def piece_tokenizer(pieces: Sequence[str] = PIECES, **settings: Any) -> Any:
    """WordPiece with [CLS] and [SEP], as BERT has it."""
    core = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=core, **names, **settings)


def byte_pair_tokenizer(**settings: Any) -> Any:
    """Byte-level BPE whose only merges make " fever" and " cf" of their letters; <s> and </s> as RoBERTa."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "f"), ("Ġf", "e"), ("Ġfe", "v"), ("Ġfev", "e"), ("Ġfeve", "r"), ("Ġ", "c"), ("Ġc", "f")]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *alphabet, *("".join(pair) for pair in merges)]
    core = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, cls_token="<s>", sep_token="</s>", **names, **settings)


def build(model_class: Any, config: Any, spread: float = 0.5) -> Any:
    """A random model in evaluation mode, with weights large enough for its predictions to differ by place."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = model_class(config)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim > 1:
                    weight.normal_(0, spread)
    return model.eval()


def tiny_gpt2(vocab_size: int = 40, positions: int = 64, **settings: Any) -> Any:
    config = GPT2Config(
        vocab_size=vocab_size, n_positions=positions, n_embd=16, n_layer=2, n_head=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, **settings,
    )  # fmt: skip
    return build(GPT2LMHeadModel, config)


def tiny_llama(vocab_size: int = 40, positions: int = 64, **settings: Any) -> Any:
    """Grouped-query attention: four query heads share two key and value heads."""
    return build(LlamaForCausalLM, llama_config(vocab_size, positions, **settings))


def llama_config(vocab_size: int = 40, positions: int = 64, **settings: Any) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocab_size, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=positions,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, **settings,
    )  # fmt: skip


def tiny_bert(positions: int = 32, labels: dict[int, str] = LABELS, **settings: Any) -> Any:
    config = BertConfig(
        vocab_size=len(PIECES), hidden_size=16, intermediate_size=24, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=positions, pad_token_id=0,
        id2label=labels, label2id={name: i for i, name in labels.items()}, **settings,
    )  # fmt: skip
    return build(BertForSequenceClassification, config)


def tiny_roberta(positions: int = 34) -> Any:
    """Its positions start at padding_idx + 1, so 34 of them serve 32 tokens."""
    config = RobertaConfig(
        vocab_size=300, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=positions, pad_token_id=1, bos_token_id=0, eos_token_id=2, type_vocab_size=1,
        id2label=LABELS, label2id={name: i for i, name in LABELS.items()},
    )  # fmt: skip
    return build(RobertaForSequenceClassification, config)


def tiny_gpt2_classifier(pad_token_id: int | None = 0) -> Any:
    config = GPT2Config(
        vocab_size=40, n_positions=32, n_embd=16, n_layer=1, n_head=2, id2label=LABELS,
        label2id={name: i for i, name in LABELS.items()},
        pad_token_id=pad_token_id, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return build(GPT2ForSequenceClassification, config)
