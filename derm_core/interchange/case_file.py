"""The case file: a zip of a list, `manifest.json`, and of the pictures that it names, each with its SHA-256.

Everything lies in it uncompressed, so that it cannot hold more than its size. Nothing is written by a name that stands
inside: entries are read into memory one at a time, when they are asked for.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from derm_core.errors import CaseFileError
from derm_core.files import new_file
from derm_core.interchange.cases import CaseLesion, CasePhotograph
from derm_core.interchange.manifest import (
    MOST_PHOTOGRAPHS,
    EntrySum,
    head,
    parse_entries,
    parse_lesions,
    plain_lesion,
    plain_photograph,
)
from derm_core.zip_end import read_zip_end

CASE_FILE_SUFFIX = ".dermcases"
MOST_BYTES = 4_000_000_000
_MANIFEST = "manifest.json"
_MOST_MANIFEST_BYTES = 64 << 20
_MOST_ENTRY_BYTES = 64 << 20
_MOST_ENTRIES = 12 * MOST_PHOTOGRAPHS + 1
_NAME = re.compile(r"pictures/[0-9]{5}/[a-z0-9_-]{1,40}\.(jpg|png)")
_STAMP = (1980, 1, 1, 0, 0, 0)
_MOST_LISTED_BYTES = 256 * _MOST_ENTRIES
_AGAIN = "Copy it again, or export it again where it comes from."


@dataclass(frozen=True)
class CaseFile:
    """A case file that is open: what it lists. Pictures are read when their readers are called."""

    lesions: tuple[CaseLesion, ...]

    @property
    def photographs(self) -> int:
        """How many photographs it has."""
        return sum(len(lesion.photographs) for lesion in self.lesions)


def write_case_file(
    out: Path | IO[bytes],
    lesions: Iterable[CaseLesion],
    *,
    made_by: str = "",
    made_at: datetime | None = None,
) -> int:
    """Writes lesions as a case file and returns how many photographs it has.

    A photograph whose files are gone since it was listed is left out. A path gets the file whole or not at all.

    Args:
        out: a path, or a binary file that can be read from its start.
        lesions: may be lazy.
        made_by: what wrote it, for people.
        made_at: with its zone; None for now.

    Raises:
        CaseFileError: there are more photographs than a case file holds.
        OSError: it cannot be written.
    """
    if isinstance(out, Path):
        with new_file(out) as stream:
            return write_case_file(stream, lesions, made_by=made_by, made_at=made_at)
    sums: dict[str, EntrySum] = {}
    listed: list[dict[str, Any]] = []
    count = 0
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for lesion in lesions:
            photographs = []
            for photograph in lesion.photographs:
                if count == MOST_PHOTOGRAPHS:
                    raise CaseFileError(
                        f"A case file holds at most {MOST_PHOTOGRAPHS:,} photographs. Export the lesions in parts."
                    )
                written = _write_photograph(archive, sums, photograph, count + 1)
                if written is not None:
                    photographs.append(written)
                    count += 1
            listed.append(plain_lesion(lesion, photographs))
        manifest = head(made_at or datetime.now(UTC), made_by) | {
            "entries": {name: {"bytes": one.size, "sha256": one.sha256} for name, one in sums.items()},
            "lesions": listed,
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        archive.writestr(_entry(_MANIFEST), text.encode())
    return count


@contextmanager
def open_case_file(source: Path | IO[bytes], *, most_bytes: int = MOST_BYTES) -> Iterator[CaseFile]:
    """Gives what a case file lists; its pictures can be read inside the block.

    Args:
        source: a path, or a binary file that can be read from any place.
        most_bytes: larger files are refused.

    Raises:
        CaseFileError: it cannot be opened, is too large, of a newer version, incomplete or not as it should be. A
            picture's reader raises it where the picture is not the one that was listed.
    """
    if isinstance(source, Path):
        try:
            opened = source.open("rb")
        except OSError as err:
            raise CaseFileError(f"{source} cannot be read ({err.strerror}). Name a .dermcases file.") from err
        with opened, open_case_file(opened, most_bytes=most_bytes) as case_file:
            yield case_file
        return
    size = _checked_size(source, most_bytes)
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, struct.error) as err:
        raise CaseFileError(f"This case file is damaged. {_AGAIN}") from err
    with archive:
        infos = _checked_infos(archive, size)
        values = _manifest(archive, infos)
        sums = parse_entries(values, _MOST_ENTRY_BYTES)
        if set(sums) != set(infos) - {_MANIFEST}:
            raise CaseFileError(f"This case file holds other pictures than it lists. {_AGAIN}")

        def reader(name: str) -> Callable[[], bytes]:
            if name not in sums:
                raise CaseFileError(f"This case file lists a picture that it does not hold. {_AGAIN}")
            return lambda: _read_listed(archive, infos[name], sums[name])

        yield CaseFile(tuple(parse_lesions(values, reader)))


def _write_photograph(
    archive: zipfile.ZipFile, sums: dict[str, EntrySum], photograph: CasePhotograph, number: int
) -> dict[str, Any] | None:
    folder = f"pictures/{number:05}"
    try:
        contents = {f"{folder}/photo.jpg": photograph.picture()}
        contents |= {f"{folder}/{code}.png": read() for code, read in photograph.heatmaps.items()}
    except FileNotFoundError:
        return None
    for name, content in contents.items():
        archive.writestr(_entry(name), content)
        sums[name] = EntrySum(len(content), hashlib.sha256(content).hexdigest())
    picture, *heatmaps = contents
    return plain_photograph(photograph, picture, dict(zip(photograph.heatmaps, heatmaps, strict=True)))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _STAMP)
    entry.external_attr = 0o600 << 16
    return entry


def _checked_size(file: IO[bytes], most_bytes: int) -> int:
    """Returns the size of the file; refuses one whose list of entries is too long before that is read into memory."""
    size = file.seek(0, 2)
    if size > most_bytes:
        raise CaseFileError(
            f"This case file has {size / 1e6:,.0f} MB; wanted: at most {most_bytes / 1e6:,.0f} MB. Export the lesions "
            "in parts."
        )
    end = read_zip_end(file)
    if end is None:
        raise CaseFileError(f"This is not a whole case file. {_AGAIN}")
    if end.entries > _MOST_ENTRIES or end.listed_bytes > _MOST_LISTED_BYTES:
        raise CaseFileError("This case file holds too many pictures. Export the lesions in parts.")
    return size


def _checked_infos(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    infos = archive.infolist()
    by_name = {info.filename: info for info in infos}
    if _MANIFEST not in by_name:
        raise CaseFileError("This is no case file: it has no list. Choose a .dermcases file.")
    odd = [name for name in by_name if name != _MANIFEST and not _NAME.fullmatch(name)]
    if odd or len(by_name) != len(infos) or len(infos) > _MOST_ENTRIES:
        raise CaseFileError(f"This case file holds files that do not belong into one. {_AGAIN}")
    # Stored means that an entry takes as much in the file as it says; together they cannot take more than there is.
    if (
        any(
            info.compress_type != zipfile.ZIP_STORED
            or info.compress_size != info.file_size
            or info.flag_bits & 1
            for info in infos
        )
        or sum(info.file_size for info in infos) > size
    ):
        raise CaseFileError(f"This case file was packed by another program. {_AGAIN}")
    return by_name


def _manifest(archive: zipfile.ZipFile, infos: Mapping[str, zipfile.ZipInfo]) -> Any:
    content = _read(archive, infos[_MANIFEST], _MOST_MANIFEST_BYTES)
    try:
        return json.loads(content.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as err:
        raise CaseFileError(f"The list of this case file cannot be read. {_AGAIN}") from err


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _read_listed(archive: zipfile.ZipFile, info: zipfile.ZipInfo, listed: EntrySum) -> bytes:
    content = _read(archive, info, _MOST_ENTRY_BYTES)
    if len(content) != listed.size or hashlib.sha256(content).hexdigest() != listed.sha256:
        raise CaseFileError("A picture is not the one that was exported.")
    return content


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    if info.file_size > most:
        raise CaseFileError(f"A file in this case file is too large. {_AGAIN}")
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as err:
        raise CaseFileError(f"A file in this case file is damaged. {_AGAIN}") from err
