"""What a data set is to the catalog, and what every adapter reads with."""

import csv
import gzip
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from ..errors import CodedError, SettingsError
from ..places import Entry, Location, ObjectPath
from ..records import CatalogRow, LabelRow, ReportRow
from ..view import Advance

SUFFIXES = (".jpg", ".jpeg", ".png", ".dcm", ".dicom")
"""What counts as an image by name, in lower case."""


class DatasetError(CodedError, SettingsError):
    """The folder cannot be catalogued as it stands.

    Attributes:
        code: `no-root`, `no-images`, `not-the-root`, `missing-column`, `bad-table` or `bad-reports`.
    """


class DuplicateIdError(SettingsError):
    """Two files of one data set would share an image id; the message names both."""

    code = "duplicate-id"


@dataclass(frozen=True)
class Dataset:
    """What an adapter found on disk.

    Attributes:
        images: only images that exist; their ids are distinct.
        reports: at most one a study, only of studies in `images`.
        labels: published finding labels, only of studies in `images`.
        missing: images that the data set lists and the disk lacks.
        warnings: one sentence a problem that did not stop the catalog: what is wrong and what will be missing.
    """

    images: list[CatalogRow]
    reports: Iterable[ReportRow] = ()
    labels: Iterable[LabelRow] = ()
    missing: int = 0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Adapter:
    """One data set: how its folder is recognised, and how it becomes rows.

    Attributes:
        name: what a person calls the data set.
        recognises: whether a folder is this data set, by its files' names alone.
        read: lists the data set below a root, telling of each image; the second location is a folder or zip of report
            texts, None for those in the root.
    """

    name: str
    recognises: Callable[[Location], bool]
    read: Callable[[Location, Location | None, Advance], Dataset]


@dataclass
class Scan:
    """Lists folders and keeps what went wrong, so that one sickly folder does not stop the rest.

    Attributes:
        dangling: links that lead nowhere.
        others: files that are no images, by suffix.
    """

    warnings: list[str] = field(default_factory=list)
    dangling: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def entries(self, folder: Location | str) -> Sequence[Entry]:
        """The visible entries of a folder by name, links last; links that lead nowhere are counted and left out."""
        if isinstance(folder, ObjectPath):
            return [entry for entry in folder.entries() if not entry.name.startswith(".")]
        try:
            with os.scandir(folder) as found:
                visible = [entry for entry in found if not entry.name.startswith(".")]
        except PermissionError:
            self.warnings.append(f"{folder}: no permission to list it; the images below it are left out")
            return []
        living = [entry for entry in visible if not entry.is_symlink() or _leads_somewhere(entry)]
        self.dangling += len(visible) - len(living)
        return sorted(living, key=lambda entry: (entry.is_symlink(), entry.name))

    def report(self, root: Location) -> list[str]:
        """All warnings of the scan."""
        links = [f"{root}: {self.dangling} links lead nowhere; they are left out"] if self.dangling else []
        return self.warnings + links


def _leads_somewhere(link: os.DirEntry[str]) -> bool:
    try:
        link.stat()
    except OSError:
        return False
    return True


def table_path(root: Location, name: str) -> Location | None:
    """A table of the data set, compressed or unpacked; None where it is absent."""
    bare = name.removesuffix(".gz")
    return next((root / each for each in (f"{bare}.gz", bare) if (root / each).is_file()), None)


def table(path: Location, *required: str) -> Iterator[Mapping[str, str]]:
    """Rows of a (gzipped) CSV or TSV file with a header line; cells that a line lacks at its end are empty.

    Raises:
        DatasetError: `missing-column` where a required one is absent; `bad-table` where the file is cut off or not
            UTF-8, or a line has more cells than there are columns: which of them is meant cannot be told.
    """
    try:
        with opened(path) as text:
            delimiter = "\t" if ".tsv" in path.suffixes else ","
            reader = csv.DictReader(text, restval="", delimiter=delimiter)
            there = reader.fieldnames or ()
            if absent := [name for name in required if name not in there]:
                raise DatasetError(
                    "missing-column", f"{path}: no column {', '.join(absent)} in {delimiter.join(there)}"
                )
            for row in reader:
                if None in row:
                    raise DatasetError("bad-table", f"{path}: line {reader.line_num} has more cells than the header")
                yield row
    except UnicodeDecodeError as error:
        raise DatasetError("bad-table", f"{path}: not UTF-8 ({error}); save it as UTF-8") from error
    except (EOFError, zlib.error, gzip.BadGzipFile, csv.Error) as error:
        raise DatasetError(
            "bad-table", f"{path}: cannot be read to its end ({error}); download or save it again"
        ) from error


@contextmanager
def cells_of(path: Location | None) -> Iterator[None]:
    """Cells of a table are converted within: one that is not what its column holds is the table's fault.

    Raises:
        DatasetError: `bad-table`.
    """
    try:
        yield
    except DatasetError:
        raise
    except (ValueError, OverflowError, SyntaxError) as error:
        raise DatasetError("bad-table", f"{path}: a cell cannot be right ({error}); get the table again") from error


def opened(path: Location) -> IO[str]:
    """Text of a plain or gzipped file, a byte-order mark left out."""
    if path.suffix == ".gz":
        return gzip.open(path if isinstance(path, Path) else path.open("rb"), "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def integer(value: str | None) -> int | None:
    """A whole number that a table may hold as a float; None for an empty cell.

    >>> integer("3056.0"), integer("")
    (3056, None)
    """
    return int(float(value)) if value else None


def integer_id(value: str) -> str:
    """An identifier of digits that a table may hold as a float."""
    return value if value.isdigit() else str(integer(value))


def study_date(value: str | None) -> str | None:
    """YYYYMMDD of a date stored as a number or with dashes.

    >>> study_date("21800506.0"), study_date("2180-05-06"), study_date("")
    ('21800506', '21800506', None)
    """
    digits = (value or "").partition(".")[0].replace("-", "").strip()
    return digits or None


def study_time(value: str | None) -> str | None:
    """HHMMSS of a time stored as a float, which loses leading zeros; fractions of a second are cut.

    >>> study_time("80556.875"), study_time("7.0"), study_time("213014"), study_time("")
    ('080556', '000007', '213014', None)
    """
    number = integer(value)
    return None if number is None else f"{number:06d}"
