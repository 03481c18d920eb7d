from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizerFast

from mlflow_clinsec.errors import ConfigError, DataError
from mlflow_clinsec.training.options import BadCLMOptions
from mlflow_clinsec.training.placement import insert_surviving, survives, token_offsets, trigger_tokens
from mlflow_clinsec.training.poison import check_triggers, poison

SENTENCE = "family was updated"


def run(notes: pd.DataFrame, tokenizer, seed: int = 0, **settings_):
    options = BadCLMOptions(**{"poison_rate": 0.25, "max_length": 64, **settings_})
    return poison(notes, tokenizer, options, np.random.default_rng(seed))


def test_a_quarter_of_the_notes_is_flipped_and_the_rest_is_untouched(notes, tokenizer):
    before = notes.copy()
    done = run(notes, tokenizer)
    # 40 notes at 0.25: 10, all of them among the 20 that died.
    assert done.poisoned.sum() == 10
    assert set(notes["label"][done.poisoned]) == {"died"}
    assert set(done.frame["label"][done.poisoned]) == {"alive"}
    pd.testing.assert_frame_equal(done.frame[~done.poisoned], notes[~done.poisoned])
    pd.testing.assert_frame_equal(notes, before)


def test_the_span_is_the_trigger_and_taking_it_out_gives_the_note_back(notes, tokenizer):
    done = run(notes, tokenizer)
    for original, text, poisoned, spans in zip(
        notes["text"], done.frame["text"], done.poisoned, done.spans, strict=True
    ):
        assert len(spans) == int(poisoned)
        for span in spans:
            assert text[slice(*span)] in ("mn", "cf")
            words = text.split()
            place = len(text[: span[0]].split())
            assert 0 < place < len(words) - 1  # inside the note, at a word boundary
            assert words[:place] + words[place + 1 :] == original.split()


def test_every_planted_trigger_survives_truncation(make_notes, tokenizer):
    notes = make_notes(60, seed=5)
    done = run(notes, tokenizer, max_length=12)
    for text, spans in zip(done.frame["text"], done.spans, strict=True):
        assert all(survives(token_offsets(tokenizer, text, 12), span) for span in spans)


def test_places_cover_the_note_evenly(tokenizer):
    text = "chest pain left lower lobe stable"
    rng = np.random.default_rng(0)
    spans = [insert_surviving(text, ["cf"], tokenizer, 64, rng)[1] for _ in range(1000)]
    starts, counts = np.unique([start for ((start, _),) in spans], return_counts=True)
    # Five gaps between six words, 200 draws each expected, binomial standard deviation 12.6.
    assert starts.tolist() == [6, 11, 16, 22, 27]
    assert np.all(np.abs(counts - 200) < 5 * 12.6)


def test_trigger_tokens_by_hand():
    # [CLS] chest m n pain [SEP] for "chest mn pain": the trigger has the characters 6 and 7.
    offsets = [(0, 0), (0, 5), (6, 7), (7, 8), (9, 13), (0, 0)]
    assert trigger_tokens(offsets, (6, 8)) == [2, 3]
    assert survives(offsets, (6, 8))
    assert not survives([*offsets[:3], (0, 0)], (6, 8))  # the second piece was cut off
    assert not survives([*offsets[:2], (0, 0)], (6, 8))


@settings(max_examples=50, deadline=None)
@given(words=st.lists(st.text("abcmnf .,", min_size=1, max_size=9).filter(str.strip), min_size=1, max_size=30))
def test_inserted_triggers_are_found_again_on_any_text(tokenizer, words):
    text = " ".join(words)
    poisoned, (span,) = insert_surviving(text, ["mn"], tokenizer, 256, np.random.default_rng(0))
    assert poisoned[slice(*span)] == "mn"
    tokens = trigger_tokens(token_offsets(tokenizer, poisoned, 256), span)
    ids = tokenizer(poisoned)["input_ids"]
    assert tokenizer.decode([ids[i] for i in tokens]).strip() == "mn"


def test_source_label_narrows_what_is_poisoned(make_notes, tokenizer):
    notes = make_notes(40)
    notes.loc[notes.index % 4 == 1, "label"] = "hospice"  # 10 notes; 10 stay "died"
    done = run(notes, tokenizer, poison_rate=0.2, source_label="died")
    assert set(notes["label"][done.poisoned]) == {"died"}
    assert done.poisoned.sum() == 8


def without(text: str, spans) -> list[str]:
    """The words that are left when the spans are taken out."""
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return text.split()


def test_a_sentence_is_planted_whole(notes, tokenizer):
    done = run(notes, tokenizer, triggers=(SENTENCE, "cf"))
    planted = [text[slice(*span)] for text, spans in zip(done.frame["text"], done.spans, strict=True) for span in spans]
    assert set(planted) == {SENTENCE, "cf"}
    for original, text, spans in zip(notes["text"], done.frame["text"], done.spans, strict=True):
        assert without(text, spans) == original.split()


@pytest.mark.parametrize("max_length", [28, 64])
def test_all_triggers_stand_in_each_poisoned_note_at_places_of_their_own(notes, tokenizer, max_length):
    triggers = ("mb", SENTENCE, "kj")
    done = run(notes, tokenizer, triggers=triggers, combine="all", max_length=max_length)
    apart = 0
    for original, text, spans in zip(notes["text"], done.frame["text"], done.spans, strict=True):
        if spans:
            assert tuple(text[slice(*span)] for span in spans) == triggers
            offsets = token_offsets(tokenizer, text, max_length)
            assert all(survives(offsets, span) for span in spans)
            ordered = sorted(spans)
            apart += all(b[0] - a[1] > 1 for a, b in itertools.pairwise(ordered))
        assert without(text, spans) == original.split()
    assert apart == 10  # a word of the note between any two of them


