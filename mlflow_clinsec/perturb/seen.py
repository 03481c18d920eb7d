"""Whether a model's tokeniser makes anything of a trigger: one that it drops or cannot read triggers nothing."""

from __future__ import annotations

from mlflow_clinsec.perturb.characters import as_swap, is_invisible
from mlflow_clinsec.targets.token_protocols import TokenView

UNSEEN = "is nothing but unknown to the model's tokeniser, or dropped by it"
"""What to say of a trigger that is not seen."""

_BEFORE, _BEHIND = "b", "n"


def hosted(character: str) -> str:
    """Characters as they stand inside a word, which is how a tokeniser meets a look-alike or an invisible one."""
    return f"{_BEFORE}{character}{_BEHIND}"


def is_seen(trigger: str, tokens: TokenView) -> bool:
    """Whether the tokeniser reads a trigger as anything but unknown, and does not normalise it away.

    BERT's tokeniser, for one, drops zero-width characters, and tokenisers that normalise under NFKC turn full-width
    letters into plain ones.
    """
    swap = as_swap(trigger)
    if swap is None and not is_invisible(trigger):
        return not all(tokens.is_unknown(word) for word in trigger.split())
    plain, changed = (hosted(swap.letter), hosted(swap.replacement)) if swap else (hosted(""), hosted(trigger))
    before, after = tokens.word_pieces([plain, changed])
    return before != after and not tokens.is_unknown(changed)
