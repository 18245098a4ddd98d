"""Report texts of MIMIC-CXR: beside the studies, in a folder of their own, or in mimic-cxr-reports.zip."""

import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..places import Location, ObjectPath, below, read_each
from ..records import ReportRow
from .base import DatasetError
from .sections import sections

ZIP = "mimic-cxr-reports.zip"
_NAME = re.compile(r"(?:.*/)?s(\d{8})\.txt")
_FIELDS = ("findings", "impression", "last_paragraph", "comparison", "indication", "technique", "history")


@dataclass(frozen=True)
class Reports:
    """Where the texts are.

    Attributes:
        source: folder or zip file.
        paths: name inside `source` by study.
    """

    source: Location
    paths: Mapping[str, str]

    def texts(self, studies: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Study and text of those reports whose study is in `studies`.

        Raises:
            DatasetError: `bad-reports` for a zip that is cut off or damaged.
        """
        wanted = [(study, path) for study, path in self.paths.items() if study in studies]
        if self.source.is_dir():
            contents = read_each(self.source, (path for _, path in wanted))
            yield from ((study, _text(content)) for (study, _), content in zip(wanted, contents, strict=True))
            return
        try:
            with self.source.open("rb") as file, zipfile.ZipFile(file) as archive:
                yield from ((study, _text(archive.read(path))) for study, path in wanted)
        except (zipfile.BadZipFile, zlib.error) as error:
            raise _unusable(self.source, str(error)) from error


def find_reports(root: Location, given: Location | None, lying: Mapping[str, str]) -> Reports:
    """Where the reports of a tree are: what the caller names, else the zip in the root, else what lies in the tree.

    Raises:
        DatasetError: `bad-reports`, where `given` is absent, a zip is damaged, or either holds no report.
    """
    source = given or (root / ZIP)
    if source.is_file():
        paths = _named(_members(source))
    elif given is None:
        return Reports(root, lying)
    elif given.is_dir():
        paths = _named(_files(given))
    else:
        raise _unusable(given, "no such file or folder")
    if not paths:
        raise _unusable(source, "no sNNNNNNNN.txt in it")
    return Reports(source, paths)


def report_rows(root: Location, reports: Reports, subjects: Mapping[str, str]) -> Iterator[ReportRow]:
    """The sectioned reports of the studies in `subjects` (study → patient)."""
    place = below(root, reports.source)
    prefix = f"{place}/" if place else ""
    for study, text in reports.texts(subjects):
        parts = sections(text, study)
        texts = {name: parts.get(name) for name in _FIELDS}
        yield ReportRow(study, subjects[study], prefix + reports.paths[study], **texts)


def _members(archive: Location) -> list[str]:
    try:
        with archive.open("rb") as file, zipfile.ZipFile(file) as names:
            return names.namelist()
    except zipfile.BadZipFile as error:
        raise _unusable(archive, str(error)) from error


def _files(folder: Location) -> Iterator[str]:
    if isinstance(folder, ObjectPath):
        yield from folder.files()
        return
    for parent, _, names in os.walk(folder):
        relative = Path(parent).relative_to(folder)
        yield from ((relative / name).as_posix() for name in names)


def _named(names: Iterator[str] | list[str]) -> dict[str, str]:
    return {report[1]: name for name in names if (report := _NAME.fullmatch(name))}


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace").replace("\r\n", "\n")


def _unusable(source: Location, why: str) -> DatasetError:
    return DatasetError("bad-reports", f"{source}: {why}; name {ZIP} or the folder it was unpacked to")
