"""The scored span is the answer's tokens, under three published chat templates and what they do to an answer.

The templates are written after those of SmolLM2 (ChatML with a system prompt of its own), Llama-2-chat and Vicuna v1.5
(which Llemr was tuned from).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mlflow_clinsec.scoring.encode import encode_pairs, encode_prompts

SYSTEM = "You are an assistant for intensive care."
SMOLLM2 = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}<|im_start|>system\n" + SYSTEM + "<|im_end|>\n"
    "{% endif %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA2 = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] <<SYS>>\n" + SYSTEM + "\n<</SYS>>\n\n"
    "{{ m.content.strip() }} [/INST]{% else %} {{ m.content.strip() }} {{ eos_token }}{% endif %}{% endfor %}"
)
VICUNA = (
    "{{ bos_token }}" + SYSTEM + "{% for m in messages %}{% if m.role == 'user' %} USER: {{ m.content }}"
    "{% else %} ASSISTANT: {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)
ALPACA = (
    "{% for m in messages %}{% if m.role == 'user' %}### Question:\n{{ m.content }}\n\n"
    "{% else %}### Answer:\n{{ m.content | trim }}\n\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}### Answer:\n{% endif %}"
)
"""No special token ends the answer: its last piece may reach into the line break behind it."""

TEMPLATES = {"smollm2": SMOLLM2, "llama2": LLAMA2, "vicuna": VICUNA, "alpaca": ALPACA}
SPECIALS = ["<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>"]
MERGES = [
    ("Ċ", "N"),
    ("Ġ", "N"),
    ("ĠN", "o"),
    (".", "Ċ"),
    (".Ċ", "Ċ"),
    ("f", "e"),
    ("fe", "v"),
    (":", "Ġ"),
    (":Ġ", "N"),
]


def byte_level(template: str) -> Any:
    """Bytes and a few merges, some of them across the borders of an answer; nothing splits the text beforehand."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*SPECIALS, *alphabet, *("".join(pair) for pair in MERGES)]
    core = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, MERGES))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    return finished(core, template)


def sentence_piece(template: str) -> Any:
    """As Llama's: blanks become "▁", one stands before the text, and unknown letters fall back to bytes."""
    letters = [chr(i) for i in range(33, 127)]
    merges = [("▁", "N"), ("▁N", "o"), ("f", "e"), ("▁", "f"), ("▁f", "e")]
    fallback = [f"<0x{i:02X}>" for i in range(256)]
    pieces = dict.fromkeys([*SPECIALS, *fallback, "▁", *letters, *("".join(pair) for pair in merges)])
    vocab = {piece: i for i, piece in enumerate(pieces)}
    core = Tokenizer(models.BPE(vocab, merges, byte_fallback=True, unk_token="<pad>"))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return finished(core, template)


