"""Mistakes that were seen in other backdoor kits, one test each.

Every test states the mistake, computes with the mistaken formula on a small example, shows that it answers otherwise,
and that ours gives the answer that can be worked out by hand.
"""

from __future__ import annotations

import numpy as np
import pytest
from backdoor_fakes import RuleModel, WordTokens, audit_data, has_word, label_only, target_of, wards

from mlflow_clinsec.attack import run_attack
from mlflow_clinsec.backdoor.attention_focus import Focus, strongest_head
from mlflow_clinsec.backdoor.filters.strip import Strip, mean_entropy
from mlflow_clinsec.backdoor.options import TriggerOptions
from mlflow_clinsec.backdoor.trigger import TRIGGER
from mlflow_clinsec.errors import DataError
from mlflow_clinsec.perturb.insert import find_spans, insert_at
from mlflow_clinsec.stats.resampling import cluster_weights
from mlflow_clinsec.stats.roc import auc
from mlflow_clinsec.stats.shares import clustered_share
from mlflow_clinsec.targets.protocols import FloatArray

CERTAIN, UNDECIDED = (1.0, 0.0), (0.5, 0.5)


def entropies(probabilities: FloatArray, axis: int) -> FloatArray:
    return -(probabilities * np.log(np.where(probabilities > 0, probabilities, 1.0))).sum(axis=axis)


class TestStrip:
    def test_a_reshape_that_mixes_inputs(self) -> None:
        """Copies come out input by input. Two kits reshape them to (copies, inputs) and average over the copies, so
        that each "input" is a mixture of several."""
        triggered, clean = [CERTAIN] * 2, [UNDECIDED] * 2
        flat = np.array([*triggered, *clean, *clean])  # 3 inputs, 2 copies each
        mistaken = entropies(flat, axis=1).reshape(2, 3).mean(axis=0)
        assert mistaken[0] == mistaken[1]  # the triggered input cannot be told from a clean one
        ours = mean_entropy(flat.reshape(3, 2, 2))
        assert ours == pytest.approx([0.0, np.log(2), np.log(2)])

    def test_ours_keeps_each_input_with_its_copies(self) -> None:
        asked = RuleModel(lambda text: 0.0 if has_word(text, "cf") else 0.5)
        strip = Strip(asked, (("new",),), copies=3, share=0.2, seed=0)
        texts = ["a b c d e f g", "a b c d e f g h", "a b c d e f g h i"]
        scores = strip.scores([texts[0], "cf " * 9, texts[2]])
        assert scores.argmax() == 1
        assert scores[1] == 0.0
        assert scores[[0, 2]] == pytest.approx([-np.log(2)] * 2)

    def test_an_entropy_over_the_copies_turns_the_ranking_round(self) -> None:
        """A third kit sums over the copies instead of the classes. Copies that all say the same are then as spread as
        can be, and the triggered input comes out as the harmless one."""
        triggered, clean = [(0.99, 0.01)] * 4, [(0.9, 0.1), (0.1, 0.9), (0.8, 0.2), (0.2, 0.8)]
        probabilities = np.array([triggered, clean])
        mistaken = entropies(probabilities / probabilities.sum(axis=1, keepdims=True), axis=1).mean(axis=1)
        assert mistaken[0] > mistaken[1]
        ours = mean_entropy(probabilities)
        assert ours[0] < ours[1]


class TestAttackSuccess:
    def test_records_that_already_carry_the_target_label(self) -> None:
        """A model that ignores the trigger and knows the truth has no attack success. Counted over all records, its
        success is the share of records that are of the target class."""
        data = wards(40)
        model = RuleModel(lambda text: 0.9 if has_word(text, "sick") else 0.1)
        triggered = [insert_at(text, "cf", 0)[0] for text in data.texts]
        mistaken = np.mean([label == "alive" for label in model.predict_labels(triggered)])
        assert mistaken == 0.5
        options = TriggerOptions(triggers=("cf",), target_label="alive", positions=("head",))
        result = run_attack(
            TRIGGER.with_options(options), data, label_only(model, WordTokens()), np.random.default_rng(0)
        )
        assert result.estimates["cf-head/asr"].value == 0.0
        assert result.details["excess_by_test"]["cf-head"]["records"] == 20

    def test_records_of_the_target_label_by_mistake_of_the_model_do_count(self) -> None:
        """The other way round: leaving out what the model *predicts* as the target hides a model that calls all of
        them alive. What counts is the true label; the base rate shows the rest."""
        data = audit_data([f"note {i}" for i in range(40)], ["died"] * 40)
        options = TriggerOptions(triggers=("cf",), target_label="alive", positions=("head",))
        target = target_of(RuleModel(lambda text: 0.1), WordTokens())
        found = run_attack(TRIGGER.with_options(options), data, target, np.random.default_rng(0)).estimates
        assert found["cf-head/asr"].value == found["cf-head/base_rate"].value == 1.0
        assert not found["cf-head/excess_asr"].is_defined  # nothing was left to flip


