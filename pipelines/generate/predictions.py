"""The file of a model's reports: appended to while they are written, whole after any stop, sorted at the end."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..errors import SettingsError
from ..files import atomic

DECIDES = ("model", "revision", "prompt_sha256", "max_pixels", "max_tokens")
"""What all reports of one file share."""
_BEGINS = b'{"case_id": '
"""As every line does; what does not is another file's, and not ours to cut."""


class Written(NamedTuple):
    """One report."""

    case_id: str
    text: str
    finish_reason: str
    """`stop`, or `length` where it was cut at the largest number of tokens."""


class Predictions:
    """An open file of reports; get it from `opened`.

    Attributes:
        done: cases that have a report.
    """

    def __init__(self, path: Path, lines: IO[bytes], origin: Mapping[str, Any]) -> None:
        self._path, self._lines, self._origin = path, lines, origin
        self.done = {record["case_id"] for record in self._kept()}

    @classmethod
    @contextmanager
    def opened(cls, path: Path, origin: Mapping[str, Any]) -> Iterator["Predictions"]:
        """Open a file to go on with, or a new one; a last line that a crash cut off is dropped.

        Args:
            path: of the file.
            origin: what its reports are of, by the names in `DECIDES`.

        Raises:
            SettingsError: another process writes it, or it holds other reports than these would be.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as lines:
            try:
                fcntl.flock(lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SettingsError(f"{path}: another lrrg generate writes it") from error
            yield cls(path, lines, origin)

    def _kept(self) -> Iterator[Mapping[str, Any]]:
        self._lines.seek(0)
        data = self._lines.read()
        end = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:end].splitlines(), 1):
            try:
                record = json.loads(line)
                origin = {name: record[name] for name in DECIDES}
                _ = record["case_id"]
            except (ValueError, KeyError, TypeError) as error:
                raise SettingsError(f"{self._path}:{number}: no report of lrrg generate; name a new file") from error
            if origin != self._origin:
                changed = ", ".join(name for name in DECIDES if origin[name] != self._origin[name])
                raise SettingsError(f"{self._path}: holds reports of another {changed}; name a new file")
            yield record
        if not _BEGINS.startswith(data[end:][: len(_BEGINS)]):
            raise SettingsError(f"{self._path}: ends in no report of lrrg generate; name a new file")
        self._lines.truncate(end)

    def add(self, reports: Sequence[Written], rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Append reports and have the disk keep them.

        Args:
            reports: of cases not done yet.
            rows: of `cases.parquet`, by case.
        """
        for report in reports:
            record = {**_case(rows[report.case_id]), **self._origin, **report._asdict()}
            self._lines.write(json.dumps(record, sort_keys=True, ensure_ascii=False).encode() + b"\n")
        self._lines.flush()
        os.fsync(self._lines.fileno())
        self.done |= {report.case_id for report in reports}

    def sort(self) -> None:
        """Bring a finished file into the cases' order: equal reports give equal bytes, whoever was asked first."""
        self._lines.seek(0)
        lines = self._lines.read().splitlines(keepends=True)
        ordered = sorted(lines, key=lambda line: json.loads(line)["case_id"])
        if ordered != lines:
            with atomic(self._path) as part:
                part.write_bytes(b"".join(ordered))


def _case(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "study_id": row["study_id"],
        "subject_id": row["subject_id"],
        "dicom_ids": [row["image_id"]],
        "tracks": list(row["tracks"]),
        "defect": row["defect"],
        "severity": row["severity"],
    }
