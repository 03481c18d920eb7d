"""Accepted rewrites on the user's own disk, so that the next model version is only scored.

One JSON object a line, appended in one write: an audit that is cut short loses at most the record it was at. The file
holds patients' text. It is readable by its owner alone, lies where the user says, and is never logged.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from mlflow_clinsec.errors import ConfigError
from mlflow_clinsec.store.home import own_folder

logger = logging.getLogger(__name__)

FILE_NAME = "paraphrases.jsonl"
_KEY = "paraphrase.cache"


class Entry(NamedTuple):
    """What became of one record: its accepted (prompt, response) pairs, and refusals by reason."""

    accepted: tuple[tuple[str, str], ...]
    refusals: Mapping[str, int]


class ParaphraseCache:
    """Entries by key, in ``folder``. Places are kept in memory, text is read when asked for.

    Raises:
        ConfigError: the folder cannot be made or written to, or other users may read it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = own_folder(folder, _KEY) / FILE_NAME
        try:
            # No symbolic link is followed: it could lead the text elsewhere.
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            self._file = os.fdopen(os.open(self._path, flags, 0o600), "r+b", buffering=0)
            os.chmod(self._path, 0o600)
        except OSError as error:
            raise ConfigError(f"{_KEY}: {FILE_NAME} cannot be opened there ({type(error).__name__}).") from None
        self._places = self._index()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Entry | None:
        """The entry of that key, or None."""
        place = self._places.get(key)
        if place is None:
            return None
        self._file.seek(place[0])
        found = read_line(self._file.read(place[1]))
        return found[1] if found and found[0] == key else None  # another audit may write to the file meanwhile

    def put(self, key: str, entry: Entry) -> None:
        """Keep an entry, at once.

        Raises:
            ConfigError: it cannot be written.
        """
        row = {"key": key, "accepted": entry.accepted, "refusals": dict(entry.refusals)}
        line = json.dumps(row).encode("ascii") + b"\n"
        try:
            self._file.write(line)
        except OSError as error:
            raise ConfigError(f"{_KEY}: {FILE_NAME} cannot be written ({type(error).__name__}).") from None
        self._places[key] = (self._file.tell() - len(line), len(line))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _index(self) -> dict[str, tuple[int, int]]:
        """Place and length of each entry; a torn last line is ended, so that the next one stands by itself."""
        places: dict[str, tuple[int, int]] = {}
        place, broken, line = 0, 0, b"\n"
        with self._path.open("rb") as lines:
            for line in lines:
                found = read_line(line)
                if found:
                    places[found[0]] = (place, len(line))
                elif line.strip():
                    broken += 1
                place += len(line)
        if not line.endswith(b"\n"):
            self._file.write(b"\n")
        if broken:
            logger.warning("clinsec: %s: %d lines that cannot be read are skipped", _KEY, broken)
        return places


def read_line(line: bytes) -> tuple[str, Entry] | None:
    """Key and entry of one line; None when it is no complete entry."""
    try:
        row = json.loads(line)
        pairs = tuple((prompt, response) for prompt, response in row["accepted"])
        refusals = dict(row["refusals"])
        key = row["key"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    texts = all(isinstance(text, str) for pair in pairs for text in pair)
    counts = all(type(count) is int and count > 0 for count in refusals.values())
    return (key, Entry(pairs, refusals)) if texts and counts and isinstance(key, str) else None


def entry_key(settings: Mapping[str, Any], prompt: str, response: str) -> str:
    """Digest of a record's text and of all that its rewrites depend on."""
    parts = json.dumps([settings, rules_version(), prompt, response], sort_keys=True)
    return hashlib.sha256(parts.encode("ascii")).hexdigest()


@functools.cache
def rules_version() -> str:
    """Digest of this package's rules, gate and lexicon: entries of another version are not used."""
    digest = hashlib.sha256()
    here = files("mlflow_clinsec.perturb")
    for folder in (here, here / "lexicon"):
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            if path.is_file() and path.name.endswith((".py", ".tsv")):
                digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