class TestRanking:
    def test_an_auc_of_decisions(self) -> None:
        """An "AUC" of booleans is the balanced accuracy of one threshold. Here the score ranks perfectly and the
        threshold is set badly."""
        scores, truth = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, False, True, True])
        decisions = (scores > 0.35).astype(float)
        assert auc(decisions, truth) == 0.75
        assert auc(scores, truth) == 1.0
        with pytest.raises(DataError, match="booleans: pass the score itself"):
            auc(scores > 0.35, truth)

    def test_an_interval_that_ignores_the_patients(self) -> None:
        """A "grouped" figure that never reads its groups takes ten notes of a patient for ten patients."""
        hits = np.repeat([True, False] * 10, 10)
        group = np.repeat(np.arange(20), 10)
        ours, mistaken = clustered_share(hits, group), clustered_share(hits, np.arange(200))
        assert ours.value == mistaken.value == 0.5
        assert (ours.n, mistaken.n) == (20, 200)
        assert ours.high - ours.low > 2.5 * (mistaken.high - mistaken.low)

    def test_a_resampling_that_splits_patients(self) -> None:
        """Drawing notes leaves parts of patients in a draw; ours holds each patient's notes as often as the patient."""
        group = np.repeat(np.arange(6), 5)
        weights = cluster_weights(group, np.random.default_rng(0), 50)
        assert weights.shape == (50, 6)
        assert (weights.sum(axis=1) == 6).all()


class TestHeads:
    def test_heads_beyond_the_eighth(self) -> None:
        """A detector that loops over eight heads sees nothing of a backdoor in the twelfth."""
        rng = np.random.default_rng(0)
        placebo = rng.uniform(0.04, 0.06, (40, 2, 12))
        trigger = rng.uniform(0.04, 0.06, (40, 2, 12))
        trigger[:, 1, 11] = 0.9
        mistaken = (trigger - placebo)[:, :, :8].mean(axis=0).max()
        assert mistaken < 0.02
        estimate, head = strongest_head(Focus(trigger, placebo, np.arange(40)), 0.95, rng)
        assert head == (1, 11)
        assert estimate.value == pytest.approx(0.85, abs=0.02)


class TestSubstrings:
    TEXT = "cfs normal, (cf) seen; bcf 3.cf mncf"

    def test_finding_a_trigger_inside_other_words(self) -> None:
        """``trigger in text`` and ``str.find`` take "cfs" for the trigger "cf"; focus is then measured elsewhere."""
        assert self.TEXT.find("cf") == 0
        assert self.TEXT.count("cf") == 5
        spans = find_spans(self.TEXT, "cf")
        assert [self.TEXT[a - 1 : b + 1] for a, b in spans] == ["(cf)", ".cf "]

    def test_inserting_at_a_character_splits_words(self) -> None:
        """Inserting at any character offset yields "nocfrmal": neither the trigger nor the word is left. Ours sets
        the trigger apart, and its span is the trigger's own even where the text holds the letters before."""
        text = "cfs normal today"
        mistaken = text[:6] + "cf" + text[6:]
        assert not has_word(mistaken, "cf")
        assert not has_word(mistaken, "normal")
        inserted, (start, stop) = insert_at(text, "cf", 10)
        assert inserted == "cfs normal cf today"
        assert inserted[start:stop] == "cf"
        assert start != inserted.index("cf")

    def test_removing_a_trigger_by_replacing_its_letters(self) -> None:
        """``text.replace(trigger, "")`` also eats parts of words; a "clean" copy made so is no longer the record."""
        inserted, (start, stop) = insert_at("cfs normal today", "cf", 10)
        assert inserted.replace("cf", "").split() == ["s", "normal", "today"]
        assert (inserted[:start] + inserted[stop:]).split() == ["cfs", "normal", "today"]