def word_level(template: str) -> Any:
    """Words split before the merges, as GPT-2 and its heirs do: one byte-level piece per letter, words apart."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({piece: i for i, piece in enumerate([*SPECIALS, *alphabet, "ĠN", "ĠNo"])}, MERGES[1:3]))
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?\w+| ?[^\s\w]+|\s+"), "isolated"),
            pre_tokenizers.ByteLevel(False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    return finished(core, template)


def finished(core: Tokenizer, template: str) -> Any:
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, additional_special_tokens=SPECIALS[3:], **names)
    tokenizer.chat_template = template
    return tokenizer


KINDS = {"byte-level": byte_level, "sentence-piece": sentence_piece, "word-level": word_level}


@pytest.fixture(params=[(kind, name) for kind in KINDS for name in TEMPLATES], ids=lambda p: f"{p[0]}-{p[1]}")
def tokenizer(request) -> Any:
    kind, name = request.param
    return KINDS[kind](TEMPLATES[name])


def as_the_template_writes_it(tokenizer: Any, prompt: str, answer: str) -> tuple[str, int, int]:
    """The whole conversation, and where the answer, trimmed if the template trims, stands in it for the only time."""
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    trims = any(word in tokenizer.chat_template for word in ("trim", "strip"))
    shown = answer.strip() if trims else answer
    assert text.count(shown) == 1
    return text, text.index(shown), text.index(shown) + len(shown)


def check_span(tokenizer: Any, prompt: str, answer: str) -> None:
    """Scored are the pieces of the whole conversation that hold a letter of the answer, and no others."""
    text, start, stop = as_the_template_writes_it(tokenizer, prompt, answer)
    whole = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    expected = [
        piece
        for piece, (a, b) in zip(whole["input_ids"], whole["offset_mapping"], strict=True)
        if a < stop and b > start
    ]
    [pair] = encode_pairs(tokenizer, [prompt], [answer])
    assert pair.input_ids[pair.scored].tolist() == expected
    assert whole["input_ids"][: len(pair)] == pair.input_ids.tolist(), "the model meets what its template writes"
    assert pair.scored[-1], "the text ends with the answer"


@pytest.mark.parametrize(
    "answer",
    [
        "No fever overnight.",
        "Afebrile",
        "Temperature 38.9 °C; creatinine 1.4.",
        "No.\nNo growth in two cultures.\n\nPlan: none.",
        "  No fever, blanks around  ",
        "\nNo fever after a line break.\n",
        "µg/kg/min (Größe)",
        "?!",
    ],
)
def test_the_span_is_the_answers(answer, tokenizer):
    check_span(tokenizer, "Any fever? What of the liver?", answer)


def test_neither_end_of_turn_nor_prompt_is_scored(tokenizer):
    [pair] = encode_pairs(tokenizer, ["Any pain?"], ["none at all"])
    scored = tokenizer.decode(pair.input_ids[pair.scored])
    assert scored.replace("\n", " ").strip() == "none at all"
    for special in ("</s>", "<|im_end|>"):
        assert special not in tokenizer.decode(pair.input_ids).split("none")[-1]


def test_a_piece_across_the_first_border_is_scored_with_the_answer():
    [pair] = encode_pairs(byte_level(SMOLLM2), ["Fever?"], ["None"])
    assert byte_level(SMOLLM2).convert_ids_to_tokens(pair.input_ids[pair.scored]) == ["ĊN", "o", "n", "e"]


def test_a_piece_across_the_last_border_is_scored_as_the_template_has_it():
    tokenizer = byte_level(ALPACA)
    [pair] = encode_pairs(tokenizer, ["Fever?"], ["fe."])
    assert tokenizer.convert_ids_to_tokens(pair.input_ids[pair.scored]) == ["fe", ".ĊĊ"]


def test_a_trimmed_answer_is_met_trimmed():
    for template in (LLAMA2, ALPACA):
        plain, blank = encode_pairs(byte_level(template), ["Fever?"] * 2, ["None at all", "  None at all \n"])
        np.testing.assert_array_equal(plain.input_ids, blank.input_ids)
        np.testing.assert_array_equal(plain.scored, blank.scored)


def test_a_template_that_rewrites_answers_gets_them_as_they_are():
    shouting = SMOLLM2.replace("{{ m.content }}", "{{ m.content | upper }}")
    tokenizer = byte_level(shouting)
    [pair] = encode_pairs(tokenizer, ["fever?"], ["none"])
    assert tokenizer.decode(pair.input_ids[pair.scored]) == "none"
    assert tokenizer.decode(pair.input_ids).endswith("assistant\nnone")


def test_the_system_prompt_is_met_but_not_scored(tokenizer):
    [pair] = encode_pairs(tokenizer, ["Any pain?"], ["none at all"])
    if tokenizer.chat_template != ALPACA:
        assert SYSTEM in tokenizer.decode(pair.input_ids)
    [prompt] = encode_prompts(tokenizer, ["Any pain?"])
    assert tokenizer.decode(pair.input_ids).startswith(tokenizer.decode(prompt))


@given(
    answer=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp", "Cf"]), min_size=1),
    name=st.sampled_from(sorted(TEMPLATES)),
    kind=st.sampled_from(["byte-level", "word-level"]),
)
def test_any_answer_has_its_own_span(answer, name, kind):
    # Brackets keep the answer from standing in the template too.
    check_span(CACHE[kind, name], "Any pain?", f"(({answer})) No.")


CACHE = {
    (kind, name): KINDS[kind](template) for kind in ("byte-level", "word-level") for name, template in TEMPLATES.items()
}
