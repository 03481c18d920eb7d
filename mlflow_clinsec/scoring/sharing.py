"""Whether a model can go on behind a beginning that it has read: asked of its configuration, and then tried."""

from __future__ import annotations

import logging
from typing import Any

import torch

from mlflow_clinsec.scoring.heads import TOLERANCE, ChunkedHead, Heads, unwrapped
from mlflow_clinsec.scoring.precision import computing_dtype

logger = logging.getLogger(__name__)

_BEGINNINGS, _TEXTS = (3, 6), (7, 8)
"""Tokens of the probe's beginnings and whole texts: of different lengths, so that padding is tried as well."""


def can_share(model: Any, head: ChunkedHead, ids: torch.Tensor) -> bool:
    """Whether texts behind a shared beginning get the statistics that they get whole, but for rounding.

    Sliding windows and recurrent states keep something else than every token's keys and values, which a short probe
    does not show, so such models are not asked.

    Args:
        ids: token ids of one text, shape (n,), on the model's device; repeated where it is short.
    """
    if not _full_attention(unwrapped(model).config.get_text_config()):
        return False
    probe = ids.repeat(1 + max(_TEXTS) // len(ids))[: max(_TEXTS)]
    try:
        shared = _behind(head, probe)
    except torch.cuda.OutOfMemoryError:
        raise  # whole texts need more memory still
    except (AttributeError, TypeError, RuntimeError, NotImplementedError, ValueError, IndexError) as error:
        logger.debug("clinsec: beginnings are not shared (%s)", type(error).__name__)
        return False
    whole = _whole(head, probe)
    tolerance = TOLERANCE.get(computing_dtype(model), 0.0) * max(1.0, float(whole.abs().max()))
    return float((shared - whole).abs().max()) <= tolerance


def _full_attention(config: Any) -> bool:
    kinds = getattr(config, "layer_types", None) or ("full_attention",)
    return set(kinds) == {"full_attention"} and getattr(config, "sliding_window", None) is None


def _behind(head: ChunkedHead, probe: torch.Tensor) -> torch.Tensor:
    """Statistics of the last token of each of the probe's texts, behind their beginnings."""
    heads = Heads(*_padded([probe[:n] for n in _BEGINNINGS]), torch.arange(len(_BEGINNINGS), device=probe.device))
    rest = [probe[start:stop] for start, stop in zip(_BEGINNINGS, _TEXTS, strict=True)]
    return _last(head.statistics_behind, (heads, *_padded(rest)), rest)


def _whole(head: ChunkedHead, probe: torch.Tensor) -> torch.Tensor:
    texts = [probe[:stop] for stop in _TEXTS]
    return _last(head.statistics, _padded(texts), texts)


def _last(statistics: Any, batch: Any, texts: list[torch.Tensor]) -> torch.Tensor:
    device = texts[0].device
    rows = torch.arange(len(texts), device=device)
    places = torch.tensor([len(text) - 1 for text in texts], device=device)
    found: torch.Tensor = statistics(*batch, rows, places)
    return found


def _padded(rows: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(rows, batch_first=True), pad([torch.ones_like(row) for row in rows], batch_first=True)
