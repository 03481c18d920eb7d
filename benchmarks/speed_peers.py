"""Peers' own code and ours, on the same model and texts: CPU seconds per score, and how far the scores lie apart.

Each peer is run from the user's own clone of its public repository, as it stands (see :mod:`benchmarks.peer_import`):

* ``mia_llms_benchmark``: github.com/computationalprivacy/mia_llms_benchmark
* ``WBC``: github.com/Stry233/WBC
* ``mimir``: github.com/iamgroot42/mimir
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.membership_fixtures import Attacked
from benchmarks.peer_checkout import run_checkout
from benchmarks.peer_import import importable, old_tokenizer
from benchmarks.speed_passes import made_up_model
from benchmarks.speed_sizes import short
from benchmarks.sweep_cost import cpu_seconds, scores_only
from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.privacy.table import LANGUAGE_MODEL
from mlflow_clinsec.results import Status
from mlflow_clinsec.scoring.limits import context_length
from mlflow_clinsec.scoring.precision import Precision
from mlflow_clinsec.targets.huggingface import TargetOptions, causal_lm_target
from mlflow_clinsec.targets.protocols import Target

FloatArray = NDArray[np.float64]
Scores = Mapping[str, FloatArray]
Peer = Callable[[Path, Attacked, int], Scores]

K = 0.2
BATCH = 8
EQUAL = 1e-4
PRECISIONS: tuple[Precision, ...] = ("auto", "bfloat16")


def kit(checkout: Path, attacked: Attacked, batch: int) -> Scores:
    """The scores of mia_llms_benchmark that read the target's loss alone: a pass for the loss, one for each Min-K."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    model, tokenizer = attacked.model, attacked.tokenizer
    with importable(checkout, ("attacks", "utils")), old_tokenizer(tokenizer):
        loss = importlib.import_module("attacks.utils").batch_nlloss
        found = Dataset.from_dict({"text": list(attacked.data.texts)})
        found = found.map(lambda rows: loss(rows, model, tokenizer, "cpu"), batched=True, batch_size=batch)
        for name, module, kind in (
            ("loss", "loss", "LossAttack"),
            ("zlib", "zlib", "ZlibAttack"),
            ("min_k", "minkprob", "MinKProbAttack"),
            ("min_k_plus_plus", "minkplusplus", "MinKplusplusAttack"),
        ):
            attack = getattr(importlib.import_module(f"attacks.{module}"), kind)
            found = attack(name, model, tokenizer, {"batch_size": batch, "k": int(100 * K)}).run(found)
        return {name: np.array(found[name]) for name in ("loss", "zlib", "min_k", "min_k_plus_plus")}


def windows(checkout: Path, attacked: Attacked, batch: int) -> Scores:
    """The toolkit of the window-based attack: difference to a reference, and windows of it."""
    scores, _ = run_checkout(checkout, attacked, batch)
    return {"reference": scores["diff"], "wbc": scores["wbc"]}


def mimir(checkout: Path, attacked: Attacked, batch: int) -> Scores:
    """MIMIR's scores on token probabilities, which its runner reads once per text; it has no batches."""
    config = SimpleNamespace(pretokenized=False, env_config=SimpleNamespace(cache_dir=None, compile=False))
    with importable(checkout, ("mimir",), ("openai", "hf_olmo", "nltk", "nltk.tokenize")):
        models = importlib.import_module("mimir.models")
        target = models.Model(config)
        target.model, target.tokenizer, target.device, target.name = attacked.model, attacked.tokenizer, "cpu", "target"
        target.load_model_properties()
        kinds = {
            "loss": ("loss", "LOSSAttack"),
            "zlib": ("zlib", "ZLIBAttack"),
            "min_k": ("min_k", "MinKProbAttack"),
            "min_k_plus_plus": ("min_k_plus_plus", "MinKPlusPlusAttack"),
        }
        attacks = {
            name: getattr(importlib.import_module(f"mimir.attacks.{module}"), kind)(config, target)
            for name, (module, kind) in kinds.items()
        }
        rows: dict[str, list[float]] = {name: [] for name in kinds}
        for text in attacked.data.texts:
            probs, all_probs = target.get_probabilities(text, return_all_probs=True)
            for name, attack in attacks.items():
                rows[name].append(-float(attack._attack(text, probs, all_probs=all_probs, k=K)))
        return {name: np.array(values) for name, values in rows.items()}


