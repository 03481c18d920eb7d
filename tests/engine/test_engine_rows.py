"""Numbers of records: joined in order, kept on disk, told apart by keyed digests."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.engine.assembly import Assembly
from mlflow_clinsec.engine.batch import _scored
from mlflow_clinsec.engine.checkpoint import Checkpoint
from mlflow_clinsec.engine.digests import keyed, on_both_sides, patient_codes, words_of
from mlflow_clinsec.engine.rows import Rows, from_bytes, to_bytes
from mlflow_clinsec.engine.sample import sampled
from mlflow_clinsec.engine.shards import Part
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.privacy.loss import LOSS
from mlflow_clinsec.targets.protocols import Target

PART = Part(0, "a.parquet", 0, 3, 0, (1, 1))
SCORED = {"loss": "00"}


def _rows(*records: int, **reasons: tuple[str, str]) -> Rows:
    numbers = np.array(records, dtype=np.int64)
    return Rows(
        {"record": numbers, "score/loss": numbers / 3.0, "table": np.stack([numbers, -numbers], axis=1)}, reasons
    )


def joined(parts: list[Rows], size: int = 7) -> Rows:
    found = Assembly(0, size)
    for rows in parts:
        found.put(rows)
    return found.rows()


def test_parts_are_joined_in_the_records_order() -> None:
    found = joined([_rows(5, 6), _rows(0, 1), _rows(2, 3, 4)])
    assert found.columns["record"].tolist() == list(range(7))
    assert found.columns["table"][:, 1].tolist() == [0, -1, -2, -3, -4, -5, -6]


def test_an_attack_that_failed_on_one_part_has_no_scores_and_the_first_reason() -> None:
    found = joined([_rows(5, loss=("skipped", "later")), _rows(0, loss=("failed", "first")), _rows(3)])
    assert found.reasons == {"loss": ("failed", "first")}
    assert found.scores("loss") is None


def test_a_part_without_records_says_nothing() -> None:
    empty = Rows({"record": np.array([], dtype=np.int64)})
    assert joined([empty, _rows(1, 2)]).columns["score/loss"].tolist() == [1 / 3, 2 / 3]
    assert len(joined([empty])) == 0


def test_a_column_that_one_part_lacks_is_left_out_and_gaps_are_closed() -> None:
    lacking = Rows({"record": np.array([3, 5])})
    found = joined([_rows(0, 1), lacking])
    assert {name: values.tolist() for name, values in found.columns.items()} == {"record": [0, 1, 3, 5]}


def test_scores_that_are_whole_numbers_in_one_batch_are_no_integers() -> None:
    """The first batch settles the type of a column, into which the next ones are written."""
    attack = replace(LOSS, requires=(), score=lambda *_: np.array([1, 2]))
    data = AuditData(("", ""), ("a", "b"), np.arange(2), member=np.array([True, False]))
    found = _scored(attack, data, Target("none", "none"), 0)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64


def test_bytes_and_back() -> None:
    rows = _rows(1, 2, ez=("skipped", "no reference"))
    found, scored = from_bytes(to_bytes(rows, SCORED))
    assert (found.reasons, scored) == (rows.reasons, SCORED)
    assert {k: v.tobytes() for k, v in found.columns.items()} == {k: v.tobytes() for k, v in rows.columns.items()}


class TestCheckpoint:
    def test_a_part_is_found_again_and_by_its_owner_only(self, tmp_path: Path) -> None:
        folder = tmp_path / "c"
        Checkpoint(str(folder), "model").keep(PART, _rows(0, 1, 2), SCORED)
        again = Checkpoint(str(folder), "model")
        found = again.find(PART, SCORED)
        assert found is not None
        assert len(found) == 3
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(item.stat().st_mode) for item in folder.iterdir()} == {0o600}
        assert again.key == Checkpoint(str(folder), "another model").key

    def test_what_another_attack_has_found_stays_and_other_settings_are_not_taken(self, tmp_path: Path) -> None:
        kept = Checkpoint(str(tmp_path / "c"), "model")
        kept.keep(PART, _rows(0, 1, 2), SCORED)
        zlib = Rows({"record": np.arange(3), "score/zlib": np.arange(3) * 2.0}, {"ez": ("skipped", "no reference")})
        kept.keep(PART, zlib, {"zlib": "01", "ez": "02"})
        found = kept.find(PART, {**SCORED, "zlib": "01", "ez": "02"})
        assert found is not None
        assert found.scores("loss") is not None
        assert found.scores("zlib") is not None
        assert found.reasons == zlib.reasons
        assert kept.find(PART, {"loss": "another"}) is None
        kept.keep(PART, _rows(0, 1, 2, loss=("failed", "why")).of(()), {"loss": "another"})
        assert kept.find(PART, SCORED) is None

    @pytest.mark.parametrize("part", [Part(0, "a.parquet", 0, 3, 0, (1, 2)), Part(0, "a.parquet", 0, 2, 0, (1, 1))])
    def test_another_part_or_a_changed_file_is_not(self, tmp_path: Path, part: Part) -> None:
        kept = Checkpoint(str(tmp_path / "c"), "model")
        kept.keep(PART, _rows(0, 1, 2), SCORED)
        assert kept.find(part, SCORED) is None
        assert Checkpoint(str(tmp_path / "c"), "another").find(PART, SCORED) is None

    @pytest.mark.parametrize("cut", [0, 10, 200])
    def test_a_damaged_one_is_made_anew(self, tmp_path: Path, cut: int) -> None:
        kept = Checkpoint(str(tmp_path / "c"), "model")
        kept.keep(PART, _rows(0, 1, 2), SCORED)
        [file] = (tmp_path / "c").glob("*.npz")
        file.write_bytes(file.read_bytes()[:cut])
        assert kept.find(PART, SCORED) is None

    def test_a_folder_that_others_may_enter_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "open").mkdir(mode=0o755)
        with pytest.raises(ConfigError, match=r"scale\.checkpoint"):
            Checkpoint(str(tmp_path / "open"), "model")


def test_patients_are_numbered_alike_whatever_the_key() -> None:
    names = ["b", "a", "b", "c", "a"]
    assert [patient_codes(keyed(names, key)).tolist() for key in (b"1", b"2")] == [[0, 1, 0, 2, 1]] * 2


def test_copies_on_both_sides_are_found_whatever_their_layout() -> None:
    texts = ["The patient, febrile.", "the PATIENT febrile", "another", "another", "third"]
    digests = keyed(map(words_of, texts), b"key")
    member = np.array([True, False, True, True, False])
    assert on_both_sides(digests, member).tolist() == [True, True, False, False, False]


def test_a_sample_holds_whole_patients_of_both_sides_and_is_the_same_each_time() -> None:
    group = np.repeat(np.arange(100), 3)
    data = AuditData(("",) * 300, ("",) * 300, group, True, member=group < 30)
    chosen = sampled(data, 60, np.random.default_rng(1))
    assert chosen.tolist() == sampled(data, 60, np.random.default_rng(1)).tolist()
    assert (chosen & data.member).sum() == (chosen & ~data.member).sum() == 30
    assert set(np.bincount(group[chosen])) <= {0, 3}
    assert sampled(data, 1000, np.random.default_rng(1)).all()
