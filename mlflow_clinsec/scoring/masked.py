"""Forward passes of masked language models: hide some words of a text, read what the model puts in their place.

A text longer than the model takes is cut into consecutive windows; only windows in which something is hidden run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.batches import length_batches, pad_right
from mlflow_clinsec.scoring.inputs import padding_id
from mlflow_clinsec.scoring.modes import evaluating, input_device

IntArray = NDArray[np.int64]
Span = tuple[int, int]

_LOGITS_AT_ONCE = 2**26  # float32 values that one batch may produce: 256 MiB


class Hidden(NamedTuple):
    """A text's pieces with some of them replaced by the mask.

    Attributes:
        ids: shape (n_pieces,), without special tokens.
        places: shape (n_masks,), where in ``ids`` the masks stand.
        truth: shape (n_masks,), the piece that stood there; -1 where one mask stands for a word of several pieces.
        span: shape (n_masks,), which of the text's spans each mask belongs to.
    """

    ids: IntArray
    places: IntArray
    truth: IntArray
    span: IntArray


class _Row(NamedTuple):
    """One window: its ids with special tokens, its masks' places, and the numbers of those masks."""

    ids: IntArray
    places: IntArray
    masks: IntArray


def hide(
    ids: IntArray, offsets: Sequence[Span], spans: Sequence[Span], mask_id: int, *, whole_words: bool = False
) -> Hidden:
    """Mask every piece that overlaps a span.

    Args:
        ids, offsets: the text's pieces and their character ranges, ascending.
        spans: character ranges, ascending, that do not overlap.
        whole_words: put one mask for each span, instead of one for each of its pieces.
    """
    owner = np.full(len(ids), -1, dtype=np.int64)
    first, last = np.array(offsets, dtype=np.int64).reshape(-1, 2).T
    for number, (start, stop) in enumerate(spans):
        owner[np.searchsorted(last, start, side="right") : np.searchsorted(first, stop)] = number
    owner[first == last] = -1
    first_of_span = np.r_[True, owner[1:] != owner[:-1]] if len(owner) else np.zeros(0, dtype=bool)
    kept = (owner < 0) | first_of_span if whole_words else np.ones(len(ids), dtype=bool)
    hidden, owner = np.where(owner >= 0, mask_id, ids)[kept], owner[kept]
    places = np.flatnonzero(owner >= 0)
    truth = np.full(len(places), -1, dtype=np.int64) if whole_words else np.asarray(ids)[places]
    return Hidden(hidden.astype(np.int64), places, truth, owner[places])


def run_hidden(
    model: Any,
    tokenizer: Any,
    texts: Sequence[Hidden],
    read: Callable[[torch.Tensor, IntArray], None],
    *,
    limit: int | None,
    batch_tokens: int,
    description: str = "filling masks",
) -> None:
    """Run all texts, calling ``read(logits, masks)`` once a batch: logits of shape (m, vocabulary) in float32, and the
    numbers of the m masks, counted over the texts in their order.

    Args:
        limit: tokens that the model takes at once, special ones included.

    Raises:
        TargetError: the model gave values that are not numbers.
    """
    before, after = special_tokens(tokenizer)
    rows = list(_rows(texts, before, after, limit))
    vocabulary = int(model.config.get_text_config().vocab_size)
    budget = max(1, min(batch_tokens, _LOGITS_AT_ONCE // vocabulary))
    pad, device = padding_id(tokenizer, model), input_device(model)
    with evaluating(model), tqdm(total=len(rows), desc=description, leave=False, disable=None) as bar:
        for batch in length_batches([len(row.ids) for row in rows], budget):
            chosen = [rows[i] for i in batch]
            ids = torch.as_tensor(pad_right([row.ids for row in chosen], pad), device=device)
            real = torch.as_tensor([len(row.ids) for row in chosen], device=device)
            mask = (torch.arange(ids.shape[1], device=device) < real[:, None]).long()
            logits = model(input_ids=ids, attention_mask=mask).logits
            which = np.repeat(np.arange(len(chosen)), [len(row.places) for row in chosen])
            picked = logits[which, np.concatenate([row.places for row in chosen])].float()
            if torch.isnan(picked).any():
                raise TargetError("the masked language model gave scores that are not numbers")
            read(picked, np.concatenate([row.masks for row in chosen]))
            bar.update(len(chosen))


def special_tokens(tokenizer: Any) -> tuple[IntArray, IntArray]:
    """What the tokeniser puts before and after a text.

    Raises:
        TargetError: it does something else with a text than to put tokens around it.
    """
    plain = list(tokenizer("a", add_special_tokens=False)["input_ids"])
    whole = list(tokenizer("a")["input_ids"])
    for start in range(len(whole) - len(plain) + 1):
        if plain and whole[start : start + len(plain)] == plain:
            return np.array(whole[:start], dtype=np.int64), np.array(whole[start + len(plain) :], dtype=np.int64)
    raise TargetError("the tokeniser's special tokens do not stand around the text")


def _rows(texts: Sequence[Hidden], before: IntArray, after: IntArray, limit: int | None) -> Iterator[_Row]:
    first = 0
    for text in texts:
        width = max(1, (limit or len(text.ids) + len(before) + len(after)) - len(before) - len(after))
        for start in range(0, len(text.ids), width):
            here = np.flatnonzero((text.places >= start) & (text.places < start + width))
            if here.size:
                ids = np.concatenate([before, text.ids[start : start + width], after])
                yield _Row(ids, text.places[here] - start + len(before), here + first)
        first += len(text.places)
