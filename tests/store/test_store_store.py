"""The store on disk: what is kept, who may read it, and what happens to files that are not as they should be."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from mlflow_clinsec.config import CacheConfig
from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.store.database import FILE_NAME
from mlflow_clinsec.store.home import VARIABLE, default_folder
from mlflow_clinsec.store.opening import opened
from mlflow_clinsec.store.shelf import Shelf, from_npy, to_npy
from mlflow_clinsec.store.store import Store

ROOM = 1.0


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_arrays_come_back_after_the_store_was_closed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = {bytes([i]): rng.normal(size=(4, i)) for i in range(5)}
    store = Store(tmp_path / "c", ROOM)
    Shelf(store, "model", "tokens").put(values)
    store.close()
    again = Store(tmp_path / "c", ROOM)
    found = Shelf(again, "model", "tokens").find([*values, b"other"])
    assert set(found) == set(values)
    for key, array in values.items():
        np.testing.assert_array_equal(found[key], array)
        assert found[key].dtype == np.float64
    assert Shelf(again, "other model", "tokens").find(list(values)) == {}
    assert Shelf(again, "model", "labels").find(list(values)) == {}
    again.close()


@given(arrays.arrays(arrays.floating_dtypes(sizes=(32, 64), endianness="="), arrays.array_shapes(min_side=0)))
def test_no_bit_of_a_float_is_lost(values: np.ndarray) -> None:
    np.testing.assert_array_equal(from_npy(to_npy(values)), values.astype(np.float64))


def test_single_precision_takes_half_the_room() -> None:
    exact = np.random.default_rng(0).normal(size=1000)
    assert len(to_npy(exact)) - len(to_npy(exact.astype(np.float32).astype(np.float64))) == 4000


@pytest.mark.skipif(os.name != "posix", reason="modes of files are a matter of POSIX")
def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "c", ROOM)
    Shelf(store, "m").put({b"k": np.ones(3)})
    assert _mode(tmp_path / "c") == 0o700
    names = {path.name for path in (tmp_path / "c").iterdir()}
    assert {"key", FILE_NAME, f"{FILE_NAME}-wal"} <= names
    assert all(_mode(path) == 0o600 for path in (tmp_path / "c").iterdir())
    store.close()
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="other users may enter this folder") as caught:
        Store(tmp_path / "open", ROOM)
    assert str(tmp_path) not in str(caught.value)


def test_nothing_can_be_read_or_confirmed_without_the_key(tmp_path: Path) -> None:
    values = np.arange(1000, dtype=np.float64)
    for name in ("a", "b"):
        store = Store(tmp_path / name, ROOM)
        Shelf(store, "model").put({b"digest of a note": values})
        store.close()
    content = (tmp_path / "a" / FILE_NAME).read_bytes()
    assert b"digest of a note" not in content
    assert values.astype(np.float32).tobytes()[:64] not in content
    keys = [_keys(tmp_path / name) for name in ("a", "b")]
    assert not set(keys[0]) & set(keys[1]) - {b"key check"}


def _keys(folder: Path) -> list[bytes]:
    with sqlite3.connect(folder / FILE_NAME) as connection:
        return [row[0] for row in connection.execute("SELECT key FROM entry")]


def test_a_key_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Store(tmp_path / name, ROOM).close()
    os.replace(tmp_path / "a" / "key", tmp_path / "b" / "key")
    with pytest.raises(ConfigError, match="written under another key"):
        Store(tmp_path / "b", ROOM)
    (tmp_path / "b" / "key").write_bytes(b"short")
    with pytest.raises(ConfigError, match="no key of this package"):
        Store(tmp_path / "b", ROOM)


@pytest.mark.parametrize("content", [b"not a database at all " * 100, b"SQLite format 3\x00" + bytes(4080)])
def test_a_damaged_or_foreign_file_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noted(*args: Any, **options: Any) -> sqlite3.Connection:
        made.append(connect(*args, **options))
        return made[-1]

    monkeypatch.setattr("sqlite3.connect", noted)
    (tmp_path / "c").mkdir(mode=0o700)
    (tmp_path / "c" / FILE_NAME).write_bytes(content)
    with pytest.raises(ConfigError, match=r"cache\.dir"):
        Store(tmp_path / "c", ROOM)
    assert (tmp_path / "c" / FILE_NAME).read_bytes() == content
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        made[0].execute("SELECT 1")


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir(mode=0o700)
    with sqlite3.connect(tmp_path / "c" / FILE_NAME) as connection:
        connection.execute("CREATE TABLE patients (id)")
    with pytest.raises(ConfigError, match="database of something else"):
        Store(tmp_path / "c", ROOM)


def test_a_damaged_entry_is_forgotten_and_can_be_kept_anew(tmp_path: Path) -> None:
    store = Store(tmp_path / "c", ROOM)
    shelf = Shelf(store, "m")
    shelf.put({b"a": np.ones(3), b"b": np.zeros(3)})
    with sqlite3.connect(tmp_path / "c" / FILE_NAME) as connection:
        connection.execute("UPDATE entry SET value = CAST(x'00' || value AS BLOB) WHERE rowid = 2")
    assert len(shelf.find([b"a", b"b"])) == 1
    shelf.put({b"a": np.ones(3), b"b": np.zeros(3)})
    assert len(shelf.find([b"a", b"b"])) == 2
    store.close()


def test_a_file_that_breaks_while_in_use_costs_no_audit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path / "c", ROOM)
    shelf = Shelf(store, "m")
    with sqlite3.connect(tmp_path / "c" / FILE_NAME) as connection:
        connection.execute("DROP TABLE entry")
    shelf.put({b"a": np.ones(3)})
    assert shelf.find([b"a"]) == {}
    assert "left alone from here on" in caplog.text
    store.close()


def test_it_stays_within_its_size_and_what_was_used_last_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "c", 0.002)
    shelf = Shelf(store, "m")
    rng = np.random.default_rng(0)
    shelf.put({b"old": rng.normal(size=100)})
    with sqlite3.connect(tmp_path / "c" / FILE_NAME) as connection:
        connection.execute("UPDATE entry SET used = 5 WHERE key != 'key check'")
    shelf.put({b"older": rng.normal(size=100)})
    with sqlite3.connect(tmp_path / "c" / FILE_NAME) as connection:
        connection.execute("UPDATE entry SET used = 1 WHERE used > 5 AND used < 1000000000000")
    assert shelf.find([b"old"])  # and so it was used just now
    for i in range(600):
        shelf.put({i.to_bytes(2, "big"): rng.normal(size=1000)})
        assert store._database.size() <= 0.002 * 10**9
    assert shelf.find([b"older"]) == {}
    assert (tmp_path / "c" / FILE_NAME).stat().st_size <= 0.003 * 10**9
    store.close()
    Store(tmp_path / "c", 0.002).close()  # the check of the key is never thrown out


def test_what_is_there_first_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "c", ROOM)
    shelf = Shelf(store, "m")
    shelf.put({b"a": np.ones(1)})
    shelf.put({b"a": np.zeros(1)})
    assert shelf.find([b"a"])[b"a"] == 1
    store.close()


def test_the_place_is_the_environments_choice(cache_folder: Path) -> None:
    assert default_folder() == cache_folder


def test_the_place_without_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    for system, place in (("Linux", Path("/somewhere")), ("Darwin", Path.home() / "Library" / "Caches")):
        monkeypatch.setattr("platform.system", lambda system=system: system)
        assert default_folder() == place / "mlflow-clinsec"


def test_a_named_folder_must_work_and_the_default_one_need_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    impossible = tmp_path / "file" / "c"
    with pytest.raises(ConfigError, match=r"cache\.dir"), opened(CacheConfig(dir=str(impossible))):
        pass
    monkeypatch.setenv(VARIABLE, str(impossible))
    with opened(CacheConfig()) as store:
        assert store is None
    assert "a killed one starts anew" in caplog.text
    with opened(CacheConfig(enabled=False)) as store:
        assert store is None
