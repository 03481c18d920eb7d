"""The cache of rewrites: who may read it, what it survives, and that nothing is made twice."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_clinsec.data import AuditData
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.perturb.cache import FILE_NAME, Entry, ParaphraseCache, entry_key, read_line
from mlflow_clinsec.perturb.options import ParaphraseOptions
from mlflow_clinsec.perturb.paraphrase import paraphrase_records
from mlflow_clinsec.perturb.rules import RulesEngine

ENTRY = Entry((("", "A SECRET rewrite."), ("asked", "told\nin two lines")), {"number": 2})
NOTES = ("HTN and CAD s/p CABG. Takes Lasix 40 mg BID. No SOB.", "Patient presents with DM2, h/o MI, and CHF.")


class Counting(RulesEngine):
    """The rules engine, counting calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def propose(self, text: str, count: int, rng: np.random.Generator) -> list[str]:
        """As the rules do."""
        self.calls += 1
        return super().propose(text, count, rng)


def paraphrased(folder: Path, engine: Any, seed: int = 0, **settings: Any) -> Any:
    data = AuditData(("",) * len(NOTES), NOTES, np.arange(len(NOTES)))
    options = ParaphraseOptions(**{"count": 3, "cache": str(folder), **settings})
    return paraphrase_records(data, options, np.random.default_rng(seed), engine=engine)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_put_comes_back_also_after_reopening(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    cache = ParaphraseCache(folder)
    assert cache.get("k") is None
    cache.put("k", ENTRY)
    cache.put("other", Entry((), {}))
    assert cache.get("k") == ENTRY
    cache.close()
    again = ParaphraseCache(folder)
    assert (again.get("k"), again.get("other"), len(again)) == (ENTRY, Entry((), {}), 2)


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    before = os.umask(0)
    try:
        ParaphraseCache(folder).close()
    finally:
        os.umask(before)
    assert mode(folder) == 0o700
    assert mode(folder / FILE_NAME) == 0o600
    (folder / FILE_NAME).chmod(0o644)  # a file that was opened up is closed again
    ParaphraseCache(folder).close()
    assert mode(folder / FILE_NAME) == 0o600


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigError, match=r"paraphrase\.cache: other users may enter this folder \(mode 755\)"):
        ParaphraseCache(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_link_is_followed(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir(mode=0o700)
    (folder / FILE_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be opened"):
        ParaphraseCache(folder)
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    with pytest.raises(ConfigError, match="the folder cannot be made"):
        ParaphraseCache(tmp_path / "kept")


@pytest.mark.parametrize(
    "damage",
    [
        b'{"key": "torn", "accepted": [["", "SECRET',  # cut off in the middle of a write
        b"SECRET\n",
        b'{"key": "x", "accepted": [["", 3]], "refusals": {}}\n',
        b'{"key": "x", "accepted": [["SECRET"]], "refusals": {}}\n',
        b'{"key": "x", "accepted": [], "refusals": {"number": -1}}\n',
        b'["SECRET"]\n',
        b"\xff\xfe\n",
    ],
)
def test_broken_lines_are_skipped_and_counted_but_not_quoted(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "kept"
    first = ParaphraseCache(folder)
    first.put("k", ENTRY)
    first.close()
    with (folder / FILE_NAME).open("ab") as file:
        file.write(damage)
    second = ParaphraseCache(folder)
    second.put("after", ENTRY)
    second.close()
    third = ParaphraseCache(folder)
    assert (third.get("k"), third.get("after"), len(third)) == (ENTRY, ENTRY, 2)
    assert "1 lines that cannot be read" in caplog.text
    assert "SECRET" not in caplog.text


@given(st.binary(max_size=200))
def test_any_bytes_are_an_entry_or_none(line: bytes) -> None:
    found = read_line(line)
    assert found is None or isinstance(found[1], Entry)


@given(
    st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=4),
    st.dictionaries(st.text(max_size=5), st.integers(1, 99), max_size=3),
)
def test_entries_survive_their_line(accepted: list[tuple[str, str]], refusals: dict[str, int]) -> None:
    line = json.dumps({"key": "k", "accepted": accepted, "refusals": refusals}).encode()
    assert read_line(line) == ("k", Entry(tuple(accepted), refusals))


def test_keys_tell_texts_and_settings_apart() -> None:
    keys = {
        entry_key({"a": 1}, "p", "r"),
        entry_key({"a": 2}, "p", "r"),
        entry_key({"a": 1}, "", "pr"),
        entry_key({"a": 1}, "p", "R"),
    }
    assert len(keys) == 4
    assert entry_key({"a": 1, "b": 2}, "p", "r") == entry_key({"b": 2, "a": 1}, "p", "r")
    assert len(entry_key({}, "", "\ud800")) == 64  # a lone surrogate, as broken files give


def test_the_second_audit_makes_nothing_and_gets_the_same(tmp_path: Path) -> None:
    engine = Counting()
    first = paraphrased(tmp_path / "kept", engine)
    calls = engine.calls
    second = paraphrased(tmp_path / "kept", engine)
    assert engine.calls == calls > 0
    for name in ("prompts", "responses", "refusals", "engine"):
        assert getattr(first, name) == getattr(second, name)
    for name in ("record", "tried", "accepted"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize(
    ("seed", "settings"), [(1, {}), (0, {"count": 2}), (0, {"min_change": 0.2}), (0, {"rewrite": "response"})]
)
def test_other_settings_make_new_ones(seed: int, settings: dict[str, Any], tmp_path: Path) -> None:
    engine = Counting()
    paraphrased(tmp_path / "kept", engine)
    calls = engine.calls
    paraphrased(tmp_path / "kept", engine, seed, **settings)
    assert engine.calls > calls


def test_without_a_place_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.DEBUG):
        paraphrased(tmp_path / "kept", Counting(), cache=None)
    assert list(tmp_path.iterdir()) == []
