"""A target that replays precomputed columns, for the very texts of the audit and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import DataError, NotApplicableError, TargetError
from mlflow_clinsec.scoring.cache import text_key
from mlflow_clinsec.targets.classifier import MostProbableLabel
from mlflow_clinsec.targets.precomputed import LABELS
from mlflow_clinsec.targets.protocol_model import ragged_stats
from mlflow_clinsec.targets.protocols import FloatArray, IntArray, Target, TokenStats


def precomputed_target(data: AuditData, name: str = "") -> Target:
    """The roles that ``data.precomputed`` can play.

    Raises:
        TargetError: there is nothing to replay.
        DataError: losses of rewrites without the rewrites they belong to.
    """
    columns = cast("Mapping[str, Any]", data.precomputed)
    target = Target(
        name=name or "precomputed columns",
        kind="precomputed",
        scorer=_scorer(
            data, columns.get("token_logprobs"), columns.get("nll"), columns.get("n_tokens"), _rewrites(data, columns)
        ),
        references=_references(data, columns),
        precomputed="paraphrase_nll" not in columns,
        notes={
            "scorer": "token log-probabilities: no column nll or token_logprobs was given",
            "reference": "a reference model: no column reference_nll or reference_token_logprobs was given",
            "label_reference": "a reference classifier: no columns reference_probabilities were given",
        },
    )
    target = _with_labels(target, data, columns)
    if target.scorer is None and target.predictor is None:
        raise TargetError(
            "there is no model, and no precomputed column to audit in its place: give a model, or name columns "
            "under 'precomputed' (nll, token_logprobs, probabilities or prediction)"
        )
    return target


@dataclass(frozen=True)
class MeanOnlyStats(TokenStats):
    """Statistics of which only each text's mean is known: per-token attacks are refused instead of misled.

    Attributes:
        sized: whether the number of tokens is known too.
    """

    sized: bool = False

    @property
    def counts(self) -> IntArray:
        """Scored tokens per text, shape (n,).

        Raises:
            NotApplicableError: not known.
        """
        if not self.sized:
            raise NotApplicableError("needs the number of tokens: no column n_tokens was given")
        return np.diff(self.offsets)

    def rows(self, values: FloatArray) -> Any:
        """Refused.

        Raises:
            NotApplicableError: always.
        """
        raise NotApplicableError("needs log-probabilities token by token: the column nll holds means only")

    def text_means(self, values: FloatArray) -> FloatArray:
        """Refused, since it is asked for when tokens were compared one by one; see :meth:`rows`."""
        return cast("FloatArray", self.rows(values))

    def nll(self) -> FloatArray:
        """Mean negative log-likelihood in nats per token, shape (n,)."""
        return -self.logp[self.offsets[:-1]]


class ReplayedScorer:
    """A :class:`~mlflow_clinsec.targets.protocols.TokenScorer` over known rows.

    Args:
        rows: per known pair, its log-probabilities; with ``means_only`` its mean one, repeated for each token.
        row_of: digest of (prompt, response) -> row.
        means_only, sized: whether the rows only repeat means, and whether they do so once per token.
        otherwise: who answers when not all pairs are known.
    """

    def __init__(
        self,
        rows: Sequence[FloatArray],
        row_of: Mapping[bytes, int],
        *,
        means_only: bool = False,
        sized: bool = False,
        otherwise: ReplayedScorer | None = None,
    ) -> None:
        self._rows = rows
        self._row_of = row_of
        self._means_only = means_only
        self._sized = sized
        self._otherwise = otherwise

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        """Statistics of known pairs.

        Raises:
            NotApplicableError: a pair is not among the audited records.
        """
        keys = [text_key(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        if self._otherwise is not None and not all(key in self._row_of for key in keys):
            return self._otherwise.token_stats(prompts, responses)
        stats = ragged_stats([self._rows[i] for i in look_up(self._row_of, keys)])
        if not self._means_only:
            return stats
        return MeanOnlyStats(stats.offsets, stats.logp, sized=self._sized)


class ReplayedLabels:
    """A :class:`~mlflow_clinsec.targets.protocols.LabelScorer` over known texts."""

    def __init__(self, labels: tuple[str, ...], values: FloatArray, row_of: Mapping[bytes, int]) -> None:
        self.labels = labels
        self._values = values
        self._row_of = row_of

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Probabilities of known texts, shape (n_texts, n_labels).

        Raises:
            NotApplicableError: a text is not among the audited records.
        """
        return self._values[look_up(self._row_of, [text_key(text) for text in texts])]


