"""What an audit knows of the Applied Model Card of the Coalition for Health AI (CHAI), as XML.

Element names and their order follow the schema ``https://mc.chai.org/v0.2/schema.xsd`` (version v0.2, October 2025).
An audit knows metrics on safety and security, limitations and references. Every other required element says that it is
left to the model's owner; optional ones of that kind are left out.
"""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow_clinsec.report.card_content import LIMITS, flags
from mlflow_clinsec.report.headlines import HEADLINE_TITLES, UTILITY_TEST, headlines
from mlflow_clinsec.report.markdown import cell
from mlflow_clinsec.report.mask_texts import mask_texts
from mlflow_clinsec.report.readings import read_utility
from mlflow_clinsec.report.split_rows import split_rows
from mlflow_clinsec.report.suppress import MIN_CELL
from mlflow_clinsec.report.verdict_words import check_clause, verdict_sentence
from mlflow_clinsec.report.wording import visible, when
from mlflow_clinsec.results import AuditReport, Estimate, Family, Status

NAMESPACE = "https://mc.chai.org/v0.2/schema.xsd"
OWNER = "Left to the model's owner: an audit of privacy and security cannot know it."

Tree = Mapping[str, Any]
"""Element name -> text, a mapping of children, or a list of either."""

_BIBLIOGRAPHY = """@misc{clinical-membership-inference,
  title = {Exploring Membership Inference Vulnerabilities in Clinical Large Language Models},
  eprint = {2510.18674},
  archivePrefix = {arXiv}
}
@misc{badclm,
  title = {BadCLM: Backdoor Attack in Clinical Language Models for Electronic Health Records},
  eprint = {2407.05213},
  archivePrefix = {arXiv}
}"""


def to_chai_card(report: AuditReport, min_cell: int = MIN_CELL) -> str:
    """The card as an XML document; text within it is Markdown, as the schema's documentation asks, and escaped.

    Args:
        report: what the audit found.
        min_cell: counts below this are suppressed.
    """
    report = mask_texts(report, min_cell)
    root = ET.Element("AppliedModelCard", {"xmlns": NAMESPACE})
    _fill(root, _description(report))
    metrics = ET.SubElement(root, "KeyMetrics")
    _fill(ET.SubElement(metrics, "UsefulnessUsabilityEfficacy"), _usefulness(report))
    _fill(ET.SubElement(metrics, "FairnessEquity"), _key_metric([], {}))
    _fill(ET.SubElement(metrics, "SafetyReliability"), _safety(report, min_cell))
    _fill(root, _references(report))
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True).decode("utf-8") + "\n"


def _fill(parent: ET.Element, tree: Tree) -> None:
    """Children in the order of the mapping; a list repeats its element."""
    for name, content in tree.items():
        for item in content if isinstance(content, list) else [content]:
            child = ET.SubElement(parent, name)
            if isinstance(item, str):
                child.text = item
            else:
                _fill(child, item)


def _description(report: AuditReport) -> Tree:
    return {
        "BasicInfo": {
            "ModelName": cell(report.model_name),
            **dict.fromkeys(("ModelDeveloper", "DeveloperContact"), OWNER),
        },
        "ReleaseInfo": dict.fromkeys(("ReleaseStage", "ReleaseDate", "ReleaseVersion", "GlobalAvailability"), OWNER),
        "ModelSummary": {"Summary": OWNER, "Keywords": {}},
        "UsesAndDirections": dict.fromkeys(
            (
                "IntendedUseAndWorkflow",
                "PrimaryIntendedUsers",
                "HowToUse",
                "TargetedPatientPopulation",
                "CautionedOutOfScopeSettings",
            ),
            OWNER,
        ),
        "Warnings": {
            "KnownRisksAndLimitations": _limitations(report),
            **dict.fromkeys(("KnownBiasesOrEthicalConsiderations", "ClinicalRiskLevel"), OWNER),
        },
        "TrustIngredients": _trust(report),
    }


def _trust(report: AuditReport) -> Tree:
    unknown = (
        "OutcomesAndOutputs",
        "ModelType",
        "InputDataSource",
        "OutputAndInputDataTypes",
        "DevelopmentDataCharacterization",
        "BiasMitigationApproaches",
        "OngoingMaintenance",
    )
    return {
        "AISystemFacts": {
            **dict.fromkeys(unknown, OWNER),
            "Security": _security(report),
            "Transparency": _gaps(report),
        },
        "TransparencyInformation": dict.fromkeys(("FundingSource", "StakeholdersConsulted"), OWNER),
    }