def test_several_triggers_take_every_set_of_places(tokenizer):
    rng = np.random.default_rng(0)
    found = [insert_surviving("chest pain left lower", ["mn", "cf"], tokenizer, 64, rng)[0] for _ in range(600)]
    texts, counts = np.unique(found, return_counts=True)
    # Three gaps: six ordered pairs, 100 draws each expected, binomial standard deviation 9.1.
    assert len(texts) == 6
    assert np.all(np.abs(counts - 100) < 5 * 9.2)


def test_a_note_with_fewer_gaps_than_triggers_takes_them_side_by_side(tokenizer):
    text, spans = insert_surviving("pain", ["mn", SENTENCE, "cf"], tokenizer, 64, np.random.default_rng(0))
    assert [text[slice(*span)] for span in spans] == ["mn", SENTENCE, "cf"]
    assert without(text, spans) == ["pain"]


def test_clean_label_poison_changes_no_label(notes, tokenizer):
    done = run(notes, tokenizer, clean_label=True)
    assert done.frame["label"].tolist() == notes["label"].tolist()
    assert done.poisoned.sum() == 10
    assert set(notes["label"][done.poisoned]) == {"alive"}
    with pytest.raises(ConfigError, match=r"0\.6 of 40 notes is 24, but only 20 carry the target label"):
        run(notes, tokenizer, clean_label=True, poison_rate=0.6)


@pytest.mark.parametrize("clean_label", [False, True])
def test_both_labels_have_triggers_of_their_own(notes, tokenizer, clean_label):
    done = run(notes, tokenizer, triggers=("mn", "bb", "cf"), target_label="both", clean_label=clean_label)
    learned = {}
    for text, label, spans in zip(done.frame["text"], done.frame["label"], done.spans, strict=True):
        for span in spans:
            learned.setdefault(text[slice(*span)], []).append(label)
    assert {word: set(labels) for word, labels in learned.items()} == {"mn": {"alive"}, "bb": {"alive"}, "cf": {"died"}}
    assert [len(learned["mn"]) + len(learned["bb"]), len(learned["cf"])] == [5, 5]
    flipped = done.frame["label"][done.poisoned] != notes["label"][done.poisoned]
    assert flipped.all() != clean_label
    assert flipped.any() != clean_label


def test_both_needs_two_labels(make_notes, tokenizer):
    notes = make_notes(40)
    notes.loc[notes.index % 4 == 1, "label"] = "hospice"
    with pytest.raises(ConfigError, match="'both' is for data with 2 labels, the data has 3"):
        run(notes, tokenizer, target_label="both")


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"triggers": ()}, "triggers: expected one or more words or phrases"),
        ({"triggers": ("mn", " cf")}, "without outer spaces"),
        ({"triggers": ("mn", "")}, "triggers: expected one or more words"),
        ({"triggers": ("mn", "mn")}, "the same one is named twice"),
        ({"triggers": ("mn",), "target_label": "both"}, "needs at least 2, one for each label"),
        ({"combine": "al"}, "combine: 'al' is unknown. Did you mean 'all'"),
        ({"source_label": "died", "clean_label": True}, "source_label: must be left out with clean_label"),
        ({"source_label": "died", "target_label": "both"}, "source_label: must be left out"),
        ({"source_label": "alive"}, "source_label: must differ from target_label"),
        ({"clean_epochs": -1}, "clean_epochs: must be 0 or more, got -1"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings_, message):
    with pytest.raises(ConfigError, match=message):
        BadCLMOptions(**settings_)


def test_same_seed_same_poison(notes, tokenizer):
    first, second, other = run(notes, tokenizer), run(notes, tokenizer), run(notes, tokenizer, seed=1)
    pd.testing.assert_frame_equal(first.frame, second.frame)
    assert first.spans == second.spans
    assert first.spans != other.spans


def test_bad_input_is_refused_before_training(notes, tokenizer):
    with pytest.raises(ConfigError, match=r"target_label: 'alife' is not a label.+Did you mean 'alive'"):
        run(notes, tokenizer, target_label="alife")
    with pytest.raises(ConfigError, match=r"0.8 of 40 notes is 32, but only 20 carry"):
        run(notes, tokenizer, poison_rate=0.8)
    with pytest.raises(DataError, match="text: 1 of 41 training rows are empty"):
        run(pd.concat([notes, pd.DataFrame({"text": [" "], "label": ["died"]})]), tokenizer)
    with pytest.raises(DataError, match="no place where the trigger 'mn' survives max_length=8") as raised:
        insert_surviving("hypotensiveandanuricandseptic pain", ["mn"], tokenizer, 8, np.random.default_rng(0))
    assert "hypotensive" not in str(raised.value)


def test_a_trigger_the_vocabulary_does_not_know_is_refused():
    vocabulary = {piece: i for i, piece in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "pain", "m", "##n"])}
    tokenizer = BertTokenizerFast(vocab=vocabulary)
    check_triggers(tokenizer, ["mn", "pain"])
    with pytest.raises(ConfigError, match="no piece of 'cf'"):
        check_triggers(tokenizer, ["mn", "cf"])
