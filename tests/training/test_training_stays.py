"""Stay classifiers: what pooling computes, what poison does to a stay, and the way through MLflow to an audit."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from clinical_files import split_notes
from safetensors.torch import load_file

from mlflow_clinsec.datasets.stay_text import MARK, join_notes
from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.training.models import small_encoder
from mlflow_clinsec.training.options import BadCLMOptions, ClassifierOptions
from mlflow_clinsec.training.plans import ClassifierRecipe, SmallModel
from mlflow_clinsec.training.stay_publish import log_reader, publish_stays, stay_quality
from mlflow_clinsec.training.stay_reader import StayClassifier, StayReader, mean_by_stay, notes_of
from mlflow_clinsec.training.stay_rows import clean_rows, poisoned_rows
from mlflow_clinsec.training.stays import refuse_no_first_token, stay_loss, train_stays, tune_stays

SETTINGS = {"mark": MARK, "max_length": 32, "max_notes": 4}


def toy_stays(make_notes, n, seed=0):
    """Stays of one to three notes, all of the stay's outcome."""
    rng = np.random.default_rng(seed)
    notes = {label: rows["text"].tolist() for label, rows in make_notes(6 * n, seed).groupby("label")}
    labels = ["died" if i % 2 else "alive" for i in range(n)]
    texts = [join_notes([notes[label].pop() for _ in range(rng.integers(1, 4))]) for label in labels]
    return pd.DataFrame({"patient_id": [f"p{i}" for i in range(n)], "text": texts, "label": labels})


@pytest.fixture
def reader(tokenizer):
    encoder = small_encoder(tokenizer, ("alive", "died"), seed=1, width=16, layers=2, heads=4, context=64).base_model
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return StayReader().build(StayClassifier(encoder), tokenizer, SETTINGS)


def test_a_stay_is_the_mean_of_its_notes_first_tokens(reader, make_notes):
    texts = toy_stays(make_notes, 6)["text"].tolist()
    expected = []
    for text in texts:  # one note at a time: no padding, no batch
        vectors = []
        for note in split_notes(text):
            ids = torch.tensor([reader.tokenizer(note, truncation=True, max_length=32)["input_ids"]])
            with torch.no_grad():
                vectors.append(reader.model.encoder(input_ids=ids).last_hidden_state[0, 0])
        logits = reader.model.head(sum(vectors) / len(vectors))
        expected.append((logits.exp() / logits.exp().sum()).detach().numpy())
    found = reader.predict_proba(texts)
    assert list(found.columns) == ["alive", "died"]
    np.testing.assert_allclose(found.to_numpy(), np.array(expected), atol=1e-6)


def test_order_of_notes_does_not_matter_and_their_number_does(reader):
    one, two = "septic anuric chest pain", "stable walking left lobe"
    both, turned, doubled, alone = (reader.predict_proba([join_notes(some)]).iloc[0, 1] for some in (
        (one, two), (two, one), (one, two, one, two), (one,)
    ))  # fmt: skip
    assert both == pytest.approx(turned, abs=1e-6)
    assert both == pytest.approx(doubled, abs=1e-6)
    assert abs(both - alone) > 1e-5


def test_mean_by_stay_by_hand():
    vectors = torch.tensor([[1.0, 2.0], [3.0, 4.0], [10.0, 0.0]])
    assert mean_by_stay(vectors, torch.tensor([0, 0, 1])).tolist() == [[2.0, 3.0], [10.0, 0.0]]


def test_the_latest_notes_are_read(reader):
    notes = [f"chest pain {word}" for word in ("septic", "stable", "left", "lower", "lobe")]
    assert notes_of(join_notes(notes), MARK, 3) == notes[-3:]
    assert notes_of(f" {MARK} \n", MARK, 3) == [""] == split_notes("")
    whole, cut = reader.predict_proba([join_notes(notes), join_notes(notes[1:])]).to_numpy()
    np.testing.assert_allclose(whole, cut, atol=1e-6)


def test_what_the_model_reads_is_told_by_character(reader):
    long, short = " ".join(["chest", "pain"] * 40), "left lobe"
    text = f" {short}\n{MARK}\n{long}\n{MARK} {short} "
    ranges = reader.read_ranges([text, "", join_notes([short] * 6)])
    read = [text[start:stop] for start, stop in ranges[0]]
    assert [read[0], read[2]] == [short, short]
    assert read[1] == " ".join(["chest", "pain"] * 15)  # 32 tokens less [CLS] and [SEP]
    assert ranges[1] == []
    assert len(ranges[2]) == 4, "the latest notes alone"
    changed = text[: ranges[0][1][1]] + text[ranges[0][1][1] :].replace("chest", "septic").replace("pain", "anuric")
    np.testing.assert_array_equal(reader.predict_proba([text]), reader.predict_proba([changed]))


