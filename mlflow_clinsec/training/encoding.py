"""Texts to token rows, as a classifier is trained on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transformers import PreTrainedTokenizerBase

from mlflow_clinsec.errors import DataError


def require_text(texts: Iterable[str], column: str = "text") -> None:
    """Raise a DataError when a training text is missing or blank."""
    blank = [not (isinstance(text, str) and text.strip()) for text in texts]
    if any(blank):
        raise DataError(f"{column}: {sum(blank)} of {len(blank)} training rows are empty or not text")


def token_rows(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Token ids of each text with special tokens, truncated to ``max_length``.

    Raises:
        DataError: a text is empty.
    """
    require_text(texts)
    rows: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    return rows
