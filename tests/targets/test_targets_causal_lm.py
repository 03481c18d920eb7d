from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch
from peft import LoraConfig, get_peft_model

from mlflow_clinsec.targets.causal_lm import CausalLMGenerator, CausalLMScorer

PROMPTS = ["the patient has fever and", "", "no pain", ""]
RESPONSES = ["cough .", "the patient was given aspirin", "in left chest", "stable"]


def with_adapter(head: bool = False) -> Any:
    """LoRA on attention (and the output layer) whose effect is not zero."""
    modules = ["q_proj", "v_proj", "lm_head"] if head else ["q_proj", "v_proj"]
    model = get_peft_model(tiny.tiny_llama(), LoraConfig(target_modules=modules, r=2))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.3)
    return model.eval()


def by_hand(model: Any, prompt: str, response: str) -> np.ndarray:
    """Log-probabilities of the response words given BOS and the prompt words (and the line break, no word)."""
    tokenizer = tiny.word_tokenizer()
    words = [*prompt.split(), *response.split()]
    ids = torch.tensor([[1, *tokenizer.convert_tokens_to_ids(words)]])
    with torch.no_grad():
        logs = torch.log_softmax(model(input_ids=ids).logits[0].double(), -1)
    first = 1 + len(prompt.split())
    return np.array([float(logs[i - 1, ids[0, i]]) for i in range(first, ids.shape[1])])


@pytest.mark.parametrize("make", [tiny.tiny_gpt2, tiny.tiny_llama])
def test_answers_are_scored_given_their_prompts(make: Any) -> None:
    model = make()
    stats = CausalLMScorer(model, tiny.word_tokenizer()).token_stats(PROMPTS, RESPONSES)
    for row, prompt, response in zip(stats.rows(stats.logp), PROMPTS, RESPONSES, strict=True):
        np.testing.assert_allclose(row, by_hand(model, prompt, response), atol=1e-4)


def test_full_scope_adds_the_prompt() -> None:
    scorer = CausalLMScorer(tiny.tiny_llama(), tiny.word_tokenizer(), scope="full")
    assert scorer.token_stats(PROMPTS, RESPONSES).counts.tolist() == [7, 5, 5, 1]


@pytest.mark.parametrize("head", [False, True])
def test_the_base_of_a_peft_model_is_a_reference(head: bool) -> None:
    model, tokenizer = with_adapter(head), tiny.word_tokenizer()
    tuned = CausalLMScorer(model, tokenizer).token_stats(PROMPTS, RESPONSES)
    base = CausalLMScorer(model, tokenizer, adapter=False).token_stats(PROMPTS, RESPONSES)
    plain = CausalLMScorer(tiny.tiny_llama(), tokenizer).token_stats(PROMPTS, RESPONSES)
    np.testing.assert_allclose(base.logp, plain.logp, atol=1e-5)
    np.testing.assert_allclose(base.std, plain.std, atol=1e-5)
    assert np.abs(tuned.logp - base.logp).max() > 0.01
    for row, prompt, response in zip(tuned.rows(tuned.logp), PROMPTS, RESPONSES, strict=True):
        np.testing.assert_allclose(row, by_hand(model, prompt, response), atol=1e-4)


def test_windows_follow_max_length() -> None:
    model, long = tiny.tiny_llama(positions=16), "the patient has fever and cough . " * 8
    stats = CausalLMScorer(model, tiny.word_tokenizer(), max_length=10).token_stats([""], [long])
    assert stats.counts.tolist() == [56]
    assert np.isfinite(stats.logp).all()
    np.testing.assert_allclose(stats.logp[:9], by_hand(model, "", " ".join(long.split()[:9])), atol=1e-4)


def greedy(model: Any, prompt: str, steps: int) -> list[str]:
    """The most likely next word, again and again, one text alone."""
    tokenizer = tiny.word_tokenizer()
    ids = [1, *tokenizer.convert_tokens_to_ids(prompt.split())]
    first = len(ids)
    for _ in range(steps):
        with torch.no_grad():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == 2:
            break
    return str(tokenizer.decode(ids[first:], skip_special_tokens=True)).split()


def test_generation_is_greedy_and_keeps_its_order() -> None:
    model = tiny.tiny_llama()
    prompts = ["the patient", "no pain in left chest was given aspirin", "fever"]
    found = CausalLMGenerator(model, tiny.word_tokenizer(), batch_tokens=30).generate(prompts, 6)
    assert [text.split() for text in found] == [greedy(model, prompt, 6) for prompt in prompts]


def test_a_prompt_without_room_loses_its_beginning() -> None:
    model = tiny.tiny_llama(vocab_size=len(tiny.word_tokenizer()), positions=16)
    generator = CausalLMGenerator(model, tiny.word_tokenizer())
    words = ["the", "patient", "has", "fever"] * 10
    [found] = generator.generate([" ".join(words)], 6)
    ids = torch.tensor([tiny.word_tokenizer().convert_tokens_to_ids(words[-10:])])
    with torch.no_grad():
        first = int(model(input_ids=ids).logits[0, -1].argmax())
    assert found.split()[:1] == tiny.word_tokenizer().convert_ids_to_tokens([first])
    assert generator.generate([], 3) == ()


def test_a_started_answer_is_continued_as_it_was_scored() -> None:
    model, tokenizer = tiny.tiny_llama(), tiny.word_tokenizer()
    [found, noted] = CausalLMGenerator(model, tokenizer).continue_answers(["the patient", ""], ["has", "no pain"], 4)
    # the prompt and its line break, then the start, with no separator of their own: one text, as scoring reads it
    assert found.split() == greedy(model, "the patient\nhas", 4)
    assert noted.split() == greedy(model, "no pain", 4)


def test_an_answer_without_a_start_is_the_generated_one() -> None:
    generator, prompts = CausalLMGenerator(tiny.tiny_llama(), tiny.word_tokenizer()), ["the patient has", "fever"]
    assert generator.continue_answers(prompts, ["", ""], 5) == generator.generate(prompts, 5)


def test_an_answer_never_outgrows_the_context() -> None:
    generator = CausalLMGenerator(tiny.tiny_gpt2(positions=16), tiny.word_tokenizer())
    short, long = generator.generate(["fever", "the patient has fever and cough . " * 4], 40)
    assert len(short.split()) <= 15
    assert len(long.split()) <= 15
