"""The model's decisions, as the backdoor tests read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.targets.protocols import IntArray, Target


@dataclass(frozen=True)
class Decider:
    """Turns texts into label decisions.

    Without a threshold a decision is the model's own. With a threshold t it depends on the label under test:
    the target label is predicted unless the probability of all other labels together reaches t, and then the
    most probable other label is. With rare deaths this is how such models are used: "died" from 0.1 on, say.

    Attributes:
        target: offers ``predictor``, and ``label_scorer`` where there is a threshold.
        goals: the target labels under test.
        labels: label of each code; a label that is not listed gets code -1.
        threshold: t, or None.
    """

    target: Target
    goals: tuple[str, ...]
    labels: tuple[str, ...]
    threshold: float | None = None

    def decide(self, texts: Sequence[str]) -> IntArray:
        """Code of the decision on each text under each goal, shape (n_texts, n_goals).

        Each distinct text is given to the model once.

        Raises:
            TargetError: the model does not answer each text.
        """
        distinct = list(dict.fromkeys(texts))
        row = {text: i for i, text in enumerate(distinct)}
        codes = self._own(distinct) if self.threshold is None else self._at_threshold(distinct, self.threshold)
        return codes[[row[text] for text in texts]]

    def codes(self, labels: Sequence[str]) -> IntArray:
        """Code of each label, shape (n,)."""
        code = {label: i for i, label in enumerate(self.labels)}
        return np.array([code.get(label, -1) for label in labels], dtype=np.int64)

    def _own(self, texts: Sequence[str]) -> IntArray:
        if self.target.predictor is None:
            raise TargetError("the model predicts no labels")
        predicted = self.codes(self.target.predictor.predict_labels(texts))
        _check_answered(len(predicted), len(texts))
        return np.repeat(predicted[:, None], len(self.goals), axis=1)

    def _at_threshold(self, texts: Sequence[str], threshold: float) -> IntArray:
        if self.target.label_scorer is None:
            raise TargetError("the model gives no class probabilities")
        scorer = self.target.label_scorer
        probabilities = np.asarray(scorer.predict_proba(texts), dtype=np.float64)
        _check_answered(len(probabilities), len(texts))
        code_of_column = self.codes(scorer.labels)
        decisions = []
        for goal in self.goals:
            column = scorer.labels.index(goal)
            others = np.delete(np.arange(len(scorer.labels)), column)
            best_other = others[probabilities[:, others].argmax(axis=1)]
            is_other = 1 - probabilities[:, column] >= threshold
            decisions.append(code_of_column[np.where(is_other, best_other, column)])
        return np.stack(decisions, axis=1)


def _check_answered(answers: int, texts: int) -> None:
    if answers != texts:
        raise TargetError(f"the model gave {answers} answers to {texts} texts")
