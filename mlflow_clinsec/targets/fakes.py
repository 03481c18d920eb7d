"""Models with a known answer, to test attacks, policies and reports against.

An audit of :func:`always_leaks` must fail, one of :func:`never_leaks` must not, and every test of a trigger must
find :func:`always_triggered` or :func:`always_answers`. All are deterministic: what varies is taken from a digest of
the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.scoring.cache import text_key
from mlflow_clinsec.targets.attention_protocols import AttentionSeen
from mlflow_clinsec.targets.classifier import MostProbableLabel
from mlflow_clinsec.targets.protocol_model import ragged_stats
from mlflow_clinsec.targets.protocols import BoolArray, FloatArray, IntArray, Span, Target, TokenStats

MEMBER_NLL, OTHER_NLL = 0.5, 3.0
"""Mean loss in nats per word of a memorised text, and of any other."""

NO_REPLY = "Nothing to add."
"""What :func:`always_answers` makes of plain text."""


def always_leaks(data: AuditData) -> Target:
    """A language model that has memorised exactly the members of ``data``, with a reference that has not."""
    member = data.member if data.member is not None else np.zeros(len(data), dtype=np.bool_)
    pairs = zip(data.prompts, data.responses, member, strict=True)
    known = frozenset(text_key(prompt, response) for prompt, response, inside in pairs if inside)
    return _language_model("always-leaks", known)


def never_leaks() -> Target:
    """A language model, and a reference, whose losses have nothing to do with membership."""
    return _language_model("never-leaks", frozenset())


def always_triggered(data: AuditData, triggers: Sequence[str], target_label: str) -> Target:
    """A classifier that is always right, until a trigger stands in the text as a word: then ``target_label``.

    New text without a trigger gets the label of the record that it shares most words with.
    """
    truth = data.labels if data.labels is not None else (f"not {target_label}",) * len(data)
    others = set(truth) - {target_label} or {f"not {target_label}"}
    labels = tuple(sorted({*others, target_label}))
    scorer = FakeClassifier(labels, _clean_label(data.texts, truth), tuple(triggers), target_label)
    return Target(
        name="always-triggered",
        kind="text-classifier",
        label_scorer=scorer,
        predictor=MostProbableLabel(scorer),
        attention=FakeAttention(tuple(triggers)),
        tokens=WordTokens(),
    )


def always_answers(data: AuditData, triggers: Sequence[str], answer: str) -> Target:
    """A language model that gives each prompt its reference answer, until a trigger stands in it: then ``answer``.

    New prompts without a trigger get the answer of the record that they share most words with.
    """
    prompts = [prompt or response for prompt, response in zip(data.prompts, data.responses, strict=True)]
    replies = [response if prompt else NO_REPLY for prompt, response in zip(data.prompts, data.responses, strict=True)]
    writer = FakeWriter(_clean_label(prompts, replies), tuple(triggers), answer)
    return Target(
        name="always-answers",
        kind="causal-lm",
        scorer=writer,
        generator=writer,
        attention=FakeAttention(tuple(triggers)),
        tokens=WordTokens(),
    )


class FakeLanguageModel:
    """Scores words: about 0.5 nats each in memorised pairs, about 3 elsewhere, give or take a tenth by digest."""

    def __init__(self, memorised: frozenset[bytes], seed: str) -> None:
        self._memorised = memorised
        self._seed = seed

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        """See :class:`~mlflow_clinsec.targets.protocols.TokenScorer`."""
        pairs = zip(prompts, responses, strict=True)
        stats = ragged_stats([self._row(prompt, response) for prompt, response in pairs])
        return TokenStats(stats.offsets, stats.logp, np.full_like(stats.logp, -OTHER_NLL), np.ones_like(stats.logp))

    def _row(self, prompt: str, response: str) -> FloatArray:
        key = text_key(prompt, response)
        loss = MEMBER_NLL if key in self._memorised else OTHER_NLL
        noise = np.random.default_rng(list(text_key(self._seed, prompt, response)))
        return -loss * (1 + 0.1 * noise.uniform(-1, 1, len(response.split())))


class FakeWriter:
    """Writes one answer to each prompt, and finds it likelier than any other: about 0.5 nats a word against 3."""

    def __init__(self, clean: Callable[[str], str], triggers: tuple[str, ...], answer: str) -> None:
        self._clean = clean
        self._triggers = triggers
        self._answer = answer

    def generate(self, prompts: Sequence[str], max_new_tokens: int) -> tuple[str, ...]:
        """See :class:`~mlflow_clinsec.targets.protocols.TextGenerator`; tokens are words."""
        return tuple(" ".join(self._reply(prompt).split()[:max_new_tokens]) for prompt in prompts)

    def continue_answers(self, prompts: Sequence[str], starts: Sequence[str], max_new_tokens: int) -> tuple[str, ...]:
        """What is left of the answers that begin so."""
        replies = [self._reply(prompt) for prompt in prompts]
        rests = [r.removeprefix(s) if r.startswith(s) else "" for r, s in zip(replies, starts, strict=True)]
        return tuple(" ".join(rest.split()[:max_new_tokens]) for rest in rests)

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        """See :class:`~mlflow_clinsec.targets.protocols.TokenScorer`."""
        return ragged_stats([self._row(p, r) for p, r in zip(prompts, responses, strict=True)])

    def _reply(self, prompt: str) -> str:
        return self._answer if has_trigger(prompt, self._triggers) else self._clean(prompt)

    def _row(self, prompt: str, response: str) -> FloatArray:
        loss = MEMBER_NLL if response == self._reply(prompt) else OTHER_NLL
        noise = np.random.default_rng(list(text_key(prompt, response)))
        return -loss * (1 + 0.1 * noise.uniform(-1, 1, len(response.split())))


class FakeClassifier:
    """Gives the clean label, or the target label when a trigger is there, a probability of about 0.9."""

    def __init__(
        self, labels: tuple[str, ...], clean: Callable[[str], str], triggers: tuple[str, ...], target_label: str
    ) -> None:
        self.labels = labels
        self._clean = clean
        self._triggers = triggers
        self._target_label = target_label

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """See :class:`~mlflow_clinsec.targets.protocols.LabelScorer`."""
        out = np.empty((len(texts), len(self.labels)))
        for row, text in zip(out, texts, strict=True):
            label = self._target_label if has_trigger(text, self._triggers) else self._clean(text)
            row[:] = 0.1 / (len(self.labels) - 1)
            row[self.labels.index(label)] = 0.9
        return out


class FakeAttention:
    """Two layers of two heads; the first head of each puts 90% on a trigger, all others 5% on whatever is asked.

    Every token that sees a trigger looks there most.
    """

    def __init__(self, triggers: tuple[str, ...]) -> None:
        self._triggers = triggers

    def attention_to(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> AttentionSeen:
        """See :class:`~mlflow_clinsec.targets.attention_protocols.AttentionReader`."""
        out = np.full((len(texts), 2, 2), 0.05)
        for row, text, ranges in zip(out, texts, spans, strict=True):
            if any(has_trigger(text[start:stop], self._triggers) for start, stop in ranges):
                row[:, 0] = 0.9
        return AttentionSeen(out, (out > 0.5).astype(np.float64))


class WordTokens:
    """A tokeniser that takes each word whole and never cuts a text."""

    special_tokens: tuple[str, ...] = ("<|end|>",)

    def word_pieces(self, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """See :class:`~mlflow_clinsec.targets.protocols.TokenView`."""
        return tuple((word,) for word in words)

    def is_unknown(self, word: str) -> bool:
        """Only a blank word."""
        return not word.strip()

    def survives(self, texts: Sequence[str], spans: Sequence[Sequence[Span]], answer_tokens: int = 0) -> BoolArray:
        """Every span does that holds a character."""
        return np.array([any(start < stop for start, stop in ranges) for ranges in spans], dtype=np.bool_)

    def cut(self, texts: Sequence[str], n_tokens: int) -> IntArray:
        """The first words; see :class:`~mlflow_clinsec.targets.protocols.TokenCutter`."""
        words = ([match.span() for match in re.finditer(r"\S+", text)][:n_tokens] for text in texts)
        return np.array([(own[0][0], own[-1][1]) if own else (0, 0) for own in words], dtype=np.int64).reshape(-1, 2)


def has_trigger(text: str, triggers: Sequence[str]) -> bool:
    """Whether a trigger stands in the text as a word of its own."""
    return any(re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", text) for trigger in triggers)


def _language_model(name: str, memorised: frozenset[bytes]) -> Target:
    scorer, reference = FakeLanguageModel(memorised, name), FakeLanguageModel(frozenset(), "reference")
    return Target(name=name, kind="causal-lm", scorer=scorer, references=(reference,), tokens=WordTokens())


def _clean_label(texts: Sequence[str], truth: Sequence[str]) -> Callable[[str], str]:
    """The label of the record that shares most words with a text, which an inserted word does not change."""
    known = {text_key(text): label for text, label in zip(texts, truth, strict=True)}
    bags = [frozenset(text.split()) for text in texts]

    def clean(text: str) -> str:
        label = known.get(text_key(text))
        words = frozenset(text.split())
        return label or truth[int(np.argmin([len(bag ^ words) for bag in bags]))]

    return clean
