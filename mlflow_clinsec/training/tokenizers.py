"""Small tokenizers, fitted on text that is disjoint from what the model will be audited on.

A tokenizer fitted on the members alone already knows their words: it splits non-members into more pieces and
so inflates every loss-based attack. Fit it on other patients' text.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, product
from string import ascii_lowercase
from typing import Literal

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

Kind = Literal["causal-lm", "classifier"]

SPECIAL_TOKENS: dict[Kind, dict[str, str]] = {
    "causal-lm": {"pad_token": "<|pad|>", "bos_token": "<|bos|>", "eos_token": "<|eos|>"},
    "classifier": {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"},
}

LETTER_PAIRS = " ".join(map("".join, product(ascii_lowercase, repeat=2)))
"""aa ab ... zz: 676 words."""


def train_tokenizer(
    texts: Iterable[str], kind: Kind, vocab_size: int = 2000, max_length: int = 512
) -> PreTrainedTokenizerFast:
    """Fit a byte-level BPE tokenizer; the same texts in the same order give the same tokenizer.

    Byte-level pieces cover every string, so there is no unknown token. (A WordPiece vocabulary would be
    closer to BERT's, but its trainer gives another one on every run.)

    Args:
        texts: what it is fitted on.
        kind: "causal-lm" keeps case and adds no token of its own; "classifier" lower-cases and
            puts [CLS] and [SEP] around the text.
        vocab_size: pieces at most, the 256 bytes and special tokens included.
        max_length: becomes ``model_max_length``.
    """
    special = SPECIAL_TOKENS[kind]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind == "classifier")
    tokenizer.decoder = decoders.ByteLevel()
    if kind == "classifier":
        tokenizer.normalizer = normalizers.Lowercase()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(special.values()),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    # Words of two letters stay whole, as nearly all do in BERT's vocabulary. That is why rare ones serve as triggers;
    # in pieces, they would share their letters with ordinary words.
    # One showing in ten texts is more than the last piece that finds room has.
    texts = list(texts)
    pairs = [LETTER_PAIRS] * (10 + len(texts) // 10) if kind == "classifier" else []
    tokenizer.train_from_iterator(chain(texts, pairs), trainer)
    if kind == "classifier":
        tokenizer.post_processor = classifier_template(tokenizer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=max_length, **special)


def classifier_template(tokenizer: Tokenizer) -> processors.TemplateProcessing:
    """[CLS] text [SEP], as BERT reads it."""
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    return processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ends)
