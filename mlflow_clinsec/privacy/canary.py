"""What training did with planted canaries: exposure, an exact p-value, AUC and a one-run bound on epsilon.

Source: Carlini 2019 (arXiv 1802.08232); Steinke 2023 (arXiv 2305.08846). The canaries come from the manifest and not
from the audited records, so that it does not matter whether the latter hold any. A language model is read by the loss
of the canary's answer (of the whole note, for plain text), against the reference where there is one; a classifier by
its probability of the label that the canary was planted with.

Departure: not held against the policy. Canaries are outliers that nobody was treated for; what they show is what the
training can memorise, not which patients it has.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mlflow_clinsec.attack import Access, Attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import NotApplicableError
from mlflow_clinsec.privacy import confidence, loss, reference
from mlflow_clinsec.privacy.exposure import coin_flip_p_value, exposure_at_chance, exposures, mean_exposure
from mlflow_clinsec.privacy.judge import judge
from mlflow_clinsec.privacy.membership import FloatArray, MembershipOptions
from mlflow_clinsec.results import AttackResult, Family
from mlflow_clinsec.stats.epsilon import one_run_epsilon
from mlflow_clinsec.targets.protocols import Target


def run(attack: Attack, data: AuditData, target: Target, rng: np.random.Generator) -> AttackResult:
    """Judge the canaries of the manifest.

    Returns:
        What every membership attack gives, and estimates ``epsilon_lower`` (one run) and ``mean_exposure`` (bits);
        values ``p_value`` (exact under the coin flips), ``max_exposure``, ``exposure_at_chance`` and
        ``exposure_ceiling``.

    Raises:
        NotApplicableError: the model gives neither token log-probabilities nor class probabilities, or is a
            classifier and the manifest holds no labels.
    """
    canaries = data.canaries
    assert canaries is not None
    assert canaries.member is not None
    scores, access = canary_scores(attack, canaries, target, rng)
    result = judge(attack, scores, canaries, rng)
    scored = np.isfinite(scores)
    kept, included = scores[scored], canaries.member[scored]
    if not 0 < included.sum() < included.size:
        return result
    found, left_out = exposures(kept, included), int((~included).sum())
    epsilon = one_run_epsilon(np.where(scored, scores, np.nan), canaries.member, rng, delta=attack.options.delta)
    exposure = {
        "max_exposure": float(found.max()),
        "exposure_at_chance": exposure_at_chance(left_out),
        "exposure_ceiling": float(np.log2(left_out + 1)),
        "p_value": coin_flip_p_value(kept, included),
    }
    return replace(
        result,
        access=access,
        estimates={**result.estimates, "epsilon_lower": epsilon, "mean_exposure": mean_exposure(found)},
        values={**result.values, **exposure},
        scores=None,
    )


def canary_scores(
    attack: Attack, canaries: AuditData, target: Target, rng: np.random.Generator
) -> tuple[FloatArray, Access]:
    """A score per canary, larger for included ones, and what the attacker had to see for it."""
    if target.scorer is not None:
        method = loss.score if target.reference is None else reference.score
        return method(canaries, target, attack.options, rng), "log-probability"
    if target.label_scorer is None:
        raise NotApplicableError("needs token log-probabilities or class probabilities")
    if canaries.labels is None:
        raise NotApplicableError("the manifest under privacy.canaries holds no labels, which a classifier needs")
    confidence.label_columns(canaries, target)  # a label that the model lacks is refused before any forward pass
    return confidence.confidence(canaries, target, attack.options, rng), "probability"


CANARY = Attack(
    name="canary",
    family=Family.PRIVACY,
    title="canaries planted before training",
    access="log-probability",
    requires=(),
    source="Carlini 2019, arXiv 1802.08232, section 4; Steinke 2023, arXiv 2305.08846, Theorem 5.2",
    formula="L_ref(c) - L(c) or -L(c) of canary c; a classifier's probability of its planted label",
    run=run,
    needs=("canaries",),
    options=MembershipOptions(),
    new_text=True,
    judged=False,
    departures="ranked among the canaries left out, not among all secrets; judged by no policy",
)
