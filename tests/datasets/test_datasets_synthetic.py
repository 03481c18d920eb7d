from __future__ import annotations

import random
import re
import string
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from mlflow_clinsec.datasets import Corpus, generate_corpus, split_patients
from mlflow_clinsec.datasets.tables import question_forms, sections
from mlflow_clinsec.errors import ConfigError

PRINTABLE = set(string.printable) - set("\t\r\x0b\x0c")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate_corpus(1500, seed=5)


def _all_texts(corpus: Corpus) -> pd.Series:
    return pd.concat([corpus.notes["text"], corpus.qa["prompt"], corpus.qa["response"]])


def test_columns_and_keys(corpus: Corpus):
    assert list(corpus.notes.columns) == ["patient_id", "admission_id", "text", "outcome"]
    assert list(corpus.qa.columns) == ["patient_id", "admission_id", "kind", "prompt", "response"]
    assert set(corpus.notes["outcome"]) == {"alive", "died"}
    assert corpus.notes["patient_id"].nunique() == 1500
    assert corpus.notes["admission_id"].is_unique
    owner = corpus.notes.set_index("admission_id")["patient_id"]
    assert (corpus.qa["admission_id"].map(owner) == corpus.qa["patient_id"]).all()
    kinds = corpus.qa.groupby("admission_id")["kind"].apply(lambda kind: tuple(sorted(kind)))
    assert set(kinds) == {("event", "event", "note")}


def test_the_seed_decides_and_nothing_else_does():
    random.seed(1)
    first = generate_corpus(20, seed=3)
    random.seed(2)
    before = random.getstate()
    again = generate_corpus(20, seed=3)
    assert random.getstate() == before
    pd.testing.assert_frame_equal(first.notes, again.notes)
    pd.testing.assert_frame_equal(first.qa, again.qa)
    other = generate_corpus(20, seed=4)
    assert not set(first.notes["text"]) & set(other.notes["text"])


def test_a_patient_does_not_depend_on_how_many_others_there_are():
    small, large = generate_corpus(7, seed=3), generate_corpus(30, seed=3)
    kept = large.notes["patient_id"].isin(small.notes["patient_id"])
    pd.testing.assert_frame_equal(small.notes, large.notes[kept])
    kept = large.qa["patient_id"].isin(small.qa["patient_id"])
    pd.testing.assert_frame_equal(small.qa, large.qa[kept])


@pytest.mark.parametrize(("n_patients", "seed", "message"), [(0, 0, "n_patients"), (-3, 0, "-3"), (5, -1, "seed")])
def test_bad_arguments_are_named(n_patients: int, seed: int, message: str):
    with pytest.raises(ConfigError, match=message):
        generate_corpus(n_patients, seed)


def test_no_trigger_word_and_no_outcome_is_written(corpus: Corpus):
    forbidden = re.compile(r"\b(?:mn|cf|died|dies|death|dead|deceased|expired|passed away|mortality|survived)\b", re.I)
    found = {match[0].lower() for text in _all_texts(corpus) for match in forbidden.finditer(text)}
    assert found == set()


def test_every_slot_was_filled_with_plain_text(corpus: Corpus):
    for text in _all_texts(corpus):
        assert set(text) <= PRINTABLE
        assert not set("{}|") & set(text)
        assert "None" not in text
        assert " ," not in text
        assert " ." not in text
        assert "nan" not in text.split()
        assert all(line == line.strip() for line in text.split("\n"))


def test_lengths(corpus: Corpus):
    words = corpus.notes["text"].str.split().str.len()
    assert words.between(100, 250).all()
    assert words.quantile(0.05) >= 120
    assert words.quantile(0.95) <= 220
    answers = corpus.qa["response"].str.split().str.len()
    assert answers.quantile(0.01) >= 20
    assert answers.quantile(0.99) <= 60
    assert corpus.qa["prompt"].str.split().str.len().between(40, 110).all()


