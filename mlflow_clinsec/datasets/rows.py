"""Records of a file one by one, in bounded memory, whatever its format.

What is wrong with a file is told by line number: neither a record nor a reader's own message, which may quote one, is
ever shown.
"""

from __future__ import annotations

import csv
import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from mlflow_clinsec.datasets.lines import Lines
from mlflow_clinsec.errors import DataError

Row = tuple[int, Mapping[str, Any]]
"""Line number in the file (row number in Parquet), and column -> value."""

_PARQUET_ROWS = 4096
_WHOLE_FLOAT = re.compile(r"(\d+)\.0")


def read_rows(path: Path, columns: Sequence[str], title: str) -> Iterator[Row]:
    """Yield the rows of a file under a progress bar.

    Args:
        path: ``.csv``, ``.jsonl`` (one object a line; either may end in ``.gz``), ``.json`` (an array of objects, read
            whole) or ``.parquet``.
        columns: must be there in every row; others are passed on where they cost nothing.
        title: what errors and the progress bar call the file; never the path, which may name a patient.

    Raises:
        DataError: no such file, another suffix, not UTF-8, a line that is no record, a missing column.
    """
    if not path.is_file():
        raise DataError(f"{title}: no such file.")
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix not in READERS or (path.suffix == ".gz" and suffix not in (".csv", ".jsonl")):
        raise DataError(f"{title}: suffix {path.suffix!r} is not known. Allowed: {', '.join(SUFFIXES)}.")
    for line, row in tqdm(READERS[suffix](path, columns, title), desc=f"reading {title}", unit="row", leave=False):
        if missing := [name for name in columns if name not in row]:
            close = difflib.get_close_matches(missing[0], list(row), n=1)  # other names stay unseen: they are data
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise DataError(f"{title}: line {line} has no {missing[0]!r}.{hint}")
        yield line, row


def _csv_rows(path: Path, columns: Sequence[str], title: str) -> Iterator[Row]:
    reader = csv.DictReader(Lines(path, title), strict=True)
    try:
        names = list(reader.fieldnames or ())
        if len(set(names)) != len(names):
            raise DataError(f"{title}: the header names a column twice.")
        for row in reader:
            if None in row or None in row.values():
                raise DataError(f"{title}: line {reader.line_num} has not as many fields as the header.")
            yield reader.line_num, row
    except csv.Error:
        # a quote left open, a null byte, or a field beyond the reader's limit
        raise DataError(f"{title}: broken CSV at line {reader.reader.line_num}.") from None


def _jsonl_rows(path: Path, columns: Sequence[str], title: str) -> Iterator[Row]:
    for number, line in enumerate(Lines(path, title), start=1):
        if line.strip():
            yield number, _object(_parse(line, title, number - 1), title, number)


def _json_rows(path: Path, columns: Sequence[str], title: str) -> Iterator[Row]:
    found = _parse("".join(Lines(path, title)), title, 0)
    if not isinstance(found, list):
        raise DataError(f"{title}: expected an array of records, got {type(found).__name__}.")
    for number, item in enumerate(found, start=1):
        yield number, _object(item, title, number)


def _parse(text: str, title: str, lines_before: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{title}: broken JSON at line {lines_before + error.lineno}.") from None
    except RecursionError:
        raise DataError(f"{title}: JSON nested too deeply at line {lines_before + 1}.") from None


def _object(item: Any, title: str, number: int) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise DataError(f"{title}: record {number} is a {type(item).__name__}, expected an object.")
    return item


def _parquet_rows(path: Path, columns: Sequence[str], title: str) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        wanted = [name for name in columns if name in file.schema_arrow.names]
        number = 0
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS, columns=wanted):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{title}: not readable as Parquet ({type(error).__name__}).") from None


READERS: Mapping[str, Callable[[Path, Sequence[str], str], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".jsonl": _jsonl_rows,
    ".json": _json_rows,
    ".parquet": _parquet_rows,
}
SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".json", ".parquet")


def text_of(row: Mapping[str, Any], name: str, title: str, line: int) -> str:
    """A cell that must be text; "" where it is blank or missing, which the caller judges.

    Raises:
        DataError: a number, a list or the like.
    """
    value = row[name]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{title}: line {line}: {name!r} must be text, got {type(value).__name__}.")
    return value.strip()


def identifier_of(row: Mapping[str, Any], name: str, title: str, line: int) -> str:
    """A cell that names a patient, an admission or a record, as text.

    Files written through floating-point columns say ``123.0``; that is the same patient as ``123``.

    Raises:
        DataError: missing, blank, or neither a whole number nor text.
    """
    value = row[name]
    whole = isinstance(value, float) and value.is_integer()
    if isinstance(value, bool) or not (whole or isinstance(value, int | str)) or value == "":
        raise DataError(f"{title}: line {line} has no usable {name!r}; every record needs one.")
    text = str(int(value)) if whole else str(value).strip()
    if not text or text.lower() == "nan":
        raise DataError(f"{title}: line {line} has no usable {name!r}; every record needs one.")
    found = _WHOLE_FLOAT.fullmatch(text)
    return found[1] if found else text
