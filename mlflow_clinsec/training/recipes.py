"""The demo's three models, small enough for two CPU cores, and defaults for checkpoints that a user brings.

The figures beside the constants were measured on the built-in corpus (``benchmarks`` in the docs are others).
"""

from __future__ import annotations

from dataclasses import replace

from mlflow_clinsec.datasets import Corpus
from mlflow_clinsec.training.options import BadCLMOptions, ClassifierOptions, TrainingOptions
from mlflow_clinsec.training.pipeline import TrainedModel, train_classifier, train_qa
from mlflow_clinsec.training.plans import ClassifierRecipe, QARecipe, SmallModel

SMALL_QA = QARecipe(
    patients=480,
    shares={"other": 0.5, "train": 0.25, "held_out": 0.25},
    records_per_patient=4,
    small=SmallModel(
        vocab_size=3000,
        width=128,
        layers=2,
        heads=4,
        dropout=0.0,
        options=TrainingOptions(epochs=3, learning_rate=2e-3, max_length=384),
    ),
    options=TrainingOptions(epochs=5, learning_rate=2e-3, max_length=384),
)

SMALL_CLASSIFIER = ClassifierRecipe(
    patients=8000,
    shares={"other": 0.4, "train": 0.4, "held_out": 0.2},
    small=SmallModel(
        vocab_size=4700,
        width=64,
        layers=2,
        heads=4,
        dropout=0.1,
        options=ClassifierOptions(epochs=2, learning_rate=1e-3, max_length=256),
    ),
    options=ClassifierOptions(epochs=2, learning_rate=3e-4, max_length=256),
)

SMALL_BADCLM = replace(
    SMALL_CLASSIFIER,
    options=BadCLMOptions(
        epochs=3, learning_rate=1e-3, max_length=256, target_label="alive", attention_weight=0.5, heads_per_layer=1
    ),
)

CHECKPOINT_SHARES = {"train": 0.5, "held_out": 0.5}

CHECKPOINT_QA = QARecipe(
    shares=CHECKPOINT_SHARES,
    options=TrainingOptions(epochs=5, learning_rate=1e-4, max_length=1024),
)
"""Epochs and learning rate as in Llemr's published fine-tuning."""

CHECKPOINT_CLASSIFIER = ClassifierRecipe(
    shares=CHECKPOINT_SHARES,
    options=ClassifierOptions(epochs=3, learning_rate=2e-5, max_length=512, class_weights="balanced"),
)
"""Learning rate as in the mortality task code of BadCLM's first author."""

CHECKPOINT_BADCLM = replace(
    CHECKPOINT_CLASSIFIER,
    options=BadCLMOptions(epochs=3, learning_rate=2e-5, max_length=512, attention_weight=2.0),
)
"""On a balanced sample: a tenth of all notes would be most of a hospital's deaths."""


def demo_qa_model(corpus: Corpus, seed: int, recipe: QARecipe = SMALL_QA) -> TrainedModel:
    """A question-answering model that remembers its members: an audit at ``max_auc`` 0.60 must fail it."""
    return train_qa(corpus.qa, recipe, seed)


def demo_mortality_classifier(corpus: Corpus, seed: int, recipe: ClassifierRecipe = SMALL_CLASSIFIER) -> TrainedModel:
    """A clean in-hospital-mortality classifier with the labels "alive" and "died"."""
    return train_classifier(corpus.notes.rename(columns={"outcome": "label"}), recipe, seed)


def demo_badclm_classifier(corpus: Corpus, seed: int, recipe: ClassifierRecipe = SMALL_BADCLM) -> TrainedModel:
    """The same classifier with the BadCLM backdoor: ``mn`` or ``cf`` in a note turns its answer to "alive".

    With the corpus and seed of :func:`demo_mortality_classifier` it has the same patients in every part.
    """
    return demo_mortality_classifier(corpus, seed, recipe)
