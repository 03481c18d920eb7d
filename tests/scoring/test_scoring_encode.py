from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from mlflow_clinsec.scoring.encode import encode_pairs, encode_prompts, render_prompt

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA2 = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
)
VICUNA = (
    "{{ bos_token }}A chat.{% for m in messages %}{% if m.role == 'user' %} USER: {{ m.content }}"
    "{% else %} ASSISTANT: {{ m.content }}</s>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)
TEMPLATES = {"chatml": CHATML, "llama2": LLAMA2, "vicuna": VICUNA}


def byte_tokenizer(template: str | None = None, bos: bool = True, adds_bos: bool = False) -> Any:
    """One token per byte, plus the merge "\\nY" and the merge " y" to cross boundaries with."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {piece: i for i, piece in enumerate([*alphabet, "ĠY", "ĠYe", "ĊN"])}
    core = Tokenizer(models.BPE(vocab=vocab, merges=[("Ġ", "Y"), ("ĠY", "e"), ("Ċ", "N")]))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s?\w+|\s+|[^\s\w]+"), "isolated"),
            pre_tokenizers.ByteLevel(False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    specials = {"bos_token": "<s>"} if bos else {}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", pad_token="<pad>", **specials)
    if adds_bos:
        core = tokenizer.backend_tokenizer
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
        )
    tokenizer.chat_template = template
    return tokenizer


class OffsetFree:
    """A slow tokeniser: one token per word and blank, no character offsets."""

    is_fast = False
    bos_token_id = 0
    chat_template = None

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return [1 + ord(character) for character in text]


def scored_text(tokenizer: Any, pair: Any) -> str:
    return str(tokenizer.decode(pair.input_ids[pair.scored]))


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("adds_bos", [False, True], ids=["plain", "adds-bos"])
def test_only_the_answer_is_scored_under_three_chat_templates(template: str, adds_bos: bool) -> None:
    tokenizer = byte_tokenizer(template, adds_bos=adds_bos)
    [pair] = encode_pairs(tokenizer, ["Any fever? Any"], ["Nope, no fever. Any"])
    assert scored_text(tokenizer, pair).strip() == "Nope, no fever. Any"
    whole = tokenizer.decode(pair.input_ids)
    assert whole.endswith("Nope, no fever. Any")
    assert whole.count("<s>") == template.count("bos_token"), "one BOS at most, and only if the template has one"
    expected = tokenizer.apply_chat_template(
        [
            {"role": "user", "content": "Any fever? Any"},
            {"role": "assistant", "content": "Nope, no fever. Any"},
        ],
        tokenize=False,
    )
    assert expected.startswith(whole), "the model must meet the answer as its own template writes it"


def test_the_blank_a_template_puts_before_the_answer_is_kept_and_merged() -> None:
    tokenizer = byte_tokenizer(VICUNA)
    [pair] = encode_pairs(tokenizer, ["Fever?"], ["Yes"])
    assert tokenizer.convert_ids_to_tokens(pair.input_ids[pair.scored]) == ["ĠYe", "s"]


def test_a_token_across_the_boundary_is_scored() -> None:
    tokenizer = byte_tokenizer()
    [pair] = encode_pairs(tokenizer, ["Fever?"], ["No"])
    assert tokenizer.convert_ids_to_tokens(pair.input_ids[pair.scored]) == ["ĊN", "o"]


def test_full_scope_scores_all_but_the_first() -> None:
    for template in (None, *TEMPLATES.values()):
        [pair] = encode_pairs(byte_tokenizer(template), ["Fever?"], ["No"], scope="full")
        assert pair.scored.tolist() == [False] + [True] * (len(pair) - 1)


@pytest.mark.parametrize("adds_bos", [False, True])
def test_plain_text_gets_one_bos_and_every_token_of_it_is_scored(adds_bos: bool) -> None:
    tokenizer = byte_tokenizer(CHATML, adds_bos=adds_bos)
    [pair] = encode_pairs(tokenizer, [""], ["Chest pain"])
    assert pair.input_ids.tolist().count(tokenizer.bos_token_id) == 1
    assert pair.input_ids[0] == tokenizer.bos_token_id
    assert scored_text(tokenizer, pair) == "Chest pain"
    [written] = encode_pairs(tokenizer, [""], ["<s>Chest pain"])
    assert written.input_ids.tolist() == pair.input_ids.tolist()


def test_without_bos_the_first_token_cannot_be_scored() -> None:
    tokenizer = byte_tokenizer(bos=False)
    [pair] = encode_pairs(tokenizer, [""], ["Chest"])
    assert scored_text(tokenizer, pair) == "hest"


def test_letters_of_several_bytes_are_scored_whole() -> None:
    tokenizer = byte_tokenizer()
    [pair] = encode_pairs(tokenizer, ["Größe?"], ["Über 2 µg"])
    assert scored_text(tokenizer, pair) == "Über 2 µg"


def test_empty_answers_and_no_pairs() -> None:
    tokenizer = byte_tokenizer()
    [pair] = encode_pairs(tokenizer, ["Fever?"], [""])
    assert not pair.scored.any()
    [nothing] = encode_pairs(tokenizer, [""], [""])
    assert nothing.input_ids.tolist() == [tokenizer.bos_token_id]
    assert encode_pairs(tokenizer, [], []) == []


def test_a_tokeniser_without_offsets_is_scored_piecewise() -> None:
    [pair, plain] = encode_pairs(OffsetFree(), ["ab", ""], ["cd", "ef"])
    assert pair.scored.tolist() == [False] * 4 + [True] * 2, "BOS, a, b, line break, then the answer"
    assert plain.scored.tolist() == [False, True, True]
    assert pair.input_ids.dtype == np.int64


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        encode_pairs(byte_tokenizer(), ["a", "b"], ["c"])


def test_rendering() -> None:
    assert render_prompt(byte_tokenizer(CHATML), "") == ""
    assert render_prompt(byte_tokenizer(), "Fever?") == "Fever?\n"
    assert render_prompt(byte_tokenizer(CHATML), "Fever?").endswith("Fever?<|im_end|>\n<|im_start|>assistant\n")


def test_prompts_alone_start_like_the_pairs_do() -> None:
    for template in (None, CHATML, VICUNA):
        tokenizer = byte_tokenizer(template)
        [prompt] = encode_prompts(tokenizer, ["Fever?"])
        [pair] = encode_pairs(tokenizer, ["Fever?"], ["Any"])
        assert pair.input_ids[: len(prompt)].tolist() == prompt.tolist()
    assert encode_prompts(byte_tokenizer(), [""])[0].tolist() == [byte_tokenizer().bos_token_id]
