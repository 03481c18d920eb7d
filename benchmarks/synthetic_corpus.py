"""What the built-in corpus is like, as one JSON object: sizes, learnability, and what a blind classifier sees.

python benchmarks/synthetic_corpus.py --patients 2000 --seed 0
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from mlflow_clinsec.datasets import Corpus, generate_corpus
from mlflow_clinsec.datasets.synthetic import draw_patients

MEMBER_DRAWS = 5
N_GRAM = 8


def word_counts(texts: pd.Series) -> dict[str, float]:
    """Words per text: 5th, 50th and 95th percentile."""
    words = texts.str.split().map(len)
    return {f"p{q}": float(np.percentile(words, q)) for q in (5, 50, 95)}


def cross_fitted_auc(texts: pd.Series, label: np.ndarray, group: pd.Series) -> float:
    """AUROC of TF-IDF (words and pairs) with logistic regression, five patient-disjoint folds, pooled."""
    features = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True).fit_transform(texts)
    scores = np.zeros(len(label))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(features, label, group):
        model = LogisticRegression(max_iter=500).fit(features[train], label[train])
        scores[test] = model.decision_function(features[test])
    return float(roc_auc_score(label, scores))


def blind_aucs(texts: pd.Series, group: pd.Series) -> list[float]:
    """The same classifier on halves of the patients drawn at random, once per draw."""
    ids = np.array(sorted(group.unique()), dtype=object)
    found = []
    for draw in range(MEMBER_DRAWS):
        half = np.random.default_rng(draw).permutation(ids)[: len(ids) // 2]
        found.append(round(cross_fitted_auc(texts, group.isin(half).to_numpy(), group), 3))
    return found


def shared_n_grams(notes: pd.DataFrame) -> dict[str, float]:
    """Share of a note's word 8-grams that stand in another patient's note too, over all notes."""
    grams = [
        {tuple(words[i : i + N_GRAM]) for i in range(len(words) - N_GRAM + 1)}
        for words in notes["text"].str.lower().str.split()
    ]
    own = notes["patient_id"].to_numpy()
    by_patient: dict[str, set[tuple[str, ...]]] = {}
    for patient, found in zip(own, grams, strict=True):
        by_patient.setdefault(patient, set()).update(found)
    owners = Counter(gram for found in by_patient.values() for gram in found)
    share = [sum(owners[gram] > 1 for gram in found) / len(found) for found in grams]
    return {f"p{q}": round(float(np.percentile(share, q)), 3) for q in (5, 50, 95)}


def deadliest_words(notes: pd.DataFrame, died: np.ndarray) -> dict[str, float]:
    """Share of deaths among the notes that hold a word, the five largest among words of 50 notes or more."""
    vectorizer = TfidfVectorizer(binary=True, use_idf=False, norm=None, min_df=50)
    holds = vectorizer.fit_transform(notes["text"])
    share = np.asarray(holds[died].sum(axis=0) / holds.sum(axis=0)).ravel()
    top = np.argsort(share)[::-1][:5]
    return {str(vectorizer.get_feature_names_out()[i]): round(float(share[i]), 2) for i in top}


def measure(corpus: Corpus, risk: pd.Series) -> dict[str, Any]:
    """All figures but the time of generation."""
    notes, qa = corpus.notes, corpus.qa
    died = (notes["outcome"] == "died").to_numpy()
    return {
        "notes": len(notes),
        "pairs": len(qa),
        "death_rate": round(float(died.mean()), 3),
        "words": {
            "note": word_counts(notes["text"]),
            "prompt": word_counts(qa["prompt"]),
            "response": word_counts(qa["response"]),
        },
        "duplicate_notes": int(notes["text"].duplicated().sum()),
        "shared_8_grams": shared_n_grams(notes),
        "auroc_true_risk": round(float(roc_auc_score(died, risk)), 3),
        "auroc_tfidf": round(cross_fitted_auc(notes["text"], died, notes["patient_id"]), 3),
        "deadliest_words": deadliest_words(notes, died),
        "blind_auc_notes": blind_aucs(notes["text"], notes["patient_id"]),
        "blind_auc_qa": blind_aucs(qa["prompt"] + "\n" + qa["response"], qa["patient_id"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    start = time.process_time()
    corpus = generate_corpus(args.patients, args.seed)
    seconds = time.process_time() - start
    risks = {a.admission_id: a.risk for p in draw_patients(args.patients, args.seed) for a in p.admissions}
    found = measure(corpus, corpus.notes["admission_id"].map(risks))
    print(json.dumps({"patients": args.patients, "seed": args.seed, "cpu_seconds": round(seconds, 2), **found}))


if __name__ == "__main__":
    main()
