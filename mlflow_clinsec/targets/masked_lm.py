"""A masked language model (BERT, RoBERTa, ...) as a target, as its reference, and as a source of other words."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mlflow_clinsec.errors import TargetError
from mlflow_clinsec.scoring.cache import ShelvedMemo, Work, text_key
from mlflow_clinsec.scoring.limits import input_length
from mlflow_clinsec.scoring.masked import Hidden, IntArray, hide, run_hidden
from mlflow_clinsec.store.shelf import Shelf
from mlflow_clinsec.targets.companion_protocols import Candidates, FloatArray, MaskedScorer, Span
from mlflow_clinsec.targets.digest import model_digest
from mlflow_clinsec.targets.huggingface import TargetOptions, place
from mlflow_clinsec.targets.identity import content_digest
from mlflow_clinsec.targets.protocols import Target
from mlflow_clinsec.targets.reference import Visitor

_WORD_STARTS = ("\u0120", "\u2581")  # how byte-level BPE and SentencePiece write the space before a word


class MaskedLM:
    """A :class:`~.companion_protocols.MaskedScorer` and :class:`~.companion_protocols.Infiller`.

    Raises:
        TargetError: the model fills no masks, or its tokeniser has none or gives no character offsets.
    """

    def __init__(self, model: Any, tokenizer: Any, options: TargetOptions) -> None:
        refuse_other_models(model, tokenizer)
        self._model = model
        self._tokenizer = tokenizer
        self._batch_tokens = options.batch_tokens
        self._limit = input_length(tokenizer, model, options.max_length)

    @functools.cached_property
    def digest(self) -> str:
        """See :func:`~.identity.content_digest`."""
        return content_digest(self._model, self._tokenizer)

    def masked_losses(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> FloatArray:
        """See :class:`~.companion_protocols.MaskedScorer`; NaN for a text in which nothing could be masked."""
        hidden = self._hide(texts, spans, whole_words=False)
        truth = torch.as_tensor(np.concatenate([row.truth for row in hidden]) if hidden else np.empty(0, np.int64))
        losses = np.zeros(len(truth))

        def read(logits: torch.Tensor, masks: IntArray) -> None:
            found = torch.log_softmax(logits, dim=-1).gather(1, truth[masks].to(logits.device)[:, None])
            losses[masks] = -found[:, 0].double().cpu().numpy()

        self._run(hidden, read)
        counts = np.array([len(row.truth) for row in hidden], dtype=np.int64)
        sums = np.bincount(np.repeat(np.arange(len(hidden)), counts), weights=losses, minlength=len(hidden))
        return np.where(counts > 0, sums, np.nan)

    def candidates(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]], top: int
    ) -> list[tuple[Candidates, ...]]:
        """See :class:`~.companion_protocols.Infiller`; a span of which nothing could be masked has no candidates."""
        hidden = self._hide(texts, spans, whole_words=True)
        ids, words = self._words
        places = [(text, int(span)) for text, row in enumerate(hidden) for span in row.span]
        found = [[Candidates((), np.empty(0)) for _ in row] for row in spans]

        def read(logits: torch.Tensor, masks: IntArray) -> None:
            allowed = torch.log_softmax(logits, dim=-1)[:, ids.to(logits.device)]
            best = torch.topk(allowed, min(top + 1, allowed.shape[1]), dim=1)
            for mask, values, picks in zip(masks, best.values.double().cpu(), best.indices.cpu(), strict=True):
                text, span = places[mask]
                start, stop = spans[text][span]
                own = texts[text][start:stop].lower()
                kept = [i for i, pick in enumerate(picks.tolist()) if words[pick].lower() != own][:top]
                found[text][span] = Candidates(tuple(words[int(picks[i])] for i in kept), values[kept].numpy())

        self._run(hidden, read)
        return [tuple(row) for row in found]

    @functools.cached_property
    def _words(self) -> tuple[torch.Tensor, tuple[str, ...]]:
        """Pieces that are whole words of letters, and those words."""
        words = whole_words(self._tokenizer.get_vocab())
        if not words:
            raise TargetError("the masked language model's vocabulary holds no whole words")
        return torch.as_tensor(sorted(words)), tuple(words[i] for i in sorted(words))

    def _hide(self, texts: Sequence[str], spans: Sequence[Sequence[Span]], *, whole_words: bool) -> list[Hidden]:
        if not texts:
            return []
        distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        batch = self._tokenizer(
            list(distinct), add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
        )
        return [
            hide(
                np.asarray(batch["input_ids"][distinct[text]], dtype=np.int64),
                batch["offset_mapping"][distinct[text]],
                ranges,
                self._tokenizer.mask_token_id,
                whole_words=whole_words,
            )
            for text, ranges in zip(texts, spans, strict=True)
        ]

    def _run(self, hidden: Sequence[Hidden], read: Any) -> None:
        run_hidden(self._model, self._tokenizer, hidden, read, limit=self._limit, batch_tokens=self._batch_tokens)


def whole_words(vocabulary: dict[str, int]) -> dict[int, str]:
    """Piece number -> word, for the pieces of a vocabulary that are whole words of ASCII letters."""
    marks = tuple(mark for mark in _WORD_STARTS if any(piece.startswith(mark) for piece in vocabulary))
    words = {}
    for piece, number in vocabulary.items():
        if marks and not piece.startswith(marks):
            continue  # the inside of a word; WordPiece marks those with ##, which is no letter
        word = piece.lstrip("".join(marks)) if marks else piece
        if word.isascii() and word.isalpha():
            words[number] = word
    return words


def refuse_other_models(model: Any, tokenizer: Any) -> None:
    """Only masked language models with a fast tokeniser.

    Raises:
        TargetError: it is none.
    """
    name = type(model).__name__
    if not name.endswith("ForMaskedLM"):
        raise TargetError(f"{name}: needs a masked language model (a fill-mask model)")
    if tokenizer is None or getattr(tokenizer, "mask_token_id", None) is None:
        raise TargetError(f"{name}: the model came without a tokeniser that has a mask token")
    if not getattr(tokenizer, "is_fast", False):
        raise TargetError(f"{name}: the tokeniser gives no character offsets (it is not a fast one)")


class VisitingMaskedScorer(Visitor[MaskedScorer]):
    """A reference masked language model that stands on the device only while it scores."""

    def masked_losses(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> FloatArray:
        """See :class:`~.companion_protocols.MaskedScorer`."""
        with self.visit() as model:
            return model.masked_losses(texts, spans)


class CachedMaskedScorer:
    """A :class:`~.companion_protocols.MaskedScorer` that scores each text with each set of spans once."""

    def __init__(self, inner: MaskedScorer, shelf: Shelf | None = None) -> None:
        self._inner = inner
        self._memo: ShelvedMemo[float] = ShelvedMemo(shelf)

    def masked_losses(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> FloatArray:
        """See :class:`~.companion_protocols.MaskedScorer`."""

        def compute(rows: list[int]) -> Sequence[float]:
            return self._inner.masked_losses([texts[i] for i in rows], [spans[i] for i in rows]).tolist()

        keys = [text_key(text, repr(list(ranges))) for text, ranges in zip(texts, spans, strict=True)]
        work = Work[float](
            sizes=[len(text) for text in texts],
            prompts=[""] * len(texts),
            compute=compute,
            pack=np.float64,
            unpack=lambda places, arrays: [float(loss) for loss in arrays],
        )
        return np.array(self._memo.get_or_work(keys, work), dtype=np.float64)

    def forget(self) -> None:
        """Drop what is held in memory."""
        self._memo.forget()


def masked_shelf(options: TargetOptions, identity: str) -> Shelf | None:
    """Where losses of masked words are kept, if they are."""
    return options.shelf(identity, "losses of masked words")


def masked_lm_target(model: Any, tokenizer: Any, *, name: str, options: TargetOptions) -> Target:
    """A masked language model under audit.

    Raises:
        TargetError: see :class:`MaskedLM`.
    """
    scorer = MaskedLM(model, tokenizer, options)
    known = options.identity(model, tokenizer)
    return Target(
        name=name or type(model).__name__,
        kind="masked-lm",
        masked_scorer=CachedMaskedScorer(scorer, masked_shelf(options, known)),
        notes={"masked_reference": "a reference masked language model: name one under privacy.reference"},
        digest=model_digest(model, tokenizer),
        identity=known,
        close=place(model, options.device),
    )
