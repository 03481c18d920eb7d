"""Records put before the one that is scored: the same tokens count, given what stands before them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
import torch

from mlflow_clinsec.scoring.encode import encode_pairs
from mlflow_clinsec.scoring.shots import encode_shots, put_behind
from mlflow_clinsec.targets.causal_lm import CausalLMScorer
from mlflow_clinsec.targets.protocol_model import TokenLogprobsScorer

SHOTS = [("", "no pain in left chest"), ("", "stable .")]
PROMPTS = ["", "the patient has", ""]
RESPONSES = ["the patient was given aspirin", "fever and cough", "stable"]
TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'user' %}<s> cf {{ m['content'] }} mn {% else %}{{ m['content'] }}"
    "{% endif %}{% endfor %}"
)


def by_hand(model: Any, words: list[str], count: int) -> np.ndarray:
    """Log-probabilities of the last ``count`` words given BOS and all words before them."""
    ids = torch.tensor([[1, *tiny.word_tokenizer().convert_tokens_to_ids(words)]])
    with torch.no_grad():
        logs = torch.log_softmax(model(input_ids=ids).logits[0].double(), -1)
    places = range(ids.shape[1] - count, ids.shape[1])
    return np.array([float(logs[i - 1, ids[0, i]]) for i in places])


@pytest.mark.parametrize("make", [tiny.tiny_gpt2, tiny.tiny_llama])
def test_the_same_tokens_are_scored_given_the_shots(make: Any) -> None:
    model = make()
    scorer = CausalLMScorer(model, tiny.word_tokenizer())
    alone, behind = scorer.token_stats(PROMPTS, RESPONSES), scorer.stats_after(SHOTS, PROMPTS, RESPONSES)
    np.testing.assert_array_equal(alone.offsets, behind.offsets)
    np.testing.assert_array_equal(alone.token_ids, behind.token_ids)
    before = " ".join(text for _, text in SHOTS).split()
    for row, prompt, response in zip(behind.rows(behind.logp), PROMPTS, RESPONSES, strict=True):
        words = [*before, *prompt.split(), *response.split()]
        np.testing.assert_allclose(row, by_hand(model, words, len(response.split())), atol=1e-4)


def test_without_shots_nothing_changes() -> None:
    scorer = CausalLMScorer(tiny.tiny_gpt2(), tiny.word_tokenizer())
    alone, behind = scorer.token_stats(PROMPTS, RESPONSES), scorer.stats_after([], PROMPTS, RESPONSES)
    np.testing.assert_allclose(alone.logp, behind.logp, atol=1e-6)


def test_full_scope_scores_the_prompt_but_never_a_shot() -> None:
    scorer = CausalLMScorer(tiny.tiny_gpt2(), tiny.word_tokenizer(), scope="full")
    counts = scorer.stats_after(SHOTS, PROMPTS, RESPONSES).counts
    assert counts.tolist() == scorer.token_stats(PROMPTS, RESPONSES).counts.tolist() == [5, 6, 1]


def test_shots_are_cut_to_what_the_longest_record_leaves() -> None:
    # a context of 8, of which BOS and five words take 6: the shots' last two words stay, for the short record too
    model = tiny.tiny_gpt2(positions=8)
    behind = CausalLMScorer(model, tiny.word_tokenizer()).stats_after(SHOTS, ["", ""], [RESPONSES[0], "stable"])
    assert behind.counts.tolist() == [5, 1]
    for row, response in zip(behind.rows(behind.logp), [RESPONSES[0], "stable"], strict=True):
        words = ["stable", ".", *response.split()]
        np.testing.assert_allclose(row, by_hand(model, words, len(response.split())), atol=1e-4)


def test_shots_get_a_quarter_of_the_context_and_a_long_record_the_rest() -> None:
    # a context of 8: two words of the shots and BOS leave room for five of the record's nine words
    model, long = tiny.tiny_gpt2(positions=8), "the patient has fever and cough and no pain"
    behind = CausalLMScorer(model, tiny.word_tokenizer()).stats_after(SHOTS, [""], [long])
    assert behind.counts.tolist() == [5]
    np.testing.assert_allclose(behind.logp, by_hand(model, ["stable", ".", *long.split()[:5]], 5), atol=1e-4)


def test_max_length_is_a_limit_too() -> None:
    scorer = CausalLMScorer(tiny.tiny_llama(), tiny.word_tokenizer(), max_length=4)
    assert scorer.stats_after(SHOTS, [""], [RESPONSES[0]]).counts.tolist() == [2]


def test_a_tokeniser_without_bos_scores_the_same_tokens() -> None:
    tokenizer = tiny.word_tokenizer()
    tokenizer.bos_token = None
    scorer = CausalLMScorer(tiny.tiny_gpt2(), tokenizer)
    alone, behind = scorer.token_stats(PROMPTS, RESPONSES), scorer.stats_after(SHOTS, PROMPTS, RESPONSES)
    np.testing.assert_array_equal(alone.token_ids, behind.token_ids)


def test_a_chat_model_reads_each_shot_as_a_finished_turn() -> None:
    tokenizer = tiny.word_tokenizer()
    tokenizer.chat_template = TEMPLATE
    ids = encode_shots(tokenizer, [("has fever", "stable"), ("no pain", "given aspirin")])
    words = tokenizer.convert_ids_to_tokens(ids.tolist())
    assert " ".join(words) == "cf has fever mn stable </s> cf no pain mn given aspirin </s>"
    [pair] = encode_pairs(tokenizer, ["in chest"], ["cough"])
    whole = put_behind(tokenizer, ids, pair, None)
    everything = " ".join(tokenizer.convert_ids_to_tokens(whole.input_ids.tolist()))
    assert everything == f"<s> {' '.join(words)} cf in chest mn cough"
    assert np.flatnonzero(whole.scored).tolist() == [len(whole) - 1]


def test_a_model_with_token_logprobs_gets_the_shots_as_text() -> None:
    class Model:
        def token_logprobs(self, prompts: list[str], responses: list[str]) -> list[list[float]]:
            self.asked = prompts
            return [[-1.0] * len(text.split()) for text in responses]

    model = Model()
    stats = TokenLogprobsScorer(model).stats_after([("q", "a"), ("", "note")], ["p", ""], ["x y", "z"])
    assert stats.counts.tolist() == [2, 1]
    assert model.asked == ["q\na\n\nnote\n\np", "q\na\n\nnote\n\n"]
