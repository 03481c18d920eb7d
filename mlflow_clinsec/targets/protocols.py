"""The audited model as an attacker sees it.

An attack never touches a model: it names the roles it needs and reads them from a :class:`Target`. A role that
the model cannot play is ``None``, and the attack is then reported as skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mlflow_clinsec.scoring.batches import BATCH_TOKENS
from mlflow_clinsec.targets.attention_protocols import AttentionReader
from mlflow_clinsec.targets.companion_protocols import Infiller, MaskedScorer, Rewriter
from mlflow_clinsec.targets.roles import HELPERS, ROLE_NAMES, Role
from mlflow_clinsec.targets.token_protocols import TokenView

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

Span = tuple[int, int]
"""Half-open character range in a text."""


@dataclass(frozen=True)
class TokenStats:
    """Per-token statistics of n texts, ragged: text i owns the slice ``offsets[i]:offsets[i + 1]``.

    Attributes:
        offsets: shape (n + 1,), starting at 0.
        logp: shape (offsets[-1],), natural log-probability of each scored token.
        mean, std: same shape; mean and standard deviation of log-probability under the model's own next-token
            distribution at that place; None when the model does not show it.
        top: same shape; log-probability of the likeliest token there. The model errs where ``logp`` lies below it by
            more than rounding (1e-4 nats in float32). None when the model does not show it.
        token_ids: same shape; lets two models be compared per token only when they tokenise alike; None when
            unknown.
    """

    offsets: IntArray
    logp: FloatArray
    mean: FloatArray | None = None
    std: FloatArray | None = None
    token_ids: IntArray | None = None
    top: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> IntArray:
        """Scored tokens per text, shape (n,)."""
        return np.diff(self.offsets)

    def rows(self, values: FloatArray) -> Iterator[FloatArray]:
        """Yield each text's slice of a per-token array."""
        for start, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            yield values[start:stop]

    def text_means(self, values: FloatArray) -> FloatArray:
        """Mean of a per-token array over each text's tokens, shape (n,); NaN where no token was scored."""
        sums = np.zeros(len(self))
        np.add.at(sums, np.repeat(np.arange(len(self)), self.counts), values)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.counts > 0, sums / self.counts, np.nan)

    def nll(self) -> FloatArray:
        """Mean negative log-likelihood in nats per token, shape (n,); NaN where no token was scored."""
        return -self.text_means(self.logp)


class TokenScorer(Protocol):
    """Gives token log-probabilities of responses, each given its prompt ("" for plain text)."""

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        """Statistics of the response tokens; one entry per pair, in the order given."""
        ...


class StorableScorer(TokenScorer, Protocol):
    """A :class:`TokenScorer` that knows the scored tokens without a forward pass."""

    def token_ids(self, prompts: Sequence[str], responses: Sequence[str]) -> list[IntArray]:
        """Ids of the scored tokens of each pair, shape (n_tokens,) each."""
        ...


class ContextScorer(Protocol):
    """Scores records with other records standing before them."""

    def stats_after(
        self, shots: Sequence[tuple[str, str]], prompts: Sequence[str], responses: Sequence[str]
    ) -> TokenStats:
        """Statistics of the tokens that :class:`TokenScorer` scores, each record with the same shots before it.

        Args:
            shots: (prompt, response) pairs, cut to what the longest record leaves of the model's context, or to a
                quarter of the context where it leaves less.

        Returns:
            One entry per record, in the order given; only the first tokens of a response that does not fit.
        """
        ...


class LabelScorer(Protocol):
    """Gives class probabilities."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names, in the order of the probability columns."""
        ...

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Probabilities, shape (n_texts, n_labels), rows summing to 1."""
        ...


class LabelPredictor(Protocol):
    """Gives the model's own decision."""

    def predict_labels(self, texts: Sequence[str]) -> tuple[str, ...]:
        """One label per text."""
        ...


