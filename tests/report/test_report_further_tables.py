"""Tables of further tests on the card: only those with a view, escaped, with intervals and without small counts."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest
import report_factories as made

from mlflow_clinsec.report import further_tables as further
from mlflow_clinsec.report.card import render_card
from mlflow_clinsec.results import AttackResult, AuditReport, Estimate, Family, Status

VIEW = further.View(
    title="Blind search",
    caption="Words that were found",
    columns={"pieces": "Word", "n": "n", "asr": "ASR", "p_adjusted": "p", "gone": "Not there"},
    note="How to read it.",
)
TABLE = pd.DataFrame(
    {
        "pieces": ["<b>cf</b>", "ok"],
        "n": [400, 7],
        "asr": [0.98, math.nan],
        "asr_low": [0.95, math.nan],
        "asr_high": [0.99, math.nan],
        "p_adjusted": [0.0001, 0.4],
        "secret": [1, 2],
    }
)


@pytest.fixture(autouse=True)
def one_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(further, "VIEWS", {("search", "found"): VIEW})


def report_with(status: Status = Status.OK) -> AuditReport:
    result = AttackResult(
        Family.BACKDOOR,
        "search",
        status,
        tables={"found": TABLE, "long": TABLE},
        estimates={"to_alive/found_asr": Estimate(0.98, 0.95, 0.99, 400)},
    )
    return replace(made.backdoor_fail(), results=(*made.backdoor_fail().results, result))


def test_a_table_is_shown_in_the_order_of_its_view_with_bounds_and_hidden_counts() -> None:
    (shown,) = further.further_tables(report_with(), min_cell=11)
    assert shown["headings"] == ["Word", "n", "ASR", "p"]
    first, second = ([cell.text for cell in row] for row in shown["rows"])
    assert first == ["<b>cf</b>", "400", "0.980", "<0.001"]
    assert second == ["ok", "<11", "n/a", "0.400"]
    assert shown["rows"][0][2].below == "0.950 to 0.990"


def test_the_card_escapes_it_and_lists_no_estimate_twice() -> None:
    page = render_card(report_with())
    assert "&lt;b&gt;cf&lt;/b&gt;" in page
    assert "How to read it." in page
    assert "to_alive/found_asr" not in page
    assert "secret" not in page


def test_a_test_that_did_not_run_shows_no_table() -> None:
    assert further.further_tables(report_with(Status.SKIPPED), min_cell=11) == []
