"""Where each attack can be computed: with the record's text, from the numbers of all records, or on a sample.

==========  ==========================================================================================================
where       what
==========  ==========================================================================================================
``RECORD``  scores that depend on the record and the models alone: computed where the text is, in parts
``NUMBERS`` attacks that compare records by their losses or probabilities: run on all records, from those numbers
sample      everything else: tests that read all texts together (blind baseline, calibration, prefixes, triggers)
==========  ==========================================================================================================

The combiner is of the second kind, but for its two calibrated columns, which it does without.

Where finished parts are kept, workers also score what the passes over the records give for nothing, so that an audit
with another attack finds it there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.privacy import calibrated
from mlflow_clinsec.privacy import table as privacy_table
from mlflow_clinsec.privacy.membership import MembershipOptions
from mlflow_clinsec.privacy.options import PrivacyConfig
from mlflow_clinsec.privacy.token_features import COLUMNS, Column
from mlflow_clinsec.store.digests import digest_of
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.roles import Role

RECORD = frozenset(
    {
        "loss",
        "reference",
        "zlib",
        "min_k",
        "min_k_plus_plus",
        "log_ratio",
        "log_ratio_studentised",
        "wbc",
        "ez",
        "paraphrase_gap",
        "paraphrase_only",
        "paraphrase_only_min",
        "spv",
        "spv_target",
        "neighbourhood",
        "masked_loss",
        "masked_energy",
        "label_only",
    }
)
NUMBERS = frozenset(
    {
        "combiner",
        "lira",
        "rmia",
        "confidence",
        "entropy",
        "modified_entropy",
        "per_class",
        "lira_classifier",
        "rmia_classifier",
    }
)

_POOLED = frozenset(
    {*(attack.name for attack in (calibrated.LOG_RATIO_CALIBRATED, calibrated.EZ_CALIBRATED)), "paraphrase_gap_z"}
)

COMBINED: tuple[Column, ...] = tuple(column for column in COLUMNS if column[0].name not in _POOLED)
"""The combiner's columns that one record alone fills."""


_READ_ONCE: frozenset[Role] = frozenset({"scorer", "reference", "label_scorer", "label_reference"})
"""Roles that run each record once and give every attack what they found."""


def widened(asked: Sequence[Attack], privacy: PrivacyConfig, target: Target) -> tuple[Attack, ...]:
    """The attacks asked for, and those that need no pass which these do not make anyway."""
    counted = [attack for attack in asked if attack.name in RECORD | NUMBERS]
    made = {role for attack in counted for role in _roles(attack, target)} & _READ_ONCE
    free = [
        attack.name
        for attack in privacy_table.ATTACKS
        if attack.name in RECORD | NUMBERS
        and not attack.new_text
        and "paraphrases" not in attack.needs
        and _roles(attack, target) <= made
    ]
    named = tuple({*free, *(attack.name for attack in asked)})
    return privacy_table.select(replace(privacy, attacks=named), target)


def _roles(attack: Attack, target: Target) -> set[Role]:
    """What the attack runs; the combiner reads references where there are any."""
    return {*attack.requires, *(("reference",) if attack.name == "combiner" and target.references else ())}


def scored_under(attacks: Sequence[Attack]) -> Mapping[str, str]:
    """Attack -> digest of the settings on which its numbers depend: how they are judged is none of them."""
    judging = {field.name for field in fields(MembershipOptions)}
    with_text = scored_with_text(attacks)
    rewritten = any("paraphrases" in attack.needs for attack in with_text)  # gives the combiner more columns
    found = {}
    for attack in (*with_text, *run_on_numbers(attacks)):
        options = asdict(attack.options) if attack.name in RECORD else {}
        own = sorted((key, repr(value)) for key, value in options.items() if key not in judging)
        found[attack.name] = digest_of(own, attack.name == "combiner" and rewritten).hex()
    return found


def scored_with_text(attacks: Sequence[Attack]) -> tuple[Attack, ...]:
    """The attacks that workers score."""
    return tuple(attack for attack in attacks if attack.name in RECORD)


def run_on_numbers(attacks: Sequence[Attack]) -> tuple[Attack, ...]:
    """The attacks that run on all records' numbers."""
    return tuple(attack for attack in attacks if attack.name in NUMBERS)


def run_on_sample(attacks: Sequence[Attack]) -> tuple[Attack, ...]:
    """The attacks that run on a sample of the records."""
    return tuple(attack for attack in attacks if attack.name not in RECORD | NUMBERS)
