"""A transformers text classifier as a target, and its attention heads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlflow_clinsec.scoring.attention import attention_on
from mlflow_clinsec.scoring.batches import BATCH_TOKENS
from mlflow_clinsec.scoring.cache import Memo
from mlflow_clinsec.scoring.classify import classify_rows, refuse_other_outputs
from mlflow_clinsec.scoring.inputs import Features, padding_id
from mlflow_clinsec.scoring.limits import input_length
from mlflow_clinsec.scoring.precision import Precision, computing_in
from mlflow_clinsec.scoring.text_encoder import TextEncoder
from mlflow_clinsec.targets.attention_protocols import AttentionSeen
from mlflow_clinsec.targets.protocols import FloatArray, LabelScorer, Span


class TextClassifier:
    """A :class:`~mlflow_clinsec.targets.protocols.LabelScorer` over a sequence-classification model.

    Args:
        model: a classifier with one logit per class.
        tokenizer: its tokeniser.
        labels: class names in the order of the logits; the model's own ``id2label`` when None.
        max_length: tokens at which texts are cut; never more than the model takes, which is the default.
        batch_tokens: tokens per batch, padding included.
        precision: what passes compute in; see :mod:`mlflow_clinsec.scoring.precision`.

    Raises:
        TargetError: the model is not a single-label classifier.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        labels: Sequence[str] | None = None,
        max_length: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        precision: Precision = "auto",
    ) -> None:
        refuse_other_outputs(model)
        names = model.config.id2label
        self._labels = tuple(labels) if labels else tuple(str(names[i]) for i in range(len(names)))
        self._model = model
        self._padding_id = padding_id(tokenizer, model)
        self._batch_tokens = batch_tokens
        self._precision = precision
        self._encoder = TextEncoder(tokenizer, input_length(tokenizer, model, max_length))

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the probability columns."""
        return self._labels

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Softmax probabilities, shape (n_texts, n_labels); inputs that are the same run through the model once.

        Texts that differ behind the place where they are cut are the same to the model. Nothing is remembered from
        one call to the next, since the weights may have changed.

        Raises:
            TargetError: the model gave values that are not numbers, or a text holds no token.
        """
        rows = self._encoder.encode(texts)
        found = Memo[FloatArray]().get(
            [_key(row) for row in rows], lambda places: self._classify([rows[i] for i in places])
        )
        return np.array(found, dtype=np.float64).reshape(len(texts), len(self.labels))

    @property
    def encoder(self) -> TextEncoder:
        """How texts become the model's inputs."""
        return self._encoder

    def _classify(self, rows: Sequence[Features]) -> list[FloatArray]:
        with computing_in(self._precision, self._model):
            return list(classify_rows(self._model, rows, self._padding_id, self._batch_tokens))


def _key(row: Features) -> bytes:
    """Digest of the ids; further inputs say no more than which text an id belongs to, and there is one."""
    return hashlib.blake2b(row["input_ids"].tobytes(), digest_size=16).digest()


class MostProbableLabel:
    """A :class:`~mlflow_clinsec.targets.protocols.LabelPredictor`: the label with the largest probability."""

    def __init__(self, scorer: LabelScorer) -> None:
        self._scorer = scorer

    def predict_labels(self, texts: Sequence[str]) -> tuple[str, ...]:
        """One label per text; the first of several that are equally probable."""
        probabilities = self._scorer.predict_proba(texts)
        labels = self._scorer.labels
        return tuple(labels[i] for i in probabilities.argmax(axis=1)) if len(texts) else ()


class AttentionHeads:
    """An :class:`~mlflow_clinsec.targets.attention_protocols.AttentionReader` over any transformers model.

    Args:
        prompts: texts are prompts, which the model meets inside its chat template.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_length: int | None = None,
        batch_tokens: int = BATCH_TOKENS,
        prompts: bool = False,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._batch_tokens = batch_tokens
        self._prompts = prompts

    def attention_to(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> AttentionSeen:
        """Attention on the spans' tokens, arrays of shape (n_texts, layers, heads); NaN where they were cut off.

        Raises:
            AttentionUnavailableError: the model returned no attention weights.
        """
        return attention_on(
            self._model,
            self._tokenizer,
            texts,
            spans,
            max_length=self._max_length,
            batch_tokens=self._batch_tokens,
            prompts=self._prompts,
        )
