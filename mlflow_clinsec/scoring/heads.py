"""From a causal language model to vocabulary statistics at chosen places, without all logits in float32.

:class:`ChunkedHead` runs the model's backbone and multiplies only the scored hidden states with slices of the
output embedding. Not every model's logits are just that product (soft capping, logit scales, a LoRA on the
output layer), so :func:`choose_head` compares the two on a short probe and falls back to
:class:`LogitsHead`, which takes the model's own logits and reduces them slice by slice.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mlflow_clinsec.scoring.modes import evaluating, input_device
from mlflow_clinsec.scoring.precision import full_precision
from mlflow_clinsec.scoring.vocab import LOWEST_LOGIT, VocabMoments

logger = logging.getLogger(__name__)

PROBE_TOKENS = 32
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4, torch.float16: 4e-3, torch.bfloat16: 2e-2}
"""Largest difference of probe logits, as a share of the largest logit: rounding of the dtype, with room."""
TILE = {"cpu": (256, 512), "cuda": (8192, 8192)}
"""Logits at work at once, as (places, words): what a core's own cache holds, or enough to fill a GPU."""
WHOLE_LOGITS = 2**28
"""Logits that the fallback lets a model return at once."""


class OutputHead(Protocol):
    """Turns a padded batch into statistics of chosen next-token predictions."""

    def statistics(
        self, ids: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """Log-probability, mean, std and maximum, shape (4, m), of the tokens ``ids[rows, places]``; places from 1."""
        ...


class Heads(NamedTuple):
    """Beginnings that texts share.

    Attributes:
        ids, mask: shape (g, longest), padded on the right.
        owner: shape (n,), which beginning each text of the batch has.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    owner: torch.Tensor


class ChunkedHead:
    """Backbone, then the output embedding in slices of the vocabulary; float32 throughout the head."""

    def __init__(self, model: Any) -> None:
        causal = unwrapped(model)
        self._backbone = causal.base_model
        self._output = causal.get_output_embeddings()

    def statistics(
        self, ids: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """See :class:`OutputHead`."""
        return self._reduce(self._hidden(ids, mask), ids, rows, places)

    def statistics_behind(
        self, heads: Heads, ids: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """The same for texts without their beginnings, which ran once each; places from 1 in what is left."""
        begun = self._backbone(input_ids=heads.ids, attention_mask=heads.mask, use_cache=True).past_key_values
        begun.batch_select_indices(heads.owner)
        before = heads.mask[heads.owner]
        steps = torch.arange(ids.shape[1], device=ids.device)
        out = self._backbone(
            input_ids=ids,
            attention_mask=torch.cat([before, mask], dim=1),
            position_ids=(before.sum(dim=1, keepdim=True) + steps) * mask,  # padding may lie past the last position
            past_key_values=begun,
            use_cache=True,
        )
        return self._reduce(out.last_hidden_state, ids, rows, places)

    def _reduce(
        self, hidden: torch.Tensor, ids: torch.Tensor, rows: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """Statistics, shape (4, m), from all hidden states (batch, length, d)."""
        chosen = hidden[rows.to(hidden.device), places.to(hidden.device) - 1]
        chosen = chosen.to(self._output.weight.device, torch.float32)
        targets = ids[rows, places].to(chosen.device)
        tall, _ = tile_shape(chosen.device)
        blocks = zip(chosen.split(tall), targets.split(tall), strict=True)
        with full_precision(chosen.device):
            return torch.cat([self._block(block, words) for block, words in blocks], dim=1)

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """All logits of one short sequence, float32, shape (n_tokens, vocabulary); for the probe."""
        hidden = self._hidden(ids, torch.ones_like(ids))[0]
        return torch.cat(list(self._slices(hidden.to(self._output.weight.device, torch.float32))), dim=1)

    def _block(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Statistics, shape (4, m), of m places."""
        moments = VocabMoments()
        for logits in self._slices(hidden):
            moments.update(logits)
        weight, bias = self._output.weight, getattr(self._output, "bias", None)
        target = (hidden * weight[targets].float()).sum(dim=1)
        return moments.result(target if bias is None else target + bias[targets].float())

    def _hidden(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        out = self._backbone(input_ids=ids, attention_mask=mask, use_cache=False)
        return out.last_hidden_state

    def _slices(self, hidden: torch.Tensor) -> Iterator[torch.Tensor]:
        """Logits of the hidden states (m, d) in float32, shape (m, width) each, along the vocabulary."""
        weight, bias = self._output.weight, getattr(self._output, "bias", None)
        _, width = tile_shape(weight.device)
        for start in range(0, len(weight), width):
            part = slice(start, start + width)
            logits = hidden @ weight[part].float().T
            yield logits if bias is None else logits.add_(bias[part].float())


class LogitsHead:
    """The model's own logits, a few rows of the batch at a time, reduced slice by slice."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters

    def statistics(
        self, ids: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """See :class:`OutputHead`."""
        size = max(1, WHOLE_LOGITS // (ids.shape[1] * int(self._model.config.get_text_config().vocab_size)))
        out = torch.empty(4, len(rows))
        for start in range(0, len(ids), size):
            part = slice(start, start + size)
            chosen = torch.nonzero((rows >= start) & (rows < start + size))[:, 0]
            if chosen.numel():
                found = self._some_rows(ids[part], mask[part], rows[chosen] - start, places[chosen])
                out[:, chosen.to(out.device)] = found.to(out.device)
        return out

    def _some_rows(
        self, ids: torch.Tensor, mask: torch.Tensor, rows: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        keep, column = torch.unique(places - 1, return_inverse=True)
        extra = {"logits_to_keep": keep.cpu()} if self._keeps else {}
        logits = self._model(input_ids=ids, attention_mask=mask, use_cache=False, **extra).logits
        if not self._keeps:  # a soft prompt stands before the text: count places from the end
            column = places - 1 + logits.shape[1] - ids.shape[1]
        targets = ids[rows, places].to(logits.device)
        rows, column = rows.to(logits.device), column.to(logits.device)
        tall, _ = tile_shape(logits.device)
        blocks = zip(rows.split(tall), column.split(tall), targets.split(tall), strict=True)
        return torch.cat([_reduce(logits, *block) for block in blocks], dim=1)


def _reduce(logits: torch.Tensor, rows: torch.Tensor, column: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Statistics, shape (4, m), of m places of a batch of logits (batch, length, vocabulary)."""
    _, width = tile_shape(logits.device)
    moments = VocabMoments()
    for start in range(0, logits.shape[2], width):
        part = logits[rows, column, start : start + width].float()
        moments.update(part.clamp_(min=LOWEST_LOGIT))
    return moments.result(logits[rows, column, targets].float().clamp(min=LOWEST_LOGIT))


def choose_head(model: Any, probe: NDArray[np.int64]) -> OutputHead:
    """The chunked head when it reproduces the model's logits on the first tokens of a probe, else its own.

    Args:
        model: a causal language model, PEFT or not.
        probe: token ids of one of the texts to be scored.
    """
    with evaluating(model):
        same = _agrees(model, torch.as_tensor(probe[:PROBE_TOKENS], device=input_device(model))[None])
    if same and not getattr(unwrapped(model).config.get_text_config(), "final_logit_softcapping", None):
        return ChunkedHead(model)
    logger.info("clinsec: %s: scoring with the model's own logits", type(unwrapped(model)).__name__)
    return LogitsHead(model)


def _agrees(model: Any, ids: torch.Tensor) -> bool:
    """Whether chunked and own logits are the same but for rounding of the model's own dtype."""
    try:
        ours = ChunkedHead(model).logits(ids)
    except torch.cuda.OutOfMemoryError:
        raise  # the model's own logits need more memory still
    except (AttributeError, TypeError, RuntimeError, NotImplementedError, ValueError) as error:
        # Quantised and wrapped output layers have no plain weight, or refuse the product in many ways. Whatever goes
        # wrong in our shortcut, the model's own logits are there; errors of the model itself come up again with them.
        logger.debug("clinsec: no chunked output head (%s)", type(error).__name__)
        return False
    own = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0]
    theirs = own.to(ours.device, torch.float32)
    if ours.shape != theirs.shape or not bool(theirs.isfinite().all()):
        return False
    tolerance = TOLERANCE.get(own.dtype, 0.0) * float(theirs.abs().max())
    return float((ours - theirs).abs().max()) <= tolerance


def unwrapped(model: Any) -> Any:
    """The transformers model inside a PEFT model (its adapters stay in place), or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def tile_shape(device: torch.device) -> tuple[int, int]:
    """Places and words of the vocabulary that are worked on at once."""
    return TILE["cpu" if device.type == "cpu" else "cuda"]
