"""Recitation: runs against a slow double loop, template and given words discounted, members found, nothing logged."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.recitation import recite, split_words, template_words
from mlflow_clinsec.privacy.regurgitation import REGURGITATION, RegurgitationOptions
from mlflow_clinsec.results import AttackResult, Status
from mlflow_clinsec.targets.protocols import Target

OPTIONS = RegurgitationOptions(bootstrap=200, permutations=999, ngram=3, run=3)


class Writer:
    """Continues as it is told, and remembers what it was shown."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self.known, self.shown = known, list[tuple[str, str]]()

    def generate(self, prompts: Sequence[str], max_new_tokens: int) -> tuple[str, ...]:
        raise AssertionError("the attack continues answers")

    def continue_answers(self, prompts: Sequence[str], starts: Sequence[str], max_new_tokens: int) -> tuple[str, ...]:
        self.shown = list(zip(prompts, starts, strict=True))
        return tuple(self.known.get(f"{prompt}|{start}", "") for prompt, start in self.shown)


def _run(data: AuditData, known: Mapping[str, str], options: RegurgitationOptions = OPTIONS) -> AttackResult:
    attack = REGURGITATION.with_options(options)
    return run_attack(attack, data, Target("w", "causal-lm", generator=Writer(known)), np.random.default_rng(0))


def _records(texts: Sequence[str], member: Sequence[bool], prompts: Sequence[str] = ()) -> AuditData:
    return AuditData(tuple(prompts) or ("",) * len(texts), tuple(texts), np.arange(len(texts)), member=np.array(member))


def test_words_are_split_where_the_prefix_ends() -> None:
    start, rest = split_words("Na 138, on 3 L O2.\nStable.", 3)
    assert start == "Na 138, on"
    assert rest == ["3", "L", "O2", "Stable"]
    assert split_words("Na 138", 0) == ("", ["Na", "138"])


words = st.lists(st.sampled_from("abc"), max_size=14)


@given(words, words, st.integers(1, 4), st.data())
def test_runs_equal_a_slow_search(truth: list[str], written: list[str], least: int, data: st.DataObject) -> None:
    marked = np.array(data.draw(st.lists(st.booleans(), min_size=len(truth), max_size=len(truth))), dtype=bool)
    verbatim, longest = np.zeros(len(truth), dtype=bool), 0
    for start in range(len(truth)):
        for stop in range(start + least, len(truth) + 1):
            piece = truth[start:stop]
            if any(written[j : j + len(piece)] == piece for j in range(len(written))):
                verbatim[start:stop] = True
                longest = max(longest, int(marked[start:stop].sum()))
    found = recite(truth, marked, written, least)
    assert found.verbatim.tolist() == verbatim.tolist()
    assert found.longest == longest


def test_template_is_what_enough_other_patients_share() -> None:
    texts = ["x regular rate and rhythm", "regular rate and rhythm y", "regular rate and murmur"]
    assert template_words(texts, np.array([1, 2, 3]), 3, 2)[0].tolist() == [0, 1, 1, 1, 0]
    assert template_words(texts, np.array([1, 2, 3]), 3, 1)[0].tolist() == [0, 1, 1, 1, 1]
    # the same three notes of two patients: only one other patient has the words
    assert not any(flags.any() for flags in template_words(texts, np.array([1, 1, 3]), 3, 2))
    assert [flags.size for flags in template_words(["", "a b"], np.array([1, 2]), 3, 1)] == [0, 2]


@given(st.lists(st.tuples(words, st.integers(0, 3)), min_size=1, max_size=6), st.integers(1, 3), st.integers(1, 2))
def test_template_equals_a_slow_search(records: list[tuple[list[str], int]], size: int, others: int) -> None:
    found = template_words([" ".join(text) for text, _ in records], np.array([p for _, p in records]), size, others)
    for (text, patient), flags in zip(records, found, strict=True):
        expected = [False] * len(text)
        for i in range(len(text) - size + 1):
            piece = text[i : i + size]
            holders = {p for t, p in records if any(t[j : j + size] == piece for j in range(len(t) - size + 1))}
            if len(holders - {patient}) >= others:
                expected[i : i + size] = [True] * size
        assert flags.tolist() == expected


NOTE = "seen on ward {0} with fever chart {0} {0}a {0}b {0}c {0}d"


def _notes(n: int = 40) -> AuditData:
    return _records([NOTE.format(f"w{i}") for i in range(n)], [i % 2 == 0 for i in range(n)])


def test_shares_by_hand() -> None:
    # 12 words: the first 6 are shown; of the rest, "chart" ends "with fever chart", which all have, and 5 are his own
    data = _notes()
    known = {
        "|seen on ward w0 with fever": "chart w0 w0a w0b and",
        "|seen on ward w1 with fever": "chart w1 wrong w1a w1b",
    }
    result = _run(data, known)
    assert result.scores is not None
    assert result.scores[0] == pytest.approx(3 / 5)
    assert result.scores[1] == 0  # two words in common are chance
    assert result.estimates["extractable_members"].value == pytest.approx(1 / 20)
    assert result.estimates["extractable_nonmembers"].value == 0
    assert result.values["specific_share_members"] == pytest.approx(3 / 5 / 20)


