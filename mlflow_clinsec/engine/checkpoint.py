"""Finished parts on this machine's disk, so that an audit whose driver was killed goes on where it stopped.

A file holds the numbers of one part and keyed digests; never text. Its name is a digest of what all numbers depend on:
model, data, scoring, this package's code, the part and the state of its file. What was scored for one attack stands
beside what was scored for others, so that a later audit of the same model finds all of it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException

from mlflow_clinsec.engine.rows import RECORD, Rows, from_bytes, to_bytes
from mlflow_clinsec.engine.shards import Part
from mlflow_clinsec.results import Status
from mlflow_clinsec.store.digests import code_digest, digest_of, library_versions
from mlflow_clinsec.store.home import own_folder
from mlflow_clinsec.store.sealing import local_seal

logger = logging.getLogger(__name__)

KEY = "scale.checkpoint"


class Checkpoint:
    """Rows by part, in a folder of their own.

    Args:
        folder: made with mode 0700.
        identity: what the numbers depend on beside the part.

    Raises:
        ConfigError: the folder cannot be made, or others may enter it.
    """

    def __init__(self, folder: str, *identity: object) -> None:
        self._folder = own_folder(Path(folder).expanduser(), KEY)
        self._seal = local_seal(self._folder)
        self._identity = digest_of(*identity, code_digest(), library_versions())

    @property
    def key(self) -> bytes:
        """Key of the digests of patients and texts: the same for parts that were scored at different times."""
        return self._seal.digest(b"patients and texts")

    def find(self, part: Part, wanted: Mapping[str, str]) -> Rows | None:
        """The part's rows, where they are there, whole, and scored by all attacks wanted.

        Args:
            wanted: attack -> digest of its settings.
        """
        rows, scored = self._read(part)
        return rows if RECORD in rows.columns and wanted.items() <= scored.items() else None

    def keep(self, part: Part, rows: Rows, scored: Mapping[str, str]) -> None:
        """Write the part's rows, whole or not at all, beside what other attacks have found there before.

        An attack that failed is tried again by the next audit: what it failed of, memory say, may have passed.
        """
        held, before = self._read(part)
        others = held.of(before.keys() - scored.keys())
        merged = Rows({**others.columns, **rows.columns}, {**others.reasons, **rows.reasons})
        failed = {name for name, (status, _) in rows.reasons.items() if status == Status.FAILED}
        done = {name: digest for name, digest in {**before, **scored}.items() if name not in failed}
        number, draft = tempfile.mkstemp(dir=self._folder, suffix=".part")  # of mode 0600
        try:
            with os.fdopen(number, "wb") as file:
                file.write(to_bytes(merged, done))
            os.replace(draft, self._path(part))
        except BaseException:
            Path(draft).unlink()
            raise

    def _read(self, part: Part) -> tuple[Rows, dict[str, str]]:
        """Rows of the part and what they were scored by; nothing where there are none."""
        try:
            return from_bytes(self._path(part).read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            logger.warning("clinsec: a damaged checkpoint is made anew")
        return Rows({}), {}

    def _path(self, part: Part) -> Path:
        name = self._seal.digest(self._identity, digest_of(part))
        return self._folder / f"{name.hex()}.npz"


def state_of(place: str) -> tuple[tuple[str, int, int], ...]:
    """What stands at a place: names, sizes and times of its files, or the id that MLflow gave the model behind a URI,
    since an alias may come to name another one. Nothing where it cannot be read: no number was made from it."""
    root = Path(place)
    if not root.exists():
        return _logged(place)
    found = sorted(item for item in root.rglob("*") if item.is_file()) if root.is_dir() else [root]
    return tuple((str(item.relative_to(root)), item.stat().st_size, item.stat().st_mtime_ns) for item in found)


def _logged(uri: str) -> tuple[tuple[str, int, int], ...]:
    try:
        return ((str(mlflow.models.get_model_info(uri).model_uuid), 0, 0),)
    except (MlflowException, OSError):
        return ()
