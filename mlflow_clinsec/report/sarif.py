"""Open findings as SARIF 2.1.0 (OASIS standard), for code-scanning dashboards and ticket systems.

One rule per policy key, related to the framework entries that it speaks to (``run.taxonomies``), and one result per
check that did not pass. FAIL is ``kind: fail, level: error``.
INCONCLUSIVE is ``kind: open``, "evaluated, but there was insufficient information to decide", whose level
the standard fixes to ``none`` (section 3.27.10). Skipped and failed attacks stand among the notifications.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlflow_clinsec import __version__
from mlflow_clinsec.report.mask_texts import mask_texts
from mlflow_clinsec.report.sarif_taxonomies import relationships, supported, taxonomies
from mlflow_clinsec.report.suppress import MIN_CELL
from mlflow_clinsec.report.verdict_words import check_clause, check_title
from mlflow_clinsec.report.wording import visible
from mlflow_clinsec.results import AttackResult, AuditReport, Check, Decision, Status

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_KINDS = {Decision.FAIL: ("fail", "error"), Decision.INCONCLUSIVE: ("open", "none")}
_MAX_TEXT = 2000


def to_sarif(report: AuditReport, min_cell: int = MIN_CELL) -> dict[str, Any]:
    """A SARIF log with one run: the audit, its rules, and one result per check that failed or stayed open."""
    report = mask_texts(report, min_cell)
    checks = [check for verdict in report.verdicts.values() for check in verdict.checks]
    keys = list(dict.fromkeys(check.key for check in checks))
    driver = {
        "name": "mlflow-clinsec",
        "version": __version__,
        "rules": [_rule(key, checks) for key in keys],
        "supportedTaxonomies": supported(),
    }
    run = {
        "tool": {"driver": driver},
        "taxonomies": taxonomies(),
        "invocations": [_invocation(report)],
        "automationDetails": {"id": f"clinsec/{_uri_free(report.config_digest)}"},
        "columnKind": "unicodeCodePoints",
        "results": [_finding(c, keys.index(c.key), report) for c in checks if c.decision in _KINDS],
    }
    return {"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}


def message(text: str) -> dict[str, str]:
    """A message that shows as written: brackets would be links, braces placeholders (section 3.11)."""
    shown = visible(text, limit=_MAX_TEXT).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return {"text": shown.replace("{", "{{").replace("}", "}}")}


def _rule(key: str, checks: Iterable[Check]) -> dict[str, Any]:
    check = next(check for check in checks if check.key == key)
    return {
        "id": visible(key),
        "shortDescription": message(f"Policy limit: {check_title(check)}"),
        "defaultConfiguration": {"level": "error"},
        "properties": {"family": check.family.value, "threshold": check.threshold},
        "relationships": relationships(check),
    }


def _finding(check: Check, rule_index: int, report: AuditReport) -> dict[str, Any]:
    kind, level = _KINDS[check.decision]
    key, subject = visible(check.key), visible(check.subject)
    place = {
        "name": subject,
        "fullyQualifiedName": f"{visible(report.model_name)}/{subject}",
        "kind": "resource",
    }
    return {
        "ruleId": key,
        "ruleIndex": rule_index,
        "kind": kind,
        "level": level,
        "message": message(f"{check_clause(check)}. {check.explanation}".strip()),
        "locations": [{"logicalLocations": [place]}],
        "partialFingerprints": {"clinsec/v1": f"{check.family.value}/{key}/{subject}"},
    }


def _invocation(report: AuditReport) -> dict[str, Any]:
    lost = [result for result in report.results if result.status is not Status.OK]
    return {
        "executionSuccessful": not any(result.status is Status.FAILED for result in lost),
        "toolExecutionNotifications": [_notification(result) for result in lost],
    }


def _notification(result: AttackResult) -> dict[str, Any]:
    level = "error" if result.status is Status.FAILED else "warning"
    name = f"{result.family.value}/{result.name}"
    return {"level": level, "message": message(f"{name} {result.status.value}: {result.reason}")}


def _uri_free(digest: str) -> str:
    return "".join(character for character in digest if character.isalnum())
