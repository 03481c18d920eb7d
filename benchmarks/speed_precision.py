"""What bfloat16 gains on this processor, and what it does to the scores.

    python -m benchmarks.speed_precision [--data FOLDER] [--records 400] [--repeats 3]

runs the same sweep in float32 and in bfloat16, three ways: under autocast with an exact output layer, as
``scoring.precision`` does; with weights cast to bfloat16; and with float32 products that oneDNN rounds to bfloat16 (a
switch of the whole process). Language models of three sizes and a classifier; those that install as packages are left
out where they are absent. All take turns in one process on one thread; speed is the median ratio of CPU seconds.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from transformers import PreTrainedModel

from benchmarks.membership_fixtures import REAL_TEXT, fixtures, prepare, within_context
from benchmarks.pretrained import minilm, smollm
from benchmarks.speed_passes import VOCABULARY, made_up_model
from benchmarks.sweep_cost import cpu_seconds
from benchmarks.trigger_cost import CONTEXT, LABELS
from mlflow_clinsec.datasets import generate_corpus
from mlflow_clinsec.privacy.min_k import lowest_share_mean
from mlflow_clinsec.scoring.classify import class_probabilities
from mlflow_clinsec.scoring.encode import EncodedPair, encode_pairs
from mlflow_clinsec.scoring.heads import choose_head
from mlflow_clinsec.scoring.precision import computing_in
from mlflow_clinsec.scoring.sweep import sweep
from mlflow_clinsec.targets.protocols import TokenStats

FloatArray = NDArray[np.float64]
Ready = tuple[PreTrainedModel, Callable[[], AbstractContextManager[Any]]]

NOISE = 0.02
"""Of each weight's mean size, by which a near reference differs from its model."""
NAMES = {"prompt": "question", "response": "answer"}
FITTED = 80
"""Notes on which a classifier's last layer is fitted."""


@contextmanager
def rounding_products() -> Iterator[None]:
    """Products of float32 matrices round their inputs to bfloat16; for all threads of the process."""
    before = torch.backends.mkldnn.matmul.fp32_precision
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = before


VARIANTS: Mapping[str, Callable[[PreTrainedModel], Ready]] = {
    "float32": lambda model: (model, nullcontext),
    "autocast": lambda model: (model, lambda: computing_in("bfloat16", model)),
    "weights_cast": lambda model: (copy.deepcopy(model).to(torch.bfloat16), nullcontext),
    "products_rounded": lambda model: (model, rounding_products),
}


def timed(
    model: PreTrainedModel, work: Callable[[PreTrainedModel], Any], repeats: int
) -> tuple[dict[str, Any], dict[str, float]]:
    """What each variant gives, and how many times faster than float32 it is."""
    ready = {name: make(model) for name, make in VARIANTS.items()}
    found: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}

    def run(name: str) -> None:
        own, inside = ready[name]
        with inside():
            found[name] = work(own)

    for _ in range(repeats):
        for name in VARIANTS:
            seconds[name].append(cpu_seconds(lambda name=name: run(name)))  # type: ignore[misc]
    exact = np.array(seconds["float32"])
    return found, {name: round(float(np.median(exact / np.array(spent))), 2) for name, spent in seconds.items()}


def scores(stats: TokenStats, reference: TokenStats) -> dict[str, FloatArray]:
    """Records' scores, shape (n,) each."""
    assert stats.mean is not None
    assert stats.std is not None
    standardised = (stats.logp - stats.mean) / np.maximum(stats.std, 1e-6)
    return {
        "loss": stats.nll(),
        "min_k": lowest_share_mean(stats, stats.logp, 0.2),
        "min_k_plus_plus": lowest_share_mean(stats, standardised, 0.2),
        "reference": reference.nll() - stats.nll(),
    }


def language_model(
    model: PreTrainedModel, reference: PreTrainedModel, pairs: Sequence[EncodedPair], repeats: int
) -> dict[str, Any]:
    """Speed, difference of the records' mean losses in nats, and ranks kept, by variant."""

    def work(own: PreTrainedModel) -> TokenStats:
        return sweep(own, pairs, head=choose_head(own, max(pairs, key=len).input_ids))

    stats, faster = timed(model, work, repeats)
    others, _ = timed(reference, work, 1)
    exact = scores(stats["float32"], others["float32"])
    found: dict[str, Any] = {"texts": len(pairs), "tokens": sum(map(len, pairs))}
    for name in list(VARIANTS)[1:]:
        ours = scores(stats[name], others[name])
        moved = np.abs(ours["loss"] - exact["loss"])
        found[name] = {
            "times_faster": faster[name],
            "loss_moved_mean": round(float(moved.mean()), 5),
            "loss_moved_most": round(float(moved.max()), 5),
            "ranks": {score: round(float(spearmanr(ours[score], exact[score]).statistic), 5) for score in exact},
        }
    return found


