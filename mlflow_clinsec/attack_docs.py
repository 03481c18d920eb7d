"""The reference page of all attacks and trigger tests, written from their descriptors.

``python -m mlflow_clinsec.attack_docs > docs/attacks.md`` renews it; a test holds the page against the code.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence

from mlflow_clinsec.attack import Attack
from mlflow_clinsec.backdoor.options import OwnOptions
from mlflow_clinsec.backdoor.table import ATTACKS as TRIGGER_TESTS
from mlflow_clinsec.privacy.membership import MembershipOptions
from mlflow_clinsec.privacy.table import ATTACKS, KINDS
from mlflow_clinsec.targets.roles import ROLE_NAMES

HEAD = """# Attacks and tests

Written from the code by `python -m mlflow_clinsec.attack_docs > docs/attacks.md`; do not edit by hand.

`L` is the mean loss in nats per scored token, `L_ref` the same under a reference model, `LL` is `-L`, `logp` a token's
log-probability, `x~` a paraphrase, `n` the number of tokens. **Every membership score is oriented so that larger means
more likely a member.** `attacks: "default"` runs the attacks marked default, `attacks: "all"` all that are made for
the model's kind; what the model at hand cannot serve is reported as skipped, with the reason.
"""
_NEED_NAMES = {"labels": "true labels", "paraphrases": "paraphrases", "canaries": "planted canaries"}
_NOT_OPTIONS = frozenset(
    field.name for shared in (MembershipOptions, OwnOptions) for field in dataclasses.fields(shared)
)


def page() -> str:
    """The whole page, Markdown."""
    sections = [(f"Membership in {kind.title}", kind.attacks) for kind in KINDS]
    special = {attack.name for kind in KINDS for attack in kind.attacks}
    sections.append(("Beside every membership attack", tuple(a for a in ATTACKS if a.name not in special)))
    sections.append(("Backdoor tests", TRIGGER_TESTS))
    return HEAD + "".join(_section(title, attacks) for title, attacks in sections)


def _section(title: str, attacks: Sequence[Attack]) -> str:
    return f"\n## {title}\n\n{_table(attacks)}\n{_details(attacks)}"


def _table(attacks: Sequence[Attack]) -> str:
    rows = [_row([f"`{a.name}`", a.title, _code(a.formula), _set(a)]) for a in attacks]
    return "\n".join([_row(["name", "in plain words", "score", "set"]), "|---|---|---|---|", *rows]) + "\n"


def _details(attacks: Sequence[Attack]) -> str:
    rows = [_row([f"`{a.name}`", _needs(a), a.access, _options(a), a.source, a.departures]) for a in attacks]
    head = _row(["name", "needs", "attacker sees", "options", "source", "departures"])
    return "\n".join([head, "|---|---|---|---|---|---|", *rows]) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _code(formula: str) -> str:
    """In code style, where ``*`` and ``~`` mean nothing to Markdown."""
    return f"`{formula}`"


def _set(attack: Attack) -> str:
    return "default" if attack.default else "all"


def _needs(attack: Attack) -> str:
    return "; ".join(_need_words(attack)) or "nothing"


def _need_words(attack: Attack) -> Iterator[str]:
    yield from (ROLE_NAMES[role] for role in attack.requires)
    yield from (_NEED_NAMES[need] for need in attack.needs if need in _NEED_NAMES)


def _options(attack: Attack) -> str:
    """Options of its own, with their defaults; those of every attack and of all trigger tests are left out."""
    if not isinstance(attack.options, MembershipOptions | OwnOptions):
        return ""
    own = [field for field in dataclasses.fields(attack.options) if field.name not in _NOT_OPTIONS]
    return ", ".join(f"`{field.name}` {_shown(getattr(attack.options, field.name))}" for field in own)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    sys.stdout.write(page())
