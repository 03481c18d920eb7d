"""One CSV file of a clinical database, read record by record.

What is wrong with a file is told by its name, the line and the column; no cell is ever shown.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from mlflow_clinsec.datasets.lines import Lines
from mlflow_clinsec.errors import DataError

Row = Mapping[str, str]
"""Column, named as the caller names it -> cell."""

SUFFIXES = (".csv", ".csv.gz")

LONGEST_LINE = 2**22
"""Bytes. Notes break their lines after some 80 characters; what has none for so long is no such table."""


def find_table(folder: Path, name: str) -> Path:
    """The one file of a table: ``name`` in any case, with ``.csv`` or ``.csv.gz``.

    Raises:
        DataError: there is none, or there are several.
    """
    found = tables(folder, name)
    if len(found) != 1:
        what = "no file" if not found else f"{len(found)} files"
        raise DataError(f"path: {what} of the table {name}; one is needed: {' or '.join(name + s for s in SUFFIXES)}.")
    return found[0]


def tables(folder: Path, name: str) -> list[Path]:
    """All files of a table."""
    wanted = {(name + suffix).lower() for suffix in SUFFIXES}
    return sorted(file for file in folder.iterdir() if file.is_file() and file.name.lower() in wanted)


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    """Yield the first line's number and the wanted cells of each record, under a progress bar of bytes.

    Args:
        path: a CSV file with a header, in UTF-8; ``.gz`` is unpacked on the way.
        columns: must be in the header, in any case; others are not looked at.

    Raises:
        DataError: an empty file, a column that is missing or named twice, a record that has not as many fields as the
            header, broken quoting, or bytes that are neither text nor gzip.
    """
    lines = Lines(path, path.name, LONGEST_LINE)
    reader = csv.reader(lines, strict=True)
    with tqdm(total=path.stat().st_size, desc=f"reading {path.name}", unit="B", unit_scale=True, leave=False) as bar:
        places, width = _header(reader, columns, path.name)
        for line, cells in _records(reader, path.name):
            bar.update(lines.position - bar.n)
            if len(cells) != width:
                raise DataError(f"{path.name}: line {line} has {len(cells)} fields, the header has {width}.")
            yield line, {name: cells[place] for name, place in places.items()}


def _records(reader: Any, title: str) -> Iterator[tuple[int, list[str]]]:
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error:  # a quote left open or out of place, or a field beyond the reader's limit
            raise DataError(f"{title}: broken CSV in the record that begins at line {line}.") from None
        if cells is None:
            return
        if cells:  # a blank line is no record
            yield line, cells


def _header(reader: Any, columns: Sequence[str], title: str) -> tuple[dict[str, int], int]:
    """Place of each wanted column, and the number of all columns."""
    _, names = next(_records(reader, title), (0, None))
    if names is None:
        raise DataError(f"{title}: the file is empty; a header line is needed.")
    lower = [name.strip().lower() for name in names]
    places = {}
    for name in columns:
        if (count := lower.count(name.lower())) != 1:
            raise DataError(f"{title}: {_why(name, count, lower)}")
        places[name] = lower.index(name.lower())
    return places, len(names)


def _why(name: str, count: int, lower: Sequence[str]) -> str:
    if count:
        return f"the header names the column {name!r} {count} times."
    close = difflib.get_close_matches(name.lower(), lower, n=1)  # where the header is missing, its cells are data
    return f"the header has no column {name!r}.{f' Did you mean {close[0]!r}?' if close else ''}"
