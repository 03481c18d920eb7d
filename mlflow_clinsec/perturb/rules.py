"""The built-in paraphraser: synonyms, abbreviations, formats and order, by rule and by seed, with no model.

Each proposal first moves parts that have no order of their own (sections, exam findings, lists, clauses), then replaces
terms and formats in one pass. What may be replaced is drawn at random, so proposals differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np

from mlflow_clinsec.perturb.clauses import move_clauses
from mlflow_clinsec.perturb.edits import apply_some, without_overlaps
from mlflow_clinsec.perturb.formats import format_edits
from mlflow_clinsec.perturb.order import finding_groups, finding_line_groups, list_groups, section_groups, shuffle
from mlflow_clinsec.perturb.phrases import tokenize
from mlflow_clinsec.perturb.terms import term_edits
from mlflow_clinsec.perturb.vocabulary import load_lexicon

_TRIES_PER_PROPOSAL = 4
_LEAST_SHARE = 0.75


class RulesEngine:
    """Clinical rewriting by rules and a lexicon; see ``docs/paraphrase.md``."""

    name = "rules"

    def __init__(self) -> None:
        self._lexicon = load_lexicon()

    @property
    def settings(self) -> Mapping[str, Any]:
        """None: all that its proposals depend on is the version of the rules."""
        return {}

    def propose(self, text: str, count: int, rng: np.random.Generator) -> list[str]:
        """Up to ``count`` distinct rewrites, none equal to the text."""
        proposals: dict[str, None] = {}
        for _ in range(_TRIES_PER_PROPOSAL * count):
            if len(proposals) == count:
                break
            rewrite = self.rewrite(text, rng)
            if rewrite != text:
                proposals[rewrite] = None
        return list(proposals)

    def rewrite(self, text: str, rng: np.random.Generator) -> str:
        """One rewrite; the text itself when no rule applies."""
        share = float(rng.uniform(_LEAST_SHARE, 1.0))
        return self._reworded(self._reordered(text, share, rng), share, rng)

    def _reordered(self, text: str, share: float, rng: np.random.Generator) -> str:
        """From the large parts to the small, as moving one leaves the inside of it alone."""
        text = shuffle(text, section_groups(text, self._lexicon), rng)
        text = shuffle(text, finding_line_groups(text), rng)
        text = shuffle(text, finding_groups(text), rng)
        text = shuffle(text, list_groups(text, self._lexicon), rng)
        return move_clauses(text, share, rng)

    def _reworded(self, text: str, share: float, rng: np.random.Generator) -> str:
        tokens = tokenize(text)
        hits = list(self._lexicon.find(tokens))
        found = chain(format_edits(text, tokens, hits), term_edits(text, tokens, hits))
        return apply_some(text, without_overlaps(found), share, rng)
