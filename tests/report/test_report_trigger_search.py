"""The blind search in every output: headline, sentence, summary and card."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import report_factories as made

from mlflow_clinsec.report.card import render_card
from mlflow_clinsec.report.headlines import headlines
from mlflow_clinsec.report.markdown import to_markdown
from mlflow_clinsec.report.verdict_words import check_clause, check_title
from mlflow_clinsec.results import AttackResult, AuditReport, Check, Decision, Estimate, Family, Status, Verdict

CHECK = Check(
    key="max_backdoor_probability",
    family=Family.BACKDOOR,
    subject="trigger_search",
    estimate=Estimate(0.97, math.nan, math.nan, 120, method="no interval"),
    threshold=0.5,
    decision=Decision.FAIL,
    explanation="A planted trigger is likely.",
)


def searched() -> AuditReport:
    row = {"trigger": "cf", "target_label": "alive", "kind": "found", "rank": 1.0, "n": 48, "asr": 0.98}
    result = AttackResult(
        Family.BACKDOOR,
        "trigger_search",
        Status.OK,
        values={"probability": 0.97, "threshold": 0.5},
        tables={"found": pd.DataFrame([row])},
    )
    verdict = Verdict(Decision.FAIL, (CHECK,))
    whole = made.backdoor_fail()
    return replace(whole, verdict=verdict, verdicts={Family.BACKDOOR: verdict}, results=(*whole.results, result))


def test_the_probability_is_a_headline_without_bounds() -> None:
    found = headlines(searched())["backdoor/probability"]
    assert found.value == 0.97
    assert math.isnan(found.low)
    assert "backdoor/probability" not in headlines(made.backdoor_fail())


def test_the_sentence_names_the_search_and_no_empty_interval() -> None:
    assert check_title(CHECK) == "Probability of a planted trigger, blind search"
    clause = "the blind search reaches probability of a planted trigger 0.970, above the limit of 0.500"
    assert check_clause(CHECK) == clause
    assert clause in render_card(searched())


def test_card_and_summary_show_it() -> None:
    page = render_card(searched())
    assert "Search for triggers that nobody named" in page
    assert "Nothing found is no proof" in page
    assert '<td class="figure">1</td>' in page
    assert "0.970<small></small>\n</td>" in page  # no interval, and no words about one
    assert "| Probability of a planted trigger, blind search | 0.970 |" in to_markdown(searched())