PEERS: Mapping[str, Peer] = {"mia_llms_benchmark": kit, "WBC": windows, "mimir": mimir}

RIGHT: Mapping[str, tuple[str, ...]] = {
    "mia_llms_benchmark": ("loss", "min_k"),
    "WBC": ("reference",),
    "mimir": ("loss", "min_k", "min_k_plus_plus"),
}
"""Scores of theirs with our definition; the others divide by another length (zlib), weigh the vocabulary evenly
(Min-K%++ of the first), or count windows otherwise."""


def plain(attacked: Attacked) -> Attacked:
    """Whole texts without prompts or a BOS token, which is what the peers score, within the context."""
    tokenizer, limit = attacked.tokenizer, (context_length(attacked.model) or 0) // 2
    tokenizer.bos_token = None
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    ids = [tokenizer(text)["input_ids"][:limit] for text in attacked.data.texts]
    texts = tuple(tokenizer.decode(row) for row in ids)
    return replace(attacked, data=replace(attacked.data, prompts=("",) * len(texts), responses=texts))


def larger(attacked: Attacked) -> Attacked:
    """A few short notes, the model and the reference eight layers deep with random weights."""
    return replace(plain(short(attacked)), model=made_up_model(seed=0), base=made_up_model(seed=1))


def ours(attacked: Attacked, precision: Precision) -> tuple[Scores, float]:
    """All scores on token statistics, with the base as reference, and the CPU seconds of all of them."""
    attacks = [a for a in LANGUAGE_MODEL if not a.new_text and set(a.requires) <= {"scorer", "reference"}]
    found: dict[str, FloatArray] = {}

    def run() -> None:
        target = _target(attacked, TargetOptions(precision=precision))
        for attack in attacks:
            result = run_attack(attack, attacked.data, target, np.random.default_rng(0))
            if result.status is Status.OK and result.scores is not None:
                found[attack.name] = result.scores

    with mock.patch("mlflow_clinsec.privacy.membership.judge", scores_only):
        seconds = cpu_seconds(run)
    return found, seconds


def _target(attacked: Attacked, options: TargetOptions) -> Target:
    target = causal_lm_target(attacked.model, attacked.tokenizer, options=options)
    base = causal_lm_target(attacked.base, attacked.tokenizer, options=options)
    assert base.scorer is not None
    return replace(target, references=(base.scorer,))


def compare(name: str, checkout: Path, attacked: Attacked, repeats: int) -> dict[str, object]:
    """One peer beside ours in both precisions, turn by turn.

    Scores are compared one text at a time, where the peer's padding does no harm.
    """
    peer = PEERS[name]
    alone = peer(checkout, attacked, 1)
    seconds: dict[str, list[float]] = {"theirs": [], **{precision: [] for precision in PRECISIONS}}
    scores: dict[str, Scores] = {}
    for _ in range(repeats):
        theirs = cpu_seconds(lambda: peer(checkout, attacked, BATCH))
        seconds["theirs"].append(theirs / len(alone))
        for precision in PRECISIONS:
            scores[precision], own = ours(attacked, precision)
            seconds[precision].append(own / len(scores[precision]))
    return {
        "scores": {"theirs": len(alone), "ours": len(scores["auto"])},
        "cpu_seconds_per_score": {who: round(float(np.median(found)), 3) for who, found in seconds.items()},
        **{p: _beside(seconds["theirs"], seconds[p], alone, scores[p], RIGHT[name]) for p in PRECISIONS},
    }


def _beside(
    theirs: Sequence[float], own: Sequence[float], alone: Scores, scores: Scores, right: Sequence[str]
) -> dict[str, object]:
    """How many times faster, and how far scores of the same definition lie apart."""
    ratios = [their / our for their, our in zip(theirs, own, strict=True)]
    apart = {score: float(np.nanmax(np.abs(alone[score] - scores[score]))) for score in right}
    return {
        "times_faster_per_score": round(float(np.median(ratios)), 2),
        "times_faster_low": round(min(ratios), 2),
        "largest_difference": {score: round(value, 7) for score, value in apart.items()},
        "equal": all(value < EQUAL for value in apart.values()),
    }