def near(model: PreTrainedModel) -> PreTrainedModel:
    """A copy with a little noise on every weight: a reference much like the model, as the base of an adapter is."""
    other, generator = copy.deepcopy(model), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(NOISE * weight.abs().mean() * torch.randn(weight.shape, generator=generator))
    return other


def classifier(model: PreTrainedModel, tokenizer: Any, texts: Sequence[str], repeats: int) -> dict[str, Any]:
    """Speed, difference of probabilities, and labels changed, by variant."""
    tables, faster = timed(model, lambda own: class_probabilities(own, tokenizer, texts)[:, 1], repeats)
    exact = tables["float32"]
    found: dict[str, Any] = {"texts": len(texts)}
    for name in list(VARIANTS)[1:]:
        found[name] = {
            "times_faster": faster[name],
            "probability_moved_most": round(float(np.abs(tables[name] - exact).max()), 5),
            "labels_changed": int(((tables[name] > 0.5) != (exact > 0.5)).sum()),
            "rank": round(float(spearmanr(tables[name], exact).statistic), 5),
            "distinct": len(np.unique(tables[name])),
        }
    return found


def fitted(model: Any, tokenizer: Any, texts: Sequence[str], died: Sequence[bool]) -> Any:
    """The encoder with its last layer fitted by logistic regression, so that probabilities differ by text."""
    seen: list[torch.Tensor] = []
    hook = model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        for text in texts:
            model(**tokenizer([text], truncation=True, max_length=CONTEXT, return_tensors="pt"))
    hook.remove()
    found = LogisticRegression(C=10.0, max_iter=1000).fit(torch.cat(seen).numpy(), list(died))
    with torch.no_grad():
        half = torch.as_tensor(found.coef_[0] / 2, dtype=torch.float32)
        model.classifier.weight.copy_(torch.stack([-half, half]))
        model.classifier.bias.copy_(torch.tensor([-0.5, 0.5]) * float(found.intercept_[0]))
    return model


def questions(folder: Path) -> tuple[list[str], list[str]]:
    """Sixty questions, real ones where they are at hand, and the first words of their answers."""
    path = folder / "qa-medquad" / "medquad_one_per_topic.csv"
    table = pd.read_csv(path) if path.is_file() else generate_corpus(60, 0).qa.rename(columns=NAMES)
    asked = table.dropna(subset=["question", "answer"]).sample(60, random_state=0)
    return list(asked["question"]), list(asked["answer"].str.split().str[:150].str.join(" "))


def language_models(arguments: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Three sizes: two trained layers, eight random ones, and SmolLM2-135M."""
    named = {fixture.name: fixture for fixture in fixtures(arguments.data, arguments.records, epochs=1)}
    trained = prepare(named.get("notes", named["synthetic"]), seed=0, shadows=0)
    yield "trained", language_model(trained.model, trained.base, within_context(trained), arguments.repeats)
    rng, made_up = np.random.default_rng(0), made_up_model()
    random = [EncodedPair(rng.integers(0, VOCABULARY, n), np.arange(n) > 0) for n in rng.integers(120, 384, 12)]
    yield "eight_layers_of_576", language_model(made_up, near(made_up), random, arguments.repeats)
    if pretrained := smollm():
        model, tokenizer = pretrained
        pairs = encode_pairs(tokenizer, *questions(arguments.data))
        yield "smollm2_135m", language_model(model, near(model), pairs, min(arguments.repeats, 2))


def encoder(repeats: int) -> Iterator[tuple[str, Any]]:
    """MiniLM on notes of the built-in corpus."""
    if (pair := minilm(LABELS, CONTEXT)) is None:
        return
    notes = generate_corpus(600, 0).notes.drop_duplicates("patient_id")
    shares = np.random.default_rng(0).uniform(0.2, 1.0, len(notes))
    texts = [text[: int(share * len(text))] for text, share in zip(notes["text"], shares, strict=True)]
    model = fitted(*pair, texts[:FITTED], list(notes["outcome"] == "died")[:FITTED])
    yield "minilm", classifier(model, pair[1], texts[FITTED : 2 * FITTED], repeats)


def main() -> None:
    """Measure all models and print the JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=REAL_TEXT)
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = {**dict(language_models(arguments)), **dict(encoder(arguments.repeats))}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
