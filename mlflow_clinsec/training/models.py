"""Small models from scratch, for demos, tests and machines without a model hub."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.pytorch_utils import Conv1D

from mlflow_clinsec.training.seeding import seeded


def small_causal_lm(
    tokenizer: PreTrainedTokenizerBase,
    *,
    seed: int,
    width: int = 128,
    layers: int = 2,
    heads: int = 4,
    context: int = 512,
    dropout: float = 0.0,
) -> GPT2LMHeadModel:
    """A GPT-2 with random weights; about 0.7M parameters at the defaults and 2,000 pieces.

    Args:
        tokenizer: gives the vocabulary and the special tokens.
        seed: decides the weights; the process's random state is untouched.
        context: longest sequence in tokens.
    """
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=context,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with seeded(seed):
        return GPT2LMHeadModel(config)


def small_encoder(
    tokenizer: PreTrainedTokenizerBase,
    labels: Sequence[str],
    *,
    seed: int,
    width: int = 128,
    layers: int = 2,
    heads: int = 4,
    context: int = 512,
    dropout: float = 0.1,
    word_scale: float = 1.0,
) -> BertForSequenceClassification:
    """A BERT classifier with random weights; about 0.7M parameters at the defaults and 2,000 pieces.

    Args:
        tokenizer: gives the vocabulary and the padding token.
        labels: class names, in the order of the model's outputs.
        seed: decides the weights; the process's random state is untouched.
        context: longest sequence in tokens.
        dropout: of hidden states. Attention weights get none: torch's fused attention on the CPU needs that (it
            halves the time of a step), and BadCLM's attention loss then reads the weights as they are.
        word_scale: spread of the random word embeddings, as a multiple of BERT's (0.02). Words that no training text
            holds keep them. At 1 they hardly differ beside their positions; in a pretrained encoder rare words do.
    """
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=context,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    with seeded(seed):
        model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(word_scale)
    return model


def with_lora(model: PreTrainedModel, *, rank: int, alpha: float, seed: int) -> PreTrainedModel:
    """Freeze the model and add LoRA adapters to its linear layers; needs the ``peft`` extra.

    Args:
        rank: r of the adapters (Llemr: 128).
        alpha: scale of the adapters (Llemr: 256).
        seed: decides the adapters' initial weights.
    """
    from peft import LoraConfig, get_peft_model

    # GPT-2 keeps its matrices transposed, which peft wants to be told.
    transposed = any(isinstance(module, Conv1D) for module in model.modules())
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules="all-linear",
        fan_in_fan_out=transposed,
        task_type="CAUSAL_LM",
    )
    with seeded(seed):
        return get_peft_model(model, config)
