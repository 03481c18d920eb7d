"""Class probabilities from a sequence-classification model.

Texts are cut to what the model really takes (a long note would crash it), padded on the right and masked, so
that a text's probabilities do not depend on its batch-mates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.batches import BATCH_TOKENS, length_batches
from mlflow_clinsec.scoring.inputs import Features, collate, encode_texts, padding_id
from mlflow_clinsec.scoring.limits import input_length
from mlflow_clinsec.scoring.modes import evaluating, input_device


def class_probabilities(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    batch_tokens: int = BATCH_TOKENS,
    max_length: int | None = None,
    description: str = "classifying",
) -> NDArray[np.float64]:
    """Softmax over the classes, shape (n_texts, n_labels), rows summing to 1.

    Args:
        model: a sequence classifier with one logit per class; its modes are restored afterwards.
        tokenizer: the model's tokeniser.
        texts: n texts; they are cut to the model's limit, or to ``max_length`` tokens if that is less.
        batch_tokens: tokens per batch, padding included.
        description: label of the progress bar.

    Raises:
        TargetError: the model is not a single-label classifier, or gave values that are not numbers.
    """
    refuse_other_outputs(model)
    rows = encode_texts(tokenizer, texts, input_length(tokenizer, model, max_length))
    return classify_rows(model, rows, padding_id(tokenizer, model), batch_tokens, description)


def classify_rows(
    model: Any,
    rows: Sequence[Features],
    pad_id: int,
    batch_tokens: int = BATCH_TOKENS,
    description: str = "classifying",
) -> NDArray[np.float64]:
    """As :func:`class_probabilities`, for texts that are encoded already.

    Args:
        rows: one entry per text.
        pad_id: what to pad with.
    """
    out = np.full((len(rows), int(model.config.num_labels)), np.nan)
    device = input_device(model)
    with evaluating(model), tqdm(total=len(rows), desc=description, leave=False, disable=None) as bar:
        for batch in length_batches([len(row["input_ids"]) for row in rows], _budget(model, batch_tokens)):
            logits = model(**collate([rows[i] for i in batch], pad_id, device)).logits
            out[batch] = torch.softmax(logits.float(), dim=-1).cpu().numpy()
            bar.update(len(batch))
    broken = int(np.isnan(out).any(axis=1).sum())
    if broken:
        raise TargetError(f"the model gave scores that are not numbers for {broken} of {len(rows)} texts")
    return out / out.sum(axis=1, keepdims=True)


def refuse_other_outputs(model: Any) -> None:
    """Only one class per text is audited: no regression, no single sigmoid output, no multi-label model.

    Raises:
        TargetError: saying what to do instead.
    """
    labels, kind = int(model.config.num_labels), getattr(model.config, "problem_type", None)
    if labels < 2 or kind in ("regression", "multi_label_classification"):
        raise TargetError(
            f"needs a classifier with one logit for each of two or more classes; this one has {labels} output(s) "
            f"and problem_type={kind!r}. Wrap it in a PythonModel that offers predict_proba(texts)."
        )


def _budget(model: Any, batch_tokens: int) -> int:
    """A model with no padding token (GPT-2 as a classifier) takes one text at a time."""
    return 1 if model.config.get_text_config().pad_token_id is None else batch_tokens