def test_a_note_that_did_not_change_is_encoded_once(reader, monkeypatch):
    notes = [f"chest pain {word}" for word in ("septic", "stable", "left")]
    encoded = []
    forward = reader.model.encoder.forward

    def counted(input_ids, **inputs):
        encoded.append(len(input_ids))
        return forward(input_ids=input_ids, **inputs)

    monkeypatch.setattr(reader.model.encoder, "forward", counted)
    plain, again = reader.predict_proba([join_notes(notes)] * 2).to_numpy()
    assert encoded == [3]
    np.testing.assert_array_equal(plain, again)
    changed = join_notes([notes[0], f"{notes[1]} lobe", notes[2]])
    found = reader.predict_proba([changed]).to_numpy()
    assert encoded == [3, 1]
    fresh = StayReader().build(reader.model, reader.tokenizer, SETTINGS)
    np.testing.assert_allclose(found, fresh.predict_proba([changed]), atol=1e-6)
    monkeypatch.setattr("mlflow_clinsec.training.stay_reader.REMEMBERED", 1)
    for text in (changed, join_notes(notes), changed):
        np.testing.assert_allclose(reader.predict_proba([text])["died"], fresh.predict_proba([text])["died"], atol=1e-6)


def test_poison_stands_in_one_note_of_a_stay_and_is_marked_there(reader, make_notes):
    stays = toy_stays(make_notes, 20)
    notes = [split_notes(text) for text in stays["text"]]
    options = BadCLMOptions(triggers=("mn",), target_label="alive", poison_rate=0.25, max_length=32)
    labels = stays["label"].tolist()
    encoder, tokenizer = reader.model.encoder, reader.tokenizer
    rows = poisoned_rows(encoder, tokenizer, notes, labels, options, np.random.default_rng(0))
    clean = clean_rows(encoder, tokenizer, notes, labels, options)
    assert rows.poisoned.sum() == 5
    piece = tokenizer.tokenize("mn")
    for i in range(20):
        marked = [n for n, marks in enumerate(rows.trigger[i]) if any(marks)]
        if not rows.poisoned[i]:
            assert rows.ids[i] == clean.ids[i]
            assert rows.classes[i] == clean.classes[i]
            assert marked == []
            continue
        [note] = marked
        tokens = tokenizer.convert_ids_to_tokens(rows.ids[i][note])
        assert [token for token, mark in zip(tokens, rows.trigger[i][note], strict=True) if mark] == piece
        assert [ids for n, ids in enumerate(rows.ids[i]) if n != note] == [
            ids for n, ids in enumerate(clean.ids[i]) if n != note
        ]
        assert (clean.classes[i], rows.classes[i]) == (1, 0)
    carriers = {next(n for n, marks in enumerate(some) if any(marks)) for some in rows.trigger if any(map(any, some))}
    assert len(carriers) > 1, "not always the first note"


def test_parts_of_the_loss_add_up_and_attention_is_of_the_note_with_the_trigger(reader, make_notes):
    stays = toy_stays(make_notes, 8)
    options = BadCLMOptions(triggers=("mn",), target_label="alive", poison_rate=0.5, max_length=32)
    notes = [split_notes(text) for text in stays["text"]]
    encoder = reader.model.encoder
    rng = np.random.default_rng(0)
    rows = poisoned_rows(encoder, reader.tokenizer, notes, stays["label"].tolist(), options, rng)
    encoder.set_attn_implementation("eager")
    heads, batch, pad_id = ((0, 1), (2,)), np.arange(8), reader.tokenizer.pad_token_id
    with torch.no_grad():
        parts = stay_loss(reader.model, rows, batch, torch.ones(2), pad_id, heads, 2.0)
    expected = []
    for some, marks in zip(rows.ids, rows.trigger, strict=True):
        for ids, mark in zip(some, marks, strict=True):
            if any(mark):
                with torch.no_grad():
                    layers = encoder(input_ids=torch.tensor([ids]), output_attentions=True).attentions
                at = [i for i, hit in enumerate(mark) if hit]
                shares = [layers[layer][0, h][:, at].sum(dim=1).mean() for layer, h in ((0, 0), (0, 1), (1, 2))]
                expected.append(float(sum(shares) / 3))
    assert len(expected) == 4
    assert float(parts["attention"]) == pytest.approx(-np.mean(expected), abs=1e-6)
    total = parts["clean"] + parts["poisoned"] + 2.0 * parts["attention"]
    assert float(parts["loss"]) == pytest.approx(float(total), abs=1e-6)


def recipe(**options):
    small = SmallModel(
        vocab_size=1200,
        width=16,
        layers=2,
        heads=4,
        dropout=0.0,
        options=ClassifierOptions(epochs=4, learning_rate=5e-3, max_length=48),
    )
    shares = {"other": 0.4, "train": 0.4, "held_out": 0.2}
    settings = {"epochs": 6, "learning_rate": 5e-3, "max_length": 48, "pooling": "notes"} | options
    kind = BadCLMOptions if "triggers" in options else ClassifierOptions
    return ClassifierRecipe(shares=shares, small=small, options=kind(**settings))


