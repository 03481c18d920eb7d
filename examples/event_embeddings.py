"""Audit a model that reads event vectors, not text alone: `python examples/event_embeddings.py`.

Llemr reads a patient's events as vectors (an embedding of the event's text, its time, value and duration) that a
projector carries into the language model's embedding space; the question follows as text. Such a model cannot be
audited as a plain transformers checkpoint, but one method is enough: `token_logprobs(prompts, responses)`.

The vectors are patient data. They stay in a local file that the model opens by its path: neither the logged model nor
the audit's data holds them. A prompt begins with a reference, `[17]`, by which the model finds the vectors of its
record; only answers are reworded, so that the reference survives. The model is tiny and learns synthetic patients.
"""

from __future__ import annotations

import re
import tempfile
import zlib
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from mlflow_clinsec.datasets import generate_corpus, split_patients
from mlflow_clinsec.training.models import small_causal_lm
from mlflow_clinsec.training.tokenizers import train_tokenizer

WORDS = 32
EVENT_SIZE = WORDS + 2
EVENT = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d) (.+)$", re.MULTILINE)
REFERENCE = re.compile(r"^\[(\d+)\] ")


def event_vectors(prompt: str) -> np.ndarray:
    """Shape (events, EVENT_SIZE): hashed words in place of a text encoder, hours since the first event, and value."""
    found = EVENT.findall(prompt)
    times = pd.to_datetime([time for time, _ in found])
    vectors = np.zeros((len(found), EVENT_SIZE), dtype=np.float32)
    for vector, time, (_, text) in zip(vectors, times, found, strict=True):
        for word in re.findall(r"[A-Za-z]+", text):
            vector[zlib.crc32(word.lower().encode()) % WORDS] += 1.0
        numbers = re.findall(r"\d+(?:\.\d+)?", text)
        vector[WORDS:] = (time - times[0]) / pd.Timedelta(days=1), np.log1p(float(numbers[-1])) if numbers else 0.0
    return vectors


class EventReader(mlflow.pyfunc.PythonModel):
    """A language model behind a projector of event vectors."""

    def load_context(self, context: Any) -> None:
        folder = Path(context.artifacts["weights"])
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.lm = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
        self.projector = nn.Linear(EVENT_SIZE, self.lm.config.n_embd)
        self.projector.load_state_dict(load_file(folder / "projector.safetensors"))
        self.events = dict(np.load(context.model_config["events"]))

    def build(self, tokenizer: Any, lm: Any, events: dict[str, np.ndarray]) -> EventReader:
        """The same model before it is trained and logged."""
        self.tokenizer, self.lm, self.events = tokenizer, lm, events
        self.projector = nn.Linear(EVENT_SIZE, lm.config.n_embd)
        return self

    def embed(self, prompt: str, response: str) -> tuple[Tensor, Tensor]:
        """Embeddings of events, question and answer, shape (n, width); and the answer's ids, which stand last."""
        reference = REFERENCE.match(prompt)
        events = self.events[reference[1]] if reference else np.zeros((0, EVENT_SIZE), dtype=np.float32)
        question = self.tokenizer(f"{REFERENCE.sub('', prompt)}\n", return_tensors="pt")["input_ids"][0]
        answer = self.tokenizer(response, return_tensors="pt")["input_ids"][0]
        words = self.lm.get_input_embeddings()(torch.cat([question, answer]))
        return torch.cat([self.projector(torch.from_numpy(events)), words]), answer

    def answer_logprobs(self, prompt: str, response: str) -> Tensor:
        """Log-probability of each answer token, given the events, the question and the answer before it."""
        embedded, answer = self.embed(prompt, response)
        logits = self.lm(inputs_embeds=embedded.unsqueeze(0), logits_to_keep=len(answer) + 1).logits[0, :-1]
        return torch.log_softmax(logits, dim=-1).gather(1, answer.unsqueeze(1)).squeeze(1)

    def token_logprobs(self, prompts: list[str], responses: list[str]) -> list[list[float]]:
        """What the audit asks for."""
        with torch.inference_mode():
            return [self.answer_logprobs(p, r).tolist() for p, r in zip(prompts, responses, strict=True)]

    def predict(self, model_input: list[str]) -> list[str]:
        """Greedy answers, for everybody else."""
        with torch.inference_mode():
            embedded = [self.embed(prompt, "")[0].unsqueeze(0) for prompt in model_input]
            ids = [self.lm.generate(inputs_embeds=e, max_new_tokens=20, do_sample=False)[0] for e in embedded]
        return [str(self.tokenizer.decode(row, skip_special_tokens=True)) for row in ids]