class TextGenerator(Protocol):
    """Continues prompts."""

    def generate(self, prompts: Sequence[str], max_new_tokens: int) -> tuple[str, ...]:
        """One continuation per prompt, greedy, without the prompt."""
        ...

    def continue_answers(self, prompts: Sequence[str], starts: Sequence[str], max_new_tokens: int) -> tuple[str, ...]:
        """What follows ``start`` in the answer to each prompt, greedy; plain text has an empty prompt."""
        ...


@dataclass(frozen=True)
class ClassifierWeights:
    """A text classifier itself, for the tests whose method is gradients or changed embeddings.

    Attributes:
        model: a transformers sequence classifier with one logit per class; whoever changes it puts it back.
        tokenizer: its fast tokeniser.
        labels: class names, in the order of the logits.
        max_length: tokens at which texts are cut; None for no limit.
        batch_tokens: tokens per batch, padding included.
    """

    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    labels: tuple[str, ...]
    max_length: int | None = None
    batch_tokens: int = BATCH_TOKENS


@dataclass(frozen=True)
class Target:
    """An audited model, as the set of roles that it can play.

    Attributes:
        name: what reports call it; taken from the model URI or class, never from data.
        kind: "causal-lm", "masked-lm", "text-classifier", "pyfunc", "function" or "precomputed".
        references: models that have not seen the members: those that the user names, else the PEFT base.
        label_references: likewise for classifiers, their columns in the order of ``label_scorer``'s.
        masked_references: likewise for masked language models.
        weights: the classifier itself.
        infiller, rewriter, language_model: models that help an attack or a test and are not audited.
        notes: role -> why it is missing, where there is more to say than "this kind of model has none".
        label_names: class names where no label scorer tells them.
        precomputed: True when the roles only replay columns for the very records that are audited, so that no
            new text (paraphrase, trigger) can be scored.
        digest: hex digest of weights and tokenizer where they are at hand, else "".
        unsteady: how answers changed when the model was asked twice; "" where they did not, or nobody asked.
        identity: hex digest and options on which every answer of every role depends; "" where they cannot all be told.
        precision: what passes compute in where another type than the loaded one was asked for, and how near it comes.
        close: frees what was loaded (device memory, hooks); a no-op by default.
    """

    name: str
    kind: str
    scorer: TokenScorer | None = None
    context_scorer: ContextScorer | None = None
    references: tuple[TokenScorer, ...] = ()
    label_scorer: LabelScorer | None = None
    label_references: tuple[LabelScorer, ...] = ()
    predictor: LabelPredictor | None = None
    generator: TextGenerator | None = None
    attention: AttentionReader | None = None
    tokens: TokenView | None = None
    weights: ClassifierWeights | None = None
    masked_scorer: MaskedScorer | None = None
    masked_references: tuple[MaskedScorer, ...] = ()
    infiller: Infiller | None = None
    rewriter: Rewriter | None = None
    language_model: TokenScorer | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    label_names: tuple[str, ...] | None = None
    precomputed: bool = False
    digest: str = ""
    identity: str = ""
    precision: str = ""
    unsteady: str = ""
    close: Callable[[], None] = lambda: None

    @property
    def reference(self) -> TokenScorer | None:
        """The first reference model."""
        return self.references[0] if self.references else None

    @property
    def label_reference(self) -> LabelScorer | None:
        """The first reference classifier."""
        return self.label_references[0] if self.label_references else None

    @property
    def masked_reference(self) -> MaskedScorer | None:
        """The first reference masked language model."""
        return self.masked_references[0] if self.masked_references else None

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Class names where the model tells them."""
        return self.label_scorer.labels if self.label_scorer is not None else self.label_names

    def missing(self, requires: Sequence[Role]) -> str:
        """Why the required roles cannot all be played; "" when they can."""
        absent = [role for role in requires if getattr(self, role) is None]
        return "; ".join(self.notes.get(role, self._not_offered(role)) for role in absent)

    def _not_offered(self, role: Role) -> str:
        if role in HELPERS:
            return f"{ROLE_NAMES[role]}: none was named"
        return f"{ROLE_NAMES[role]}: not offered by a {self.kind} target"
