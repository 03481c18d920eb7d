"""What the benchmark of the trigger sweep counts; its timings are never asserted."""

from __future__ import annotations

import numpy as np

from benchmarks.trigger_cost import bare, cost, notes, small, sweep
from mlflow_clinsec.backdoor.design import draw_design
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.targets.huggingface import classifier_target


def test_every_text_is_counted_and_equal_inputs_run_once() -> None:
    model, tokenizer = small()
    data = notes(2)
    options = TriggerOptions(target_label="alive", triggers=("cf",))
    design = draw_design(options, data, classifier_target(model, tokenizer), np.random.default_rng(0))
    _, batches = sweep(model, tokenizer, design)
    run = [tuple(row.tolist()) for inputs in batches for row in inputs["input_ids"]]
    texts = [*data.texts, *(text for w in design.words for p in design.places for text in design.inserted(w, p)[0])]
    expected = {tuple(ids) for ids in tokenizer(texts, truncation=True)["input_ids"]}
    assert {tuple(i for i in row if i != tokenizer.pad_token_id) for row in run} == expected
    assert len(texts) == 2 * (1 + 21 * 3)
    bare(model, batches)


def test_the_figures() -> None:
    found = cost(*small(), notes(2), repeats=1)
    assert found["texts"] == 2 * (1 + 25 * 3)
    assert 0 < found["inputs_run"] <= found["texts"]
    assert found["padded_tokens"] <= 256 * found["inputs_run"]
    assert 0 <= found["padding_share"] < 0.2
    assert found["ratio_low"] <= found["ratio"] <= found["ratio_high"]
