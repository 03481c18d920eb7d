"""A trigger in a prompt: inside the user's turn whatever the template, and lost only where the model's context ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.perturb.insert import insert_at
from mlflow_clinsec.scoring.encode import encode_prompts
from mlflow_clinsec.targets.causal_lm import CausalLMGenerator
from mlflow_clinsec.targets.prompt_tokens import PromptTokens

TURNS = (
    "{% for m in messages %}<|im_start|> {{ m.role }} {{ m.content | trim }} <|im_end|> {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)
SHOUTING = TURNS.replace("m.content | trim", "m.content | upper")
PROMPT = "the patient has fever and cough"


def chat_tokenizer(template: str | None = TURNS) -> Any:
    tokenizer = tiny.word_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = template
    return tokenizer


@given(place=st.integers(0, len(PROMPT)))
def test_the_trigger_stands_inside_the_user_turn(place: int) -> None:
    tokenizer = chat_tokenizer()
    text, _ = insert_at(PROMPT, "cf", place)
    clean, found = (tokenizer.convert_ids_to_tokens(ids) for ids in encode_prompts(tokenizer, [PROMPT, text]))
    marks = ["<|im_start|>", "<|im_end|>", "<|im_start|>"]
    assert [t for t in found if t in marks] == [t for t in clean if t in marks] == marks
    turn = found[found.index("<|im_start|>") : found.index("<|im_end|>")]
    assert turn.count("cf") == found.count("cf") == 1


def test_special_tokens_are_told() -> None:
    assert {"<|im_start|>", "<|im_end|>", "<s>"} <= set(PromptTokens(chat_tokenizer(), None).special_tokens)


@pytest.mark.parametrize("template", [TURNS, None])
@pytest.mark.parametrize("answer_tokens", [1, 4])
def test_survival_is_what_the_generator_leaves_of_the_prompt(
    template: str | None, answer_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = chat_tokenizer(template)
    model = tiny.tiny_llama(vocab_size=40, positions=12)
    rows: list[np.ndarray] = []
    generator = CausalLMGenerator(model, tokenizer)
    monkeypatch.setattr(generator, "_continue", lambda batch, _: rows.extend(batch) or [""] * len(batch))
    tokens, cf = PromptTokens(tokenizer, 12), tokenizer.convert_tokens_to_ids("cf")
    survived = []
    for words in range(12):
        text, span = insert_at("the patient " * 6, "cf", len("the patient " * 6) - 1 - 6 * words)
        rows.clear()
        generator.generate([text], answer_tokens)
        [kept] = tokens.survives([text], [[span]], answer_tokens)
        assert bool(kept) == (cf in rows[0])
        survived.append(bool(kept))
    assert any(survived), "near the end of the prompt"
    assert not all(survived), "but not at its beginning"


def test_a_template_that_rewrites_the_prompt_loses_it_and_blanks_do_not_matter() -> None:
    text, span = insert_at("  the patient ", "cf", 13)
    assert PromptTokens(chat_tokenizer(), 50).survives([text], [[span]]).tolist() == [True]
    assert PromptTokens(chat_tokenizer(SHOUTING), 50).survives([text], [[span]]).tolist() == [False]
    assert PromptTokens(chat_tokenizer(), None).survives([text, text], [[span], []]).tolist() == [True, False]
    assert PromptTokens(chat_tokenizer(), None).survives([], []).shape == (0,)
