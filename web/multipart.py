"""Forms with hundreds of files: all parts of one request lie in one unnamed file. Looks into none of them."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import IO, cast

import flask
from werkzeug.datastructures import FileStorage


class PartsFile:
    """One temporary file, and the parts written to it one after the other."""

    def __init__(self, folder: Path) -> None:
        self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the request

    def new_part(self) -> IO[bytes]:
        """Returns where the next part goes; the one before it is written to its end."""
        return cast(IO[bytes], Part(self.file, self.file.seek(0, io.SEEK_END)))

    def close(self) -> None:
        """Removes everything."""
        self.file.close()


class Part(io.RawIOBase):
    """A window on a PartsFile: grows while it is written, then is read from its start."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self._file, self._start = file, start
        self._length = self._position = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._file.write(data)
        self._length += len(data)
        self._position += len(data)
        return len(data)

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        wanted = min(len(buffer), self._length - self._position)
        if wanted <= 0:
            return 0
        self._file.seek(self._start + self._position)
        data = self._file.read(wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        ground = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = max(0, ground + offset)
        return self._position

    def tell(self) -> int:
        return self._position


class Request(flask.Request):
    """A request that may be told to take many large files."""

    parts_file: PartsFile | None = None

    def accept_files(self, count: int, size: int, folder: Path) -> None:
        """Raises the limits of this request alone, before its form is read.

        Args:
            count: of files and other fields, at most.
            size: of the whole request, in bytes, at most.
            folder: where they lie meanwhile, unnamed: a killed server leaves none of them behind.
        """
        self.max_form_parts, self.max_content_length = count, size
        self.parts_file = PartsFile(folder)

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,
        filename: str | None = None,
        content_length: int | None = None,
    ) -> IO[bytes]:
        if self.parts_file is not None:
            return self.parts_file.new_part()
        return super()._get_file_stream(total_content_length, content_type, filename, content_length)

    def close(self) -> None:
        super().close()
        if self.parts_file is not None:
            self.parts_file.close()


def size_of(file: FileStorage) -> int:
    """Returns how many bytes a part has, and goes back to its start."""
    size = file.stream.seek(0, io.SEEK_END)
    file.stream.seek(0)
    return size