def test_a_model_that_recites_its_members_is_found() -> None:
    data = _notes(80)
    known = {}
    for text, inside in zip(data.responses, data.member if data.member is not None else (), strict=True):
        start, rest = split_words(text, 6)
        known[f"|{start}"] = " ".join(rest) if inside else "nothing of the kind was ever seen here"
    result = _run(data, known)
    assert result.estimates["auc"].value == 1.0
    assert result.estimates["extractable_members"].value == 1.0
    assert result.estimates["extractable_nonmembers"].value == 0.0


def test_boilerplate_that_comes_out_is_no_leak() -> None:
    closing = "regular rate and rhythm no murmurs rubs or gallops"
    data = _records(
        [f"p{i} q{i} r{i} s{i} t{i} u{i} v{i} w{i} x{i} {closing}" for i in range(40)], [i < 20 for i in range(40)]
    )
    known = {f"|{split_words(text, 9)[0]}": closing for text in data.responses}
    result = _run(data, known)
    assert result.values["template_share_members"] == 1.0
    assert math.isnan(result.values["specific_share_members"])  # nothing in the rest is a patient's own
    assert result.values["coverage"] == 0


def test_what_the_prompt_gives_away_is_not_counted() -> None:
    prompts = [f"lactate w{i} at noon w{i}x. How is it?" for i in range(24)]
    answers = [f"lactate w{i} at noon w{i}x then w{i}y w{i}z w{i}u w{i}v" for i in range(24)]
    data = _records(answers, [i < 12 for i in range(24)], prompts)
    result = _run(data, {f"{p}|": a for p, a in zip(prompts, answers, strict=True)})
    assert result.estimates["extractable_members"].value == 1.0  # then, y, z, u, v: five words of his own
    strict = _run(
        data,
        {f"{p}|": a for p, a in zip(prompts, answers, strict=True)},
        RegurgitationOptions(bootstrap=200, ngram=3, run=6),
    )
    assert strict.estimates["extractable_members"].value == 0.0


def test_part_of_the_answer_can_be_shown() -> None:
    prompts = [f"q{i}?" for i in range(8)]
    data = _records([f"a{i} b{i} c{i} d{i} e{i} f{i}" for i in range(8)], [i < 4 for i in range(8)], prompts)
    writer = Writer({})
    options = RegurgitationOptions(bootstrap=200, answer_prefix=0.5)
    target = Target("w", "causal-lm", generator=writer)
    run_attack(REGURGITATION.with_options(options), data, target, np.random.default_rng(0))
    assert writer.shown[0] == ("q0?", "a0 b0 c0")


def test_no_generator_no_attack() -> None:
    result = run_attack(REGURGITATION, _notes(), Target("x", "function"), np.random.default_rng(0))
    assert result.status is Status.SKIPPED
    assert "text generation" in result.reason
    assert not REGURGITATION.default


def test_nothing_that_was_written_is_kept_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    data = _notes()
    known = {f"|{split_words(text, 6)[0]}": "zebra " + text for text in data.responses}
    with caplog.at_level(logging.DEBUG):
        result = _run(data, known)
    shown = caplog.text + repr(result)
    assert "zebra" not in shown
    assert "w0a" not in shown


@pytest.mark.slow
def test_a_trained_model_recites_its_members() -> None:
    """Members' answers learnt by heart come out; those of non-members do not."""
    from mlflow_clinsec.datasets import generate_corpus
    from mlflow_clinsec.targets.huggingface import causal_lm_target
    from mlflow_clinsec.training.causal_lm import finetune_causal_lm
    from mlflow_clinsec.training.models import small_causal_lm
    from mlflow_clinsec.training.options import TrainingOptions
    from mlflow_clinsec.training.tokenizers import train_tokenizer

    pairs = generate_corpus(40, 6).qa.groupby("patient_id").head(1)
    prompts = [text.rsplit("Question: ", 1)[1] + f" case {i}" for i, text in enumerate(pairs["prompt"])]
    answers = pairs["response"].tolist()
    tokenizer = train_tokenizer([*prompts, *answers, "0123456789"], "causal-lm", 500, 160)
    model = small_causal_lm(tokenizer, seed=0, width=96, layers=2, heads=2, context=160, dropout=0.0)
    options = TrainingOptions(epochs=60, learning_rate=3e-3, max_length=160, batch_size=5)
    finetune_causal_lm(model, tokenizer, prompts[:20], answers[:20], options)
    data = _records(answers, [i < 20 for i in range(40)], prompts)
    attack = REGURGITATION.with_options(RegurgitationOptions(bootstrap=200, permutations=999))
    result = run_attack(attack, data, causal_lm_target(model, tokenizer), np.random.default_rng(0))
    assert result.status is Status.OK
    assert result.estimates["auc"].value > 0.9
    assert result.estimates["extractable_members"].value > 0.5
    assert result.estimates["extractable_nonmembers"].value == 0.0
