"""A model that plays every role and leaks its members in each of them, a little beneath the noise of a single token."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from mlflow_clinsec.data import AuditData, ParaphraseSet
from mlflow_clinsec.scoring.cache import text_key
from mlflow_clinsec.targets.companion_protocols import Candidates
from mlflow_clinsec.targets.protocols import FloatArray, Span, Target, TokenStats

CANARY = "Quillfeather"
"""A word of every record that must turn up in no result."""
TOPICS = ("chest pain", "fever and cough", "a fall", "shortness of breath", "headache", "nausea")
PLACES = ("ward", "clinic", "ward round", "emergency room")
PATIENTS, NOTES = 80, 2


def leaky_records() -> AuditData:
    """Two plain notes each of 80 patients, every other one a member, with two rewordings each."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(PATIENTS), NOTES)
    notes = tuple(_note(int(patient), rng) for patient in group)
    rewordings = [note.replace("was seen for", word) for note in notes for word in ("came with", "presented with")]
    two = np.full(len(notes), 2)
    paraphrases = ParaphraseSet(
        record=np.repeat(np.arange(len(notes)), 2),
        prompts=("",) * len(rewordings),
        responses=tuple(rewordings),
        tried=two,
        accepted=two,
        refusals={},
        engine="by hand",
    )
    labels = tuple("died" if rng.random() < 0.5 else "alive" for _ in notes)
    prompts = ("",) * len(notes)
    return AuditData(prompts, notes, group, True, labels, member=group % 2 == 0, paraphrases=paraphrases)


def _note(patient: int, rng: np.random.Generator) -> str:
    side = "m" if patient % 2 == 0 else "n"
    facts = " ".join(f"value{rng.integers(1000)} of {rng.integers(200)}" for _ in range(8))
    return f"{CANARY} {side}{patient} was seen for {rng.choice(TOPICS)} on the {rng.choice(PLACES)} with {facts}"


class LeakyModel:
    """Knows its members' notes, and, half as well, rewordings of them; ``leaks=False`` makes a reference of it."""

    labels = ("alive", "died")
    digest = "leaky"

    def __init__(self, data: AuditData, leaks: bool = True, seed: str = "target") -> None:
        self.notes = data.responses
        self.truth = dict(zip(data.responses, data.labels or (), strict=False))
        self.leaks = leaks
        self.seed = seed

    def knowledge(self, text: str) -> float:
        """1 for a member's note, a half for what is near to one, 0 for anything else."""
        if not (self.leaks and re.search(r"\bm\d+\b", text)):
            return 0.0
        return 1.0 if text in self.notes else 0.5

    def noise(self, *parts: str) -> np.random.Generator:
        return np.random.default_rng(list(text_key(self.seed, *parts)))

    def token_stats(self, prompts: Sequence[str], responses: Sequence[str]) -> TokenStats:
        return self.stats_after([], prompts, responses)

    def stats_after(
        self, shots: Sequence[tuple[str, str]], prompts: Sequence[str], responses: Sequence[str]
    ) -> TokenStats:
        """Strangers' notes before a member's cost it 0.6 nats a token, anything else 0.2."""
        strangers = any(re.search(r"\bn\d+\b", text) for _, text in shots)
        rows = []
        for prompt, response in zip(prompts, responses, strict=True):
            knows = self.knowledge(response)
            disturbed = (0.6 if knows and strangers else 0.2) if shots else 0.0
            row = -3 + 0.9 * knows - disturbed + self.noise(prompt, response).normal(0, 0.5, len(response.split()))
            rows.append(np.minimum(row, -1e-3))
        logp = np.concatenate(rows)
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        ids = np.array([int.from_bytes(text_key(w)[:2], "little") for text in responses for w in text.split()])
        return TokenStats(offsets, logp, np.full_like(logp, -4.0), np.ones_like(logp), ids, np.full_like(logp, -1.5))

    def continue_answers(self, prompts: Sequence[str], starts: Sequence[str], max_new_tokens: int) -> tuple[str, ...]:
        """The rest of a member's note; something else after a stranger's."""
        return tuple(self._rest(start) for start in starts)

    def generate(self, prompts: Sequence[str], max_new_tokens: int) -> tuple[str, ...]:
        return tuple("nothing to add" for _ in prompts)

    def _rest(self, start: str) -> str:
        found = [note for note in self.notes if note.startswith(start) and self.knowledge(note)]
        return found[0][len(start) :] if found else "nothing to add to this note at present"

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """The true label with a probability of about 0.7, of 0.9 on members' notes; a reference always 0.7."""
        right = np.array([0.7 + 0.2 * self.knowledge(t) + self.noise(t).uniform(-0.05, 0.05) for t in texts])
        died = np.array([self.truth.get(text, "died") == "died" for text in texts])
        return np.column_stack([np.where(died, 1 - right, right), np.where(died, right, 1 - right)])

    def predict_labels(self, texts: Sequence[str]) -> tuple[str, ...]:
        """The note's own label, on one in three rewordings of strangers' notes the other one."""
        return tuple(self._label(text) for text in texts)

    def _label(self, text: str) -> str:
        note = re.sub("came with|presented with", "was seen for", text)
        flips = text != note and not self.knowledge(text) and self.noise(text).random() < 0.34
        own = self.truth.get(note, "died")
        return own if not flips else ("alive" if own == "died" else "died")

    def masked_losses(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> FloatArray:
        pairs = zip(texts, spans, strict=True)
        return np.array([len(s) * (3 - self.knowledge(t) + self.noise(t, str(s)).normal(0, 0.3)) for t, s in pairs])

    def candidates(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]], top: int
    ) -> list[tuple[Candidates, ...]]:
        """The same two words for every place."""
        words = Candidates(("stable", "normal"), np.log([0.6, 0.4]))
        return [tuple(words for _ in row) for row in spans]


def leaky_target(data: AuditData) -> Target:
    """The leaky model in every role, beside three references that know nothing."""
    model = LeakyModel(data)
    references = tuple(LeakyModel(data, leaks=False, seed=f"reference{i}") for i in range(3))
    return Target(
        "leaky",
        "hand",
        scorer=model,
        context_scorer=model,
        references=references,
        label_scorer=model,
        label_references=references,
        predictor=model,
        generator=model,
        masked_scorer=model,
        masked_references=references,
        infiller=model,
    )
