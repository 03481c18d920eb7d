"""Text files line by line, plain or gzipped, never more of them in memory than a line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from mlflow_clinsec.errors import DataError

UNBOUNDED = -1


class Lines:
    """Decoded lines of a file. Each is decoded by itself, so that the one that is not UTF-8 can be named.

    Args:
        path: a file; ``.gz`` is unpacked on the way.
        title: what errors call it.
        longest: bytes that a line may have; a file that is no text at all then cannot fill the memory.
    """

    def __init__(self, path: Path, title: str, longest: int = UNBOUNDED) -> None:
        self.path, self.title, self.longest = path, title, longest
        self._file: IO[bytes] | None = None

    @property
    def position(self) -> int:
        """Bytes of the file on disk that were read so far, packed ones where it is gzipped."""
        return self._file.tell() if self._file is not None and not self._file.closed else 0

    def __iter__(self) -> Iterator[str]:
        """Yield the lines with their ends.

        Raises:
            DataError: not readable, not UTF-8, not gzip, a null byte, or a line beyond ``longest``.
        """
        number = 0
        try:
            with self.path.open("rb") as self._file:
                unpacked: Any = gzip.GzipFile(fileobj=self._file) if self.path.suffix == ".gz" else self._file
                while line := unpacked.readline(self.longest):
                    number += 1
                    yield self._decoded(line, number)
        except (gzip.BadGzipFile, zlib.error, EOFError):
            raise DataError(f"{self.title}: not readable as gzip after line {number}.") from None
        except OSError as error:  # no permission, or a disk that fails
            raise DataError(f"{self.title}: cannot be read after line {number} ({type(error).__name__}).") from None

    def _decoded(self, line: bytes, number: int) -> str:
        if len(line) == self.longest and not line.endswith(b"\n"):
            raise DataError(f"{self.title}: line {number} is longer than {self.longest} bytes: no table of text.")
        if b"\0" in line:
            raise DataError(f"{self.title}: line {number} holds a null byte.")
        try:
            return line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{self.title}: line {number} is not UTF-8.") from None