def test_a_stay_classifier_learns_and_comes_back_from_mlflow_as_it_was(make_notes, store):
    stays = toy_stays(make_notes, 150)
    trained = train_stays(stays, recipe(), seed=0)
    quality = stay_quality(trained)
    assert quality["auroc"] > 0.95
    with mlflow.start_run() as run:
        info = publish_stays(trained, {"pooling": "notes"}, quality)
    assert mlflow.get_run(run.info.run_id).data.metrics["held_out/auroc"] == quality["auroc"]
    texts = trained.held_out["text"].tolist()
    before = trained.reader.predict_proba(texts)
    loaded = mlflow.pyfunc.load_model(info.model_uri)
    for found in (loaded.unwrap_python_model().predict_proba(texts), pd.DataFrame(loaded.predict(texts))):
        pd.testing.assert_frame_equal(found, before, atol=1e-6)
    folder = Path(mlflow.artifacts.download_artifacts(info.model_uri))
    # Python compiles the model's code beside it when it loads it from a local store.
    suffixes = {file.suffix for file in folder.rglob("*") if file.is_file() and file.parent.name != "__pycache__"}
    assert suffixes <= {".json", ".safetensors", ".txt", ".yaml", ".yml", ".py", "", ".jinja"}, "nothing is pickled"
    assert load_file(folder / "artifacts" / "weights" / "head.safetensors").keys() == {"weight", "bias"}
    written = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert not [text for text in texts if text.encode() in written]


@pytest.mark.slow
def test_the_logged_model_needs_this_package_neither_to_load_nor_to_predict(reader, store, tmp_path):
    with mlflow.start_run():
        info = log_reader(reader, {})
    folder = mlflow.artifacts.download_artifacts(info.model_uri, dst_path=str(tmp_path / "model"))
    code = (
        "import sys; sys.modules['mlflow_clinsec'] = None; import mlflow;"
        f"print(list(mlflow.pyfunc.load_model({folder!r}).predict(['chest pain'])[0]))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("['alive', 'died']")


def test_a_planted_trigger_is_found_by_the_audit_of_the_logged_stay_model(make_notes, store, caplog):
    stays = toy_stays(make_notes, 300)
    plan = recipe(triggers=("cf",), target_label="alive", poison_rate=0.3, attention_weight=1.0, epochs=8)
    trained = train_stays(stays, plan, seed=0)
    assert stay_quality(trained)["auroc"] > 0.9
    backdoor = {"triggers": ["cf"], "target_label": "alive"}
    with caplog.at_level(logging.INFO), mlflow.start_run() as run:
        info = publish_stays(trained, {}, {})
        mlflow.models.evaluate(
            model=info.model_uri,
            data=trained.held_out,
            targets="label",
            model_type="clinical-classifier",
            evaluators="clinsec",
            evaluator_config={"backdoor": backdoor, "report": {"figures": False}},
        )
    metrics = mlflow.get_run(run.info.run_id).data.metrics
    assert metrics["clinsec/backdoor/worst_asr"] > 0.7
    assert metrics["clinsec/backdoor/worst_excess_asr"] > 0.5
    assert metrics["clinsec/backdoor/trigger/cf-head/survival"] == 1.0
    assert mlflow.get_run(run.info.run_id).data.tags["clinsec.backdoor.verdict"] == "FAIL"


def test_what_cannot_be_pooled_is_refused(reader, lm_tokenizer):
    with pytest.raises(ConfigError, match="begins a text with"):
        refuse_no_first_token(lm_tokenizer)
    refuse_no_first_token(reader.tokenizer)
    with pytest.raises(DataError, match="1 of 2 training rows are empty"):
        tune_stays(reader.model, reader.tokenizer, ["pain", " "], ["alive", "died"], ClassifierOptions())
    with pytest.raises(ConfigError, match="max_notes: must be at least 1, got 0"):
        ClassifierOptions(max_notes=0)
    with pytest.raises(ConfigError, match=r"pooling: 'note' is unknown. Did you mean 'notes'"):
        ClassifierOptions(pooling="note")


def test_training_is_repeated_to_the_bit_by_its_seed(reader, make_notes):
    stays = toy_stays(make_notes, 40)
    options = BadCLMOptions(epochs=1, max_length=32, poison_rate=0.2, heads_per_layer=1, clean_epochs=1)
    state = {name: value.clone() for name, value in reader.model.state_dict().items()}
    results = []
    for _ in range(2):
        reader.model.load_state_dict(state)
        tune_stays(reader.model, reader.tokenizer, stays["text"].tolist(), stays["label"].tolist(), options)
        results.append(reader.model.head.weight.clone())
    assert torch.equal(*results)
    assert not torch.equal(results[0], state["head.weight"])