def _limitations(report: AuditReport) -> str:
    return _bullets([*(cell(flag, 400) for flag in flags(report)), *LIMITS])


def _security(report: AuditReport) -> str:
    checks = [check for verdict in report.verdicts.values() for check in verdict.checks]
    held = [f"{check.decision.value}: {cell(check_clause(check), 600)}" for check in checks]
    return _bullets([cell(verdict_sentence(report), 900), *held])


def _gaps(report: AuditReport) -> str:
    lost = [r for r in report.results if r.status is not Status.OK]
    return _bullets(
        [f"Not run: {cell(r.name)}, {r.status.value}: {cell(r.reason, 400)}" for r in lost]
        or ["Everything that was asked for ran."]
    )


def _usefulness(report: AuditReport) -> Tree:
    result = report.find(Family.BACKDOOR, UTILITY_TEST)
    known = result.estimates if result is not None else {}
    return _key_metric(
        [(f"Clean records: {visible(name)}", estimate) for name, estimate in known.items()],
        {"Interpretation": _bullets([read_utility(name, e) for name, e in known.items()])} if known else {},
    )


def _safety(report: AuditReport, min_cell: int) -> Tree:
    split = split_rows(report, min_cell)
    finding = report.verdict.finding
    said = [cell(verdict_sentence(report), 900)]
    said += [f"Membership: {finding.word.value}. {cell(finding.reason, 400)}"] if finding else []
    ran = sorted({cell(r.name) for r in report.results if r.status is Status.OK})
    return _key_metric(
        [(HEADLINE_TITLES[name], e) for name, e in headlines(report).items() if not name.startswith("utility/")],
        {
            "MetricGoal": "Nobody can tell that a record was in the training data, and no hidden trigger turns the "
            "model's answer, beyond the limits of the policy.",
            "Interpretation": _bullets(said),
            "TestType": f"Membership inference and trigger tests: {', '.join(ran) or 'none ran'}.",
            "TestingDataDescription": _bullets([f"{name}: {cell(text, 400)}" for name, text in split]) or OWNER,
            "ValidationProcessAndJustification": "Each limit is held against a 95% interval, corrected for having "
            "tried several attacks; see the audit card.",
        },
    )


def _key_metric(results: Sequence[tuple[str, Estimate]], known: Mapping[str, str]) -> Tree:
    defined = [(label, e) for label, e in results if e.is_defined]
    shown = [{"Label": label, "ValueJson": _value(e)} for label, e in defined]
    none = [{"Label": OWNER, "ValueJson": json.dumps({"kind": "single", "value": None})}]
    return {
        "MetricGoal": known.get("MetricGoal", OWNER),
        "Results": {"MetricResult": shown or none},
        "Interpretation": known.get("Interpretation", OWNER),
        "TestType": known.get("TestType", OWNER),
        "TestingDataDescription": known.get("TestingDataDescription", OWNER),
        "ValidationProcessAndJustification": known.get("ValidationProcessAndJustification", OWNER),
    }


def _value(estimate: Estimate) -> str:
    """JSON in the two kinds that CHAI's own examples use."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return json.dumps({"kind": "single", "value": round(estimate.value, 6)})
    bounds = {
        "lower": round(estimate.low, 6),
        "upper": round(estimate.high, 6),
        "level": round(100 * estimate.level, 3),
    }
    return json.dumps({"kind": "estimate_ci", "estimate": round(estimate.value, 6), **bounds})


def _references(report: AuditReport) -> Tree:
    versions = ", ".join(f"{cell(name)} {cell(version)}" for name, version in report.versions.items())
    made = (
        f"Audit card of {cell(when(report.started))}: configuration {cell(report.config_digest)}, seed {report.seed}, "
        f"{versions}."
    )
    sources = sorted({cell(r.source, 200) for r in report.results if r.source})
    return {
        "Resources": {
            "EvaluationReferences": _bullets([made, *sources]),
            **dict.fromkeys(("PeerReviewedPublications", "PatientConsentOrDisclosure"), OWNER),
        },
        "Bibliography": _BIBLIOGRAPHY,
    }


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
