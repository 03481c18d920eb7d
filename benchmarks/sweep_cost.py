"""What the shared sweep costs: CPU time of every score that needs the target alone, over one bare forward pass.

    python -m benchmarks.sweep_cost [--data FOLDER] [--records 800]

trains one small model for each kind of text and prints one JSON object. The bare pass runs the same windows in batches
of the same size and gets their tokens for nothing. Both take turns in one process, and the median of the ratios is
reported: a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from transformers import PreTrainedModel

from benchmarks.membership_fixtures import REAL_TEXT, Attacked, fixtures, prepare
from mlflow_clinsec.attack import Attack
from mlflow_clinsec.data import AuditData
from mlflow_clinsec.privacy.table import LANGUAGE_MODEL
from mlflow_clinsec.results import AttackResult, Status
from mlflow_clinsec.scoring.batches import BATCH_TOKENS, length_batches, pad_right
from mlflow_clinsec.scoring.encode import EncodedPair, encode_pairs
from mlflow_clinsec.scoring.limits import context_length
from mlflow_clinsec.scoring.windows import split_windows
from mlflow_clinsec.targets.huggingface import causal_lm_target


def shared_scores() -> list[Attack]:
    """Attacks that read nothing but the target's token statistics of the records."""
    return [a for a in LANGUAGE_MODEL if a.requires == ("scorer",) and not a.new_text and a.needs == ("member",)]


def bare_forward(model: PreTrainedModel, pairs: Sequence[EncodedPair], batch_tokens: int = BATCH_TOKENS) -> None:
    """One forward pass over all texts, logits made and thrown away."""
    with torch.inference_mode():
        for batch in length_batches([len(pair) for pair in pairs], batch_tokens):
            ids = torch.as_tensor(pad_right([pairs[i].input_ids for i in batch], 0))
            lengths = torch.as_tensor([len(pairs[i]) for i in batch])
            mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
            model(input_ids=ids, attention_mask=mask, use_cache=False)


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def scores_only(attack: Attack, scores: Any, data: AuditData, rng: np.random.Generator) -> AttackResult:
    """Stands in for the judge: resampling for intervals is no part of the cost of scoring."""
    return attack.result(Status.OK, scores=scores)


def sweep_cost(attacked: Attacked, repeats: int = 5) -> dict[str, object]:
    """Median ratio of tokenising, sweep and shared scores to a bare forward pass over the same windows, tokenised."""
    attacks, model = shared_scores(), attacked.model
    windows = same_windows(attacked)

    def ours() -> None:
        target = causal_lm_target(model, attacked.tokenizer)
        for attack in attacks:
            attack.run(attack, attacked.data, target, np.random.default_rng(0))

    with mock.patch("mlflow_clinsec.privacy.membership.judge", scores_only):
        ours()  # what is imported at the first use is no part of the cost
        ratios = [cpu_seconds(ours) / cpu_seconds(lambda: bare_forward(model, windows)) for _ in range(repeats)]
    return {
        "attacks": [attack.name for attack in attacks],
        "texts": len(attacked.data),
        "tokens": sum(map(len, windows)),
        "ratio": round(float(np.median(ratios)), 3),
        "ratio_low": round(min(ratios), 3),
        "ratio_high": round(max(ratios), 3),
    }


def same_windows(attacked: Attacked) -> list[EncodedPair]:
    """What the sweep runs: each text whole, or cut into its windows where it is longer than the context."""
    pairs = encode_pairs(attacked.tokenizer, attacked.data.prompts, attacked.data.responses)
    longest = max(map(len, pairs))
    width = min(longest, context_length(attacked.model) or longest)
    return [
        EncodedPair(pair.input_ids[window.start : window.stop], pair.scored[window.start : window.stop])
        for pair in pairs
        for window in split_windows(pair.scored, width, width // 2)
    ]


def main() -> None:
    """Measure on each kind of text and print the JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=REAL_TEXT)
    parser.add_argument("--records", type=int, default=800)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = fixtures(arguments.data, arguments.records, epochs=1)
    print(json.dumps({fixture.name: sweep_cost(prepare(fixture, seed=0, shadows=0)) for fixture in found}))


if __name__ == "__main__":
    main()