mlflow.models.set_model(EventReader())  # MLflow logs this file as the model's code: nothing is pickled


def fine_tune(model: EventReader, members: pd.DataFrame, epochs: int = 6) -> None:
    """Train language model and projector together on the members' answers."""
    weights = [*model.lm.parameters(), *model.projector.parameters()]
    optimizer = torch.optim.AdamW(weights, lr=3e-3)
    pairs = list(zip(members["prompt"], members["response"], strict=True))
    rng = np.random.default_rng(0)
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(pairs)), max(1, len(pairs) // 8)):
            optimizer.zero_grad()
            losses = torch.stack([-model.answer_logprobs(*pairs[i]).mean() for i in batch])
            losses.mean().backward()
            optimizer.step()


def save(model: EventReader, folder: Path) -> None:
    """Weights and tokenizer, as `load_context` reads them."""
    model.lm.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    save_file(model.projector.state_dict(), folder / "projector.safetensors")


def with_references(questions: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Prompts that name their events instead of listing them, and the vectors by that name."""
    references = np.random.default_rng(0).permutation(len(questions)).astype(str)  # tells nothing of membership
    events = {name: event_vectors(prompt) for name, prompt in zip(references, questions["prompt"], strict=True)}
    asked = questions["prompt"].str.extract(r"Question: (.*)", expand=False)
    return questions.assign(prompt="[" + references + "] " + asked), events


def main() -> None:
    questions, events = with_references(generate_corpus(120, seed=5).qa)
    parts = split_patients(questions, {"other": 0.2, "train": 0.4, "held out": 0.4}, seed=0)
    others = parts["other"]
    tokenizer = train_tokenizer([*others["prompt"], *others["response"]], "causal-lm", vocab_size=800, max_length=512)
    lm = small_causal_lm(tokenizer, seed=0, width=64, context=512)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = EventReader().build(tokenizer, lm, events)
    fine_tune(model, parts["train"])

    data = pd.concat([parts[name].assign(in_training=name == "train") for name in ("train", "held out")])
    with tempfile.TemporaryDirectory() as local, mlflow.start_run(run_name="event embeddings") as run:
        save(model, weights := Path(local) / "weights")
        np.savez(vectors := Path(local) / "events.npz", **events)
        info = mlflow.pyfunc.log_model(
            name="event-reader",
            python_model=__file__,
            artifacts={"weights": str(weights)},
            model_config={"events": str(vectors)},
            pip_requirements=["mlflow", "torch", "transformers", "mlflow-clinsec"],
        )
        result = mlflow.models.evaluate(
            model=info.model_uri,
            data=data.reset_index(drop=True),
            model_type="clinical-language-model",
            evaluators="clinsec",
            evaluator_config={
                "data": {"prompt": "prompt", "response": "response"},
                "privacy": {
                    "member": "in_training",
                    "group": "patient_id",
                    "split": "random",
                    "attacks": ["loss", "min_k", "paraphrase_gap"],
                    "paraphrase": {"rewrite": "response"},
                },
            },
        )
    print(f"clinsec/privacy/worst_auc: {result.metrics['clinsec/privacy/worst_auc']:.3f}")
    print("verdict:", mlflow.get_run(run.info.run_id).data.tags["clinsec.verdict"])


if __name__ == "__main__":
    main()
