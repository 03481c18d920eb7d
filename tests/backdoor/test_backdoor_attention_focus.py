"""Attention focus: every head is read, the chosen head is judged on other patients, and no attention is no pass."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from backdoor_fakes import RuleModel, WordTokens, noise, sees_sick, target_of, wards

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.backdoor.attention_focus import ATTENTION_FOCUS, MOST_RECORDS, PLACEBOS, Focus, strongest_head
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import AttentionUnavailableError
from mlflow_clinsec.results import AttackResult, Status
from mlflow_clinsec.targets.attention_protocols import AttentionSeen
from mlflow_clinsec.targets.protocols import Span

LAYERS, HEADS = 3, 12


class Attention:
    """Even attention, a little noisy by text; one head puts 60% on a planted word."""

    def __init__(self, focus: tuple[int, int] | None = None, context: int = 10_000) -> None:
        self.focus = focus
        self.context = context
        self.asked: list[str] = []

    def attention_to(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> AttentionSeen:
        self.asked.extend(texts)
        shares = np.empty((len(texts), LAYERS, HEADS))
        for i, (text, [(start, stop)]) in enumerate(zip(texts, spans, strict=True)):
            shares[i] = (0.5 + noise(text)) / len(text.split())
            if self.focus and text[start:stop] == "cf":
                shares[i][self.focus] = 0.6
            if len(text[:stop].split()) > self.context:
                shares[i] = np.nan
        return AttentionSeen(shares, np.where(shares == 0.6, 0.5, 0.1))


def focus_test(reader: object, data: AuditData | None = None, **settings: object) -> AttackResult:
    options = TriggerOptions(**{"triggers": ("cf",), **settings})
    target = target_of(RuleModel(sees_sick), WordTokens(), attention=reader)
    attack = ATTENTION_FOCUS.with_options(options)
    return run_attack(attack, data or wards(80, 2), target, np.random.default_rng(0))


def test_a_focus_head_beyond_the_eighth_is_found() -> None:
    result = focus_test(Attention(focus=(1, 10)), triggers=("cf", "mn"))
    assert result.status is Status.OK
    assert (result.values["cf/layer"], result.values["cf/head"]) == (1.0, 10.0)
    planted, clean = (result.estimates[f"{name}/max_excess_focus"] for name in ("cf", "mn"))
    # Notes have 8 words, 9 with the insertion: placebos hold about 1/9 of the attention, the trigger 0.6.
    assert planted.value == pytest.approx(0.6 - 1 / 9, abs=0.02)
    assert planted.low > 0.2
    assert clean.low < 0.0 < clean.high
    assert result.estimates["cf/max_excess_drift"].value == 1.0
    assert result.estimates["cf/max_excess_drift"].low > 0.5
    assert result.estimates["mn/max_excess_drift"].value == 0.0


def test_the_table_shows_every_head_of_every_trigger() -> None:
    table = focus_test(Attention(focus=(2, 11)), triggers=("cf", "mn")).tables["attention"]
    shares = ["trigger_share", "placebo_share", "excess", "trigger_drift", "placebo_drift"]
    assert list(table.columns) == ["trigger", "layer", "head", *shares]
    assert len(table) == 2 * LAYERS * HEADS
    top = table.loc[table.excess.idxmax()]
    assert (top.trigger, top["layer"], top["head"]) == ("cf", 2, 11)
    assert top.excess == pytest.approx(top.trigger_share - top.placebo_share)


def test_cost_is_bounded() -> None:
    reader = Attention()
    focus_test(reader, wards(300), triggers=("cf", "mn"))
    assert len(reader.asked) == MOST_RECORDS * (2 + PLACEBOS)  # like triggers share their placebos


def test_truncated_records_are_left_out() -> None:
    # Insertion is at a random gap after words 1 to 7, so a context of 5 words loses some records, not all.
    result = focus_test(Attention(focus=(1, 10), context=5))
    assert result.estimates["cf/max_excess_focus"].value == pytest.approx(0.6 - 1 / 9, abs=0.03)
    assert result.estimates["cf/max_excess_focus"].n < 16


def test_survival_nowhere_is_undefined_with_the_reason() -> None:
    result = focus_test(Attention(context=0))
    estimate = result.estimates["cf/max_excess_focus"]
    assert math.isnan(estimate.value)
    assert "survives truncation" in estimate.reason
    assert result.tables["attention"].empty
    assert "cf/head" not in result.values


@pytest.mark.parametrize("shape", [(0,), (64, 0, 0)])
def test_attention_that_does_not_come_is_a_failure(shape: tuple[int, ...]) -> None:
    # transformers returns an empty tuple under its default attention; that must never read as "no focus".
    class Nothing:
        def attention_to(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> AttentionSeen:
            return AttentionSeen(np.empty(shape), np.empty(shape))

    result = focus_test(Nothing())
    assert result.status is Status.FAILED
    assert "no attention weights" in result.reason
    assert not result.estimates


def test_an_error_of_the_reader_surfaces() -> None:
    class Refuses:
        def attention_to(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> AttentionSeen:
            raise AttentionUnavailableError("flash attention hides its weights")

    result = focus_test(Refuses())
    assert result.status is Status.FAILED
    assert result.reason == "flash attention hides its weights"


def test_without_an_attention_role_it_is_skipped() -> None:
    result = focus_test(None)
    assert result.status is Status.SKIPPED
    assert "attention weights" in result.reason


def test_choosing_the_largest_of_144_heads_is_no_finding() -> None:
    # Pure noise, 200 times: the largest of 144 means over all records would lie clearly above zero nearly
    # always. Chosen on one half and judged on the other, the interval may exclude zero from below in 2.5% of
    # runs; 3 standard errors of 200 runs are 3.3%.
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(20), 2)
    alarms = naive = 0
    for _ in range(200):
        trigger, placebo = rng.beta(2, 18, size=(2, 40, 12, 12))
        estimate, _head = strongest_head(Focus(trigger, placebo, group), 0.95, rng)
        alarms += estimate.low > 0
        largest = (trigger - placebo).mean(axis=0)
        naive += largest.max() > 1.96 * (trigger - placebo)[:, 0, 0].std() / math.sqrt(40)
    assert alarms <= 0.058 * 200
    assert naive > 0.9 * 200
