"""The engine over a local model: seeds, prompts, and texts that do not fit."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from masked_models import chat_tokenizer, tiny_t5, tiny_writer
from tiny_models import word_tokenizer

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.perturb.cache import entry_key
from mlflow_clinsec.perturb.instructions import INSTRUCTION
from mlflow_clinsec.perturb.options import ParaphraseOptions, TransformersOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records
from mlflow_clinsec.perturb.written import WrittenEngine
from mlflow_clinsec.targets.rewriter import ModelRewriter

TEXT = "the patient has fever and cough ."
MODELS = {"seq2seq": tiny_t5(), "causal": tiny_writer()}


class Echo:
    """A rewriter that notes what it is asked and answers by rote."""

    digest = "echo"

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[Any, ...]] = []

    def write(self, instruction: str, text: str, count: int, temperature: float, seed: int) -> list[str]:
        self.asked.append((instruction, text, count, temperature, seed))
        return self.answers[:count]


@pytest.mark.parametrize("kind", list(MODELS))
def test_writers_that_differ_in_one_weight_share_no_entry_of_the_cache(kind: str) -> None:
    models = [MODELS[kind], copy.deepcopy(MODELS[kind]), copy.deepcopy(MODELS[kind])]
    weight = next(one for one in models[2].parameters() if one.ndim == 2)
    with torch.no_grad():
        weight[1, 2] += 1e-3
    options = TransformersOptions("m")
    engines = [WrittenEngine(ModelRewriter(model, word_tokenizer()), options) for model in models]
    same, copied, other = (entry_key(engine.settings, "", TEXT) for engine in engines)
    assert same == copied != other


@pytest.mark.parametrize("kind", list(MODELS))
def test_the_same_seed_writes_the_same_and_leaves_the_global_state_alone(kind: str) -> None:
    rewriter = ModelRewriter(MODELS[kind], word_tokenizer())
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = rewriter.write("reword", TEXT, 3, 0.9, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len(first) == 3
    assert len(set(first)) > 1
    assert rewriter.write("reword", TEXT, 3, 0.9, seed=1) == first
    assert rewriter.write("reword", TEXT, 3, 0.9, seed=2) != first


def test_only_the_answer_comes_back() -> None:
    tokenizer = chat_tokenizer()
    rewriter = ModelRewriter(MODELS["causal"], tokenizer)
    rewriter._sample = lambda ids, *rest: [tokenizer.decode(ids)]  # type: ignore[method-assign]
    [asked] = rewriter.write("no pain", TEXT, 1, 0.9, 0)
    assert asked == f"<s> no pain {TEXT} </s> <s>"  # the template, with the answer's opening
    [answer] = ModelRewriter(MODELS["causal"], tokenizer).write("no pain", TEXT, 1, 0.9, 0)
    assert not answer.startswith("<s> no pain")


def test_without_a_template_instruction_and_text_are_continued() -> None:
    tokenizer = word_tokenizer()
    rewriter = ModelRewriter(MODELS["seq2seq"], tokenizer)
    assert tokenizer.decode(rewriter._encode("no pain", TEXT)) == f"no pain {TEXT}"
    assert tokenizer.decode(rewriter._encode("", TEXT)) == TEXT
    assert tokenizer.decode(ModelRewriter(MODELS["causal"], tokenizer)._encode("", TEXT)) == f"{TEXT} <unk>"


def test_a_text_that_leaves_no_room_gets_no_rewrite() -> None:
    rewriter = ModelRewriter(tiny_writer(positions=48), word_tokenizer())
    assert rewriter.write("", " ".join(["fever"] * 40), 2, 0.9, 0) == []
    assert len(rewriter.write("", "fever", 2, 0.9, 0)) == 2


def test_a_model_without_tokeniser_is_refused() -> None:
    with pytest.raises(TargetError, match="without a tokeniser"):
        ModelRewriter(MODELS["causal"], None)


@pytest.mark.parametrize(("given", "told"), [(None, INSTRUCTION), ("", ""), ("Say it anew.", "Say it anew.")])
def test_the_users_own_words_go_first(given: str | None, told: str) -> None:
    rewriter = Echo("a")
    engine = WrittenEngine(rewriter, TransformersOptions("m", instruction=given, temperature=0.5))
    engine.propose(TEXT, 2, np.random.default_rng(0))
    assert rewriter.asked[0][:4] == (told, TEXT, 2, 0.5)
    assert engine.settings == {
        "model": "echo",
        "instruction": told,
        "temperature": 0.5,
        "piece_words": 120,
    }


def test_nothing_is_asked_of_an_empty_text() -> None:
    rewriter = Echo("a")
    assert WrittenEngine(rewriter, TransformersOptions("m")).propose(" ", 2, np.random.default_rng(0)) == []
    assert rewriter.asked == []


def test_what_a_random_model_writes_is_refused_and_counted() -> None:
    engine = WrittenEngine(ModelRewriter(MODELS["seq2seq"], word_tokenizer()), TransformersOptions("m"))
    data = AuditData(("no pain", ""), (TEXT, "aspirin 81 mg"), np.arange(2))
    options = ParaphraseOptions(engine="transformers", count=2, transformers=TransformersOptions("m"))
    made = paraphrase_records(data, options, np.random.default_rng(0), engine=engine)
    again = paraphrase_records(data, options, np.random.default_rng(0), engine=engine)
    assert made.responses == again.responses
    assert made.tried.tolist() == again.tried.tolist()
    assert made.tried.sum() == made.accepted.sum() + sum(made.refusals.values())
    assert made.refusals
    assert made.engine == "transformers"
