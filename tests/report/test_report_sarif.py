"""SARIF 2.1.0, as far as its structure can be held against the standard by hand."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import report_factories as made
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.report.sarif import message, to_sarif


def only_run(name: str) -> dict[str, Any]:
    log = to_sarif(made.ALL[name]())
    assert log["version"] == "2.1.0"
    assert "sarif-schema-2.1.0" in log["$schema"]
    return dict(log["runs"][0])


@pytest.mark.parametrize("name", made.ALL)
def test_structure(name: str) -> None:
    run = only_run(name)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        # section 3.27.10: a level other than "none" only where kind is "fail"
        assert (result["kind"], result["level"]) in {("fail", "error"), ("open", "none")}
    json.dumps(run, allow_nan=False)


def test_one_result_for_each_check_that_did_not_pass() -> None:
    assert [result["ruleId"] for result in only_run("privacy_fail")["results"]] == ["max_auc", "max_tpr_at_1pct_fpr"]
    assert [result["ruleId"] for result in only_run("backdoor_fail")["results"]] == ["max_excess_asr"]
    assert only_run("passing")["results"] == []
    assert [result["kind"] for result in only_run("inconclusive")["results"]] == ["open"]


def test_what_did_not_run_is_notified() -> None:
    invocation = only_run("privacy_fail")["invocations"][0]
    assert invocation["executionSuccessful"] is False
    levels = {notice["level"]: notice["message"]["text"] for notice in invocation["toolExecutionNotifications"]}
    assert "rmia skipped" in levels["warning"]
    assert "recall failed" in levels["error"]
    assert only_run("passing")["invocations"][0]["executionSuccessful"] is True


@given(st.text(max_size=60))
def test_messages_hold_no_link_and_no_placeholder(text: str) -> None:
    shown = message(text)["text"]
    without_escapes = re.sub(r"\\[\\\[\]]", "", shown)
    assert "[" not in without_escapes
    assert "]" not in without_escapes
    assert not re.search(r"(?<!\{)\{(\{\{)*(?!\{)", shown)


def test_message_by_hand() -> None:
    assert message("see [a](b) {0} c\\d") == {"text": r"see \[a\](b) {{0}} c\\d"}