def test_no_text_stands_twice_and_patients_share_few_phrases(corpus: Corpus):
    assert not corpus.notes["text"].duplicated().any()
    assert not corpus.qa["prompt"].duplicated().any()
    assert not corpus.qa["response"].duplicated().any()
    notes = corpus.notes.drop_duplicates("patient_id")["text"].str.lower().str.split()
    grams = [{tuple(words[i : i + 8]) for i in range(len(words) - 7)} for words in notes]
    owners = Counter(gram for found in grams for gram in found)
    shared = [np.mean([owners[gram] > 1 for gram in found]) for found in grams]
    assert np.median(shared) < 0.15
    assert max(shared) < 0.5


def test_answers_tell_patients_apart(corpus: Corpus):
    # Numbers, dates and doses of the patient: a response shares its set of numbers with no other patient's.
    numbers = corpus.qa["response"].map(lambda text: tuple(re.findall(r"\d+(?:\.\d+)?", text)))
    assert numbers.map(len).median() >= 8
    frame = pd.DataFrame({"numbers": numbers, "patient_id": corpus.qa["patient_id"]})
    long = frame[frame["numbers"].map(len) >= 4]
    assert (long.groupby("numbers")["patient_id"].nunique() > 1).mean() < 0.001


def test_a_patient_stays_the_same_person(corpus: Corpus):
    surname = corpus.notes["text"].str.extract(r"(\[\*\*Known lastname \d+\*\*\])")[0]
    per_patient = surname.groupby(corpus.notes["patient_id"]).nunique()
    assert per_patient.max() == 1


def test_every_section_and_every_question_form_is_used(corpus: Corpus):
    text = "\n".join(corpus.notes["text"]).lower()
    for section in sections().values():
        assert any(title.lower() in text for title in section.titles)
    questions = corpus.qa["prompt"].str.rsplit("\nQuestion: ", n=1).str[1]
    assert questions.notna().all()
    for kind in ("event", "note"):
        asked = questions[corpus.qa["kind"] == kind]
        # Two phrasings at least of every form were asked, whatever their slots hold.
        for form in question_forms(kind):
            opened = [re.split(r"[<{]", phrasing)[0] for phrasing in form.questions]
            assert sum(asked.str.startswith(start).any() for start in opened if len(start) > 4) >= 2


def _cross_fitted_auc(texts: pd.Series, label: np.ndarray, group: pd.Series) -> float:
    features = TfidfVectorizer(min_df=3, sublinear_tf=True).fit_transform(texts)
    scores = np.zeros(len(label))
    for train, test in StratifiedGroupKFold(4, shuffle=True, random_state=0).split(features, label, group):
        scores[test] = (
            LogisticRegression(max_iter=300).fit(features[train], label[train]).decision_function(features[test])
        )
    return float(roc_auc_score(label, scores))


def test_random_halves_of_patients_cannot_be_told_apart(corpus: Corpus):
    for frame, texts in ((corpus.notes, corpus.notes["text"]), (corpus.qa, corpus.qa["response"])):
        half = split_patients(frame, {"members": 0.5}, seed=8)["members"].index
        member = frame.index.isin(half)
        assert 0.45 <= _cross_fitted_auc(texts, member, frame["patient_id"]) <= 0.55


def test_a_bag_of_words_learns_the_outcome_but_not_perfectly(corpus: Corpus):
    died = (corpus.notes["outcome"] == "died").to_numpy()
    assert 0.12 <= died.mean() <= 0.20
    assert 0.80 <= _cross_fitted_auc(corpus.notes["text"], died, corpus.notes["patient_id"]) <= 0.90


def test_no_single_word_decides(corpus: Corpus):
    died = (corpus.notes["outcome"] == "died").to_numpy()
    holds = TfidfVectorizer(binary=True, use_idf=False, norm=None, min_df=40).fit_transform(corpus.notes["text"])
    share = np.asarray(holds[died].sum(axis=0) / holds.sum(axis=0)).ravel()
    assert share.max() < 0.75
