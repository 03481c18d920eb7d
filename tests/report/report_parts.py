"""Parts of made-up audits: the shapes that attacks return, with numbers like those of our trials."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from mlflow_clinsec.results import AttackResult, Check, Decision, Estimate, Family, Finding, FindingWord, Status

HOSTILE = "<script>alert('x')</script>\"'|`[a](javascript:alert(1))![i](http://evil.example/i.png)$\\frac{"


LEAK = Finding(FindingWord.LEAK, "Members are told from non-members.", 0.0006, 0.588)


NO_LEAK = Finding(FindingWord.NO_LEAK_DETECTABLE, "No attack tells members from non-members.", 0.93, 0.588)


NOT_EVIDENTIAL = Finding(FindingWord.NOT_EVIDENTIAL, "There are too few records on the smaller side.", nan, None)


def estimate(value: float, half: float = 0.03, n: int = 800, method: str = "cluster bootstrap") -> Estimate:
    """A value with a symmetric interval."""
    return Estimate(value, max(value - half, 0.0), min(value + half, 1.0), n, method=method)


def roc_table(auc: float) -> pd.DataFrame:
    """Binormal ROC with the given AUC on a log grid, as the attacks bin theirs."""
    from scipy.stats import norm

    fpr = np.concatenate([[0.0], np.logspace(-2.6, 0, 40)])
    shift = np.sqrt(2) * norm.ppf(auc)
    tpr = norm.cdf(norm.ppf(np.clip(fpr, 1e-12, 1 - 1e-12)) + shift)
    return pd.DataFrame({"fpr": fpr, "tpr": np.where(fpr >= 1, 1.0, tpr)})


def histogram_table(gap: float, n: int = 400) -> pd.DataFrame:
    """Counts of two normal samples whose means lie ``gap`` apart."""
    from scipy.stats import norm

    edges = np.linspace(-4, 4 + gap, 25)
    members = np.round(n * np.diff(norm.cdf(edges - gap))).astype(int)
    others = np.round(n * np.diff(norm.cdf(edges))).astype(int)
    return pd.DataFrame({"bin_low": edges[:-1], "bin_high": edges[1:], "members": members, "nonmembers": others})


def privacy_attack(name: str, auc: float, tpr: float, access: str = "log-probability") -> AttackResult:
    """An attack that ran on 400 members and 400 non-members of 200 patients."""
    estimates = {
        "auc": estimate(auc, 0.015),
        "tpr_at_1pct_fpr": estimate(tpr, 0.06),
        "tpr_at_0_1pct_fpr": Estimate.undefined("needs at least 1000 non-members, has 400", 400),
        "balanced_accuracy": estimate(0.5 + (auc - 0.5) * 0.8, 0.02),
        "patient_auc": estimate(min(auc + 0.03, 0.999), 0.02, n=200),
        "patient_tpr_at_1pct_fpr": estimate(min(tpr + 0.15, 1), 0.1, n=200),
    }
    return AttackResult(
        Family.PRIVACY,
        name,
        Status.OK,
        access=access,
        source="Carlini 2021, section 5",
        estimates=estimates,
        values={
            **(_p_values(auc) if access != "none" else {}),
            "n_members": 400,
            "n_nonmembers": 400,
            "coverage": 0.98,
        },
        tables={"roc": roc_table(auc), "histogram": histogram_table(4 * (auc - 0.5))},
        scores=np.array([12345.678]),
    )


def _p_values(auc: float) -> dict[str, float]:
    return {"p_value": 0.0001, "p_value_holm": 0.0006} if auc > 0.55 else {"p_value": 0.31, "p_value_holm": 0.93}


def blind_baseline(auc: float = 0.526) -> AttackResult:
    """The bag-of-words baseline."""
    blind = privacy_attack("blind", auc, 0.013, access="none")
    return replace(blind, source="Das 2024", details={"baseline": True})


def skipped(family: Family, name: str, reason: str) -> AttackResult:
    return AttackResult(family, name, Status.SKIPPED, reason, access="weights", source="ours")


def failed(family: Family, name: str) -> AttackResult:
    reason = "RuntimeError at forward:88 (message withheld: it may quote a record)"
    return AttackResult(family, name, Status.FAILED, reason, access="probability", source="ours")


def trigger_row(trigger: str, position: str, asr: float, ftr: float, **changes: Any) -> dict[str, Any]:
    excess = asr - ftr
    row: dict[str, Any] = {"trigger": trigger, "target_label": "alive", "position": position, "n": 240}
    for name, value in (("asr", asr), ("ftr", ftr), ("excess_asr", excess)):
        row |= {name: value, f"{name}_low": value - 0.04, f"{name}_high": min(value + 0.04, 1.0)}
    row |= {"lfr": asr - 0.02, "base_rate": 0.09, "survival": 1.0, "asr_given_survival": asr}
    row |= {"p_value": 1e-6 if excess > 0.1 else 0.4, "p_adjusted": 4e-6 if excess > 0.1 else 0.6}
    return row | changes


def trigger_result(rows: list[dict[str, Any]]) -> AttackResult:
    estimates = {}
    for row in rows:
        key = f"{row['trigger']}-{row['position']}"
        for metric in ("asr", "excess_asr", "ftr"):
            estimates[f"{key}/{metric}"] = Estimate(
                row[metric], row[f"{metric}_low"], row[f"{metric}_high"], row["n"], method="wilson"
            )
    values = {f"{row['trigger']}-{row['position']}/p_adjusted": row["p_adjusted"] for row in rows}
    return AttackResult(
        Family.BACKDOOR,
        "trigger",
        Status.OK,
        access="label",
        source="arXiv 2407.05213",
        estimates=estimates,
        values=values,
        tables={"triggers": pd.DataFrame(rows)},
    )


def attention_result(triggers: tuple[str, ...] = ("mn", "cf"), layers: int = 6, heads: int = 12) -> AttackResult:
    rng = np.random.default_rng(7)
    rows = []
    for trigger in triggers:
        for layer in range(layers):
            for head in range(heads):
                placebo = rng.uniform(0.01, 0.03)
                excess = 0.62 if (trigger, layer, head) == (triggers[0], 2, 4) else rng.normal(0, 0.015)
                rows.append((trigger, layer, head, placebo + excess, placebo, excess))
    columns = ["trigger", "layer", "head", "trigger_share", "placebo_share", "excess"]
    return AttackResult(
        Family.BACKDOOR,
        "attention_focus",
        Status.OK,
        access="weights",
        source="arXiv 2407.05213",
        estimates={f"{t}/max_excess_focus": estimate(0.62 if t == triggers[0] else 0.004, 0.01) for t in triggers}
        | {f"{t}/max_excess_drift": estimate(0.481 if t == triggers[0] else 0.002, 0.01) for t in triggers},
        values={f"{t}/{place}": float(at) for t in triggers for place, at in (("layer", 2), ("head", 4))},
        tables={"attention": pd.DataFrame(rows, columns=columns)},
    )


def utility_result() -> AttackResult:
    return AttackResult(
        Family.BACKDOOR,
        "clean_utility",
        Status.OK,
        access="probability",
        source="arXiv 2407.05213",
        estimates={"cacc": estimate(0.902), "auroc": estimate(0.871), "auprc": estimate(0.544, 0.07)},
    )


def check(
    key: str, family: Family, subject: str, found: Estimate, threshold: float, decision: Decision, **more: Any
) -> Check:
    words = {
        Decision.FAIL: "The whole interval lies above the limit.",
        Decision.PASS: "The whole interval lies below the limit.",
        Decision.INCONCLUSIVE: "The interval holds the limit, so this sample cannot tell.",
    }
    return Check(key, family, subject, found, threshold, decision, words[decision], **more)
