"""One forward sweep over tokenised texts: everything that attacks on token statistics need, in a single pass.

For each scored token: its log-probability, and mean, standard deviation and maximum of log-probability under the
model's own next-token distribution. Texts run in length-bucketed, right-padded batches with an attention
mask, so that a score does not depend on its batch-mates; in float32 the difference stays below 1e-4 nats. In
bfloat16 or float16 a processor may still choose another order of summation for another batch shape, which no
mask can undo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.batches import BATCH_TOKENS, length_batches, pad_right
from mlflow_clinsec.scoring.encode import EncodedPair
from mlflow_clinsec.scoring.heads import ChunkedHead, Heads, OutputHead, choose_head
from mlflow_clinsec.scoring.limits import context_length
from mlflow_clinsec.scoring.modes import evaluating, input_device
from mlflow_clinsec.scoring.prefixes import shared_batches
from mlflow_clinsec.scoring.sharing import can_share
from mlflow_clinsec.scoring.windows import split_windows
from mlflow_clinsec.targets.protocols import TokenStats


@dataclass(frozen=True, eq=False)
class _Piece:
    """A window of one text: its ids, the scored places within it, and where their statistics belong."""

    ids: NDArray[np.int64]
    places: NDArray[np.int64]
    slots: NDArray[np.int64]


def sweep(
    model: Any,
    pairs: Sequence[EncodedPair],
    *,
    head: OutputHead | None = None,
    batch_tokens: int = BATCH_TOKENS,
    max_length: int | None = None,
    min_context: int | None = None,
    description: str = "scoring",
) -> TokenStats:
    """Token statistics of n tokenised texts, in the order given.

    Args:
        model: a causal language model on any device; its modes are restored afterwards.
        pairs: n tokenised texts of any length, with the tokens to score.
        head: how logits are made; chosen by a probe on the first text when not given.
        batch_tokens: tokens per batch, padding included.
        max_length: tokens per window; never more than the model's positions, which are also the default.
        min_context: tokens that each scored token of a long text has before it; half a window by default.
        description: label of the progress bar.

    Raises:
        TargetError: the model gave a log-probability that is not a number.
    """
    offsets = np.concatenate([[0], np.cumsum([int(pair.scored.sum()) for pair in pairs])]).astype(np.int64)
    pieces = _cut(pairs, offsets, *_window_shape(model, pairs, max_length, min_context))
    values = np.full((4, offsets[-1]), np.nan)
    if pieces:
        with evaluating(model):
            head = head or choose_head(model, max(pieces, key=lambda piece: len(piece.ids)).ids)
            total = sum(len(piece.ids) for piece in pieces)
            with tqdm(total=total, desc=description, unit="tok", leave=False, disable=None) as bar:
                for batch in _batches(model, head, pieces, batch_tokens):
                    _write(values, batch, input_device(model))
                    bar.update(sum(len(piece.ids) for piece in batch.pieces))
        refuse_nan(values[0], offsets, "the model")
    token_ids = np.concatenate([pair.input_ids[pair.scored] for pair in pairs]) if pairs else np.empty(0, int)
    logp, mean, std, top = values
    return TokenStats(offsets, logp, mean, std, token_ids.astype(np.int64), top)


def _window_shape(
    model: Any, pairs: Sequence[EncodedPair], max_length: int | None, min_context: int | None
) -> tuple[int, int]:
    longest = max((len(pair) for pair in pairs), default=0)
    limits = [limit for limit in (max_length, context_length(model)) if limit]
    width = max(2, min([longest, *limits]))
    return width, min(min_context or max(1, width // 2), width - 1)


def _cut(pairs: Sequence[EncodedPair], offsets: NDArray[np.int64], width: int, context: int) -> list[_Piece]:
    pieces = []
    for pair, first in zip(pairs, offsets[:-1], strict=True):
        for window in split_windows(pair.scored, width, context):
            slots = np.arange(first, first + len(window.scored))
            places = window.scored - window.start
            pieces.append(_Piece(pair.input_ids[window.start : window.stop], places, slots))
            first += len(window.scored)
    return pieces


@dataclass(frozen=True, eq=False)
class _Batch:
    """Pieces that run together, how much of each has run already, and what gives their statistics."""

    pieces: Sequence[_Piece]
    starts: Sequence[int]
    statistics: Callable[..., torch.Tensor]


def _batches(model: Any, head: OutputHead, pieces: Sequence[_Piece], batch_tokens: int) -> Iterator[_Batch]:
    """All pieces; those with shared beginnings first, where the model can go on behind one."""
    # The token before the first scored one predicts it, so that it runs with the text.
    limits = [max(0, int(piece.places[0]) - 1) for piece in pieces]
    shared, alone = shared_batches([piece.ids for piece in pieces], limits, batch_tokens)
    device = input_device(model)
    probe = torch.as_tensor(pieces[shared[0].texts[0]].ids, device=device) if shared else None
    if probe is not None and isinstance(head, ChunkedHead) and can_share(model, head, probe):
        for batch in shared:
            heads = Heads(*_padded(batch.heads, device), torch.as_tensor(batch.owner, device=device))
            starts = [len(batch.heads[owner]) for owner in batch.owner]
            yield _Batch([pieces[i] for i in batch.texts], starts, partial(head.statistics_behind, heads))
    else:
        alone = list(range(len(pieces)))
    for places in length_batches([len(pieces[i].ids) for i in alone], batch_tokens):
        yield _Batch([pieces[alone[i]] for i in places], [0] * len(places), head.statistics)


def _write(values: NDArray[np.float64], batch: _Batch, device: torch.device) -> None:
    """Run one batch and write its statistics into ``values``, shape (4, n_scored_tokens)."""
    both = list(zip(batch.pieces, batch.starts, strict=True))
    ids, mask = _padded([piece.ids[start:] for piece, start in both], device)
    rows = np.repeat(np.arange(len(both)), [len(piece.places) for piece, _ in both])
    places = np.concatenate([piece.places - start for piece, start in both])
    found = batch.statistics(ids, mask, torch.as_tensor(rows, device=device), torch.as_tensor(places, device=device))
    values[:, np.concatenate([piece.slots for piece, _ in both])] = found.cpu().numpy()


def _padded(rows: Sequence[NDArray[np.int64]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, shape (n, longest)."""
    ids = torch.as_tensor(pad_right(rows, 0), device=device)
    real = torch.as_tensor([len(row) for row in rows], device=device)
    return ids, (torch.arange(ids.shape[1], device=device) < real[:, None]).long()


def refuse_nan(logp: NDArray[np.float64], offsets: NDArray[np.int64], giver: str) -> None:
    """Refuse log-probabilities that are not numbers.

    Args:
        logp: shape (n_scored_tokens,).
        offsets: shape (n_texts + 1,), where each text's tokens begin.
        giver: who gave them, for the message.

    Raises:
        TargetError: saying of how many texts.
    """
    broken = np.searchsorted(offsets, np.flatnonzero(np.isnan(logp)), side="right")
    if broken.size:
        raise TargetError(
            f"{giver} gave log-probabilities that are not numbers for {len(np.unique(broken))} of {len(offsets) - 1} "
            "texts; float16 often overflows: load the model in float32 or bfloat16"
        )