class ReplayedPredictor:
    """A :class:`~mlflow_clinsec.targets.protocols.LabelPredictor` over known texts."""

    def __init__(self, predictions: Sequence[str], row_of: Mapping[bytes, int]) -> None:
        self._predictions = predictions
        self._row_of = row_of

    def predict_labels(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Labels of known texts; see :class:`ReplayedLabels`."""
        rows = look_up(self._row_of, [text_key(text) for text in texts])
        return tuple(self._predictions[i] for i in rows)


def look_up(row_of: Mapping[bytes, int], keys: Sequence[bytes]) -> list[int]:
    """Rows of the keys.

    Raises:
        NotApplicableError: some are unknown.
    """
    unknown = sum(key not in row_of for key in keys)
    if unknown:
        raise NotApplicableError(
            f"precomputed columns answer for the audited records only; {unknown} of {len(keys)} texts are others"
        )
    return [row_of[key] for key in keys]


def _first_rows(keys: Sequence[bytes]) -> dict[bytes, int]:
    """Key -> its first row."""
    return {key: i for i, key in reversed(list(enumerate(keys)))}


def _references(data: AuditData, columns: Mapping[str, Any]) -> tuple[ReplayedScorer, ...]:
    """One scorer per reference model, from token columns or else from means."""
    tokens, means = columns.get("reference_token_logprobs"), columns.get("reference_nll")
    if tokens is not None:
        found = [_scorer(data, rows, None) for rows in tokens.T]
    else:
        found = [_scorer(data, None, losses, columns.get("n_tokens")) for losses in ([] if means is None else means.T)]
    return tuple(scorer for scorer in found if scorer is not None)


def _scorer(
    data: AuditData, tokens: Any, means: Any, sizes: Any = None, otherwise: ReplayedScorer | None = None
) -> ReplayedScorer | None:
    """A scorer from token columns or else from means; None where neither was given."""
    if tokens is None and means is None:
        return None
    row_of = _first_rows([text_key(*pair) for pair in zip(data.prompts, data.responses, strict=True)])
    if tokens is not None:
        return ReplayedScorer(list(tokens), row_of, otherwise=otherwise)
    counts = np.ones(len(data), dtype=np.int64) if sizes is None else sizes
    rows = [np.full(size, -nll) for size, nll in zip(counts, means, strict=True)]
    return ReplayedScorer(rows, row_of, means_only=True, sized=sizes is not None, otherwise=otherwise)


def _rewrites(data: AuditData, columns: Mapping[str, Any]) -> ReplayedScorer | None:
    """Mean losses of the rewrites that the user brought along."""
    losses = columns.get("paraphrase_nll")
    if losses is None:
        return None
    if losses.shape[1] != len(data.ready_rewrites):
        raise DataError(
            f"precomputed.paraphrase_nll: {losses.shape[1]} columns of losses for {len(data.ready_rewrites)} columns "
            "of rewrites; name the rewrites, in the same order, under privacy.paraphrase_columns"
        )
    keys, rows = [], []
    for column, texts in enumerate(data.ready_rewrites):
        for i in np.flatnonzero(np.isfinite(losses[:, column])):
            keys.append(text_key(data.prompts[i], texts[i]))
            rows.append(np.array([-losses[i, column]]))
    return ReplayedScorer(rows, _first_rows(keys), means_only=True)


def _with_labels(target: Target, data: AuditData, columns: Mapping[str, Any]) -> Target:
    row_of = _first_rows([text_key(text) for text in data.texts])
    if "probabilities" in columns:
        scorer = ReplayedLabels(columns[LABELS], columns["probabilities"], row_of)
        target = replace(target, label_scorer=scorer, predictor=MostProbableLabel(scorer))
    if "reference_probabilities" in columns:
        tables = np.moveaxis(columns["reference_probabilities"], 1, 0)
        references = tuple(ReplayedLabels(columns[LABELS], table, row_of) for table in tables)
        target = replace(target, label_references=references)
    if "prediction" in columns:
        target = replace(target, predictor=ReplayedPredictor(tuple(columns["prediction"]), row_of))
    return target
