"""Readers' opinions: the CSV that the report's page saves goes into the database."""

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...agent.state import ASPECTS
from ..errors import SettingsError
from ..records import ReadRow
from ..store import Store

COLUMNS = ("image_id", "reader", "regime", *ASPECTS, "blind", "read_at")
REGIMES = ("high", "borderline", "low")
ANSWERS = {"yes": True, "no": False, "": None}


class ReviewError(SettingsError):
    """A file of reads that cannot be imported, or nothing to compare with."""

    code = "review"


def import_reads(reads: Path, db: Path) -> dict[str, int]:
    """Store what readers said; of two reads of one reader on one film the newer counts. All of the file or nothing.

    Returns:
        Reads in the file, reads written (the others are stored already, or older than what is), readers.

    Raises:
        ReviewError: a line is not as the page writes it, or names an image the catalog does not have.
        StoreError: see `Store.open`.
    """
    rows = read_csv(reads)
    with Store.open(db, create=False) as store:
        unknown = store.unknown_images([row.image_id for row in rows])
        if unknown:
            more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
            raise ReviewError(f"{reads}: {unknown[0]}{more}: no such image in {db}; name the database it was read from")
        written = store.add_reads(rows)
    return {"reads": len(rows), "written": written, "readers": len({row.reader for row in rows})}


def read_csv(path: Path) -> list[ReadRow]:
    """Check and parse a file of reads.

    Raises:
        ReviewError: the file or a line of it is not as the page writes it; the message names both.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = csv.DictReader(stream)
            missing = [name for name in COLUMNS if name not in (lines.fieldnames or ())]
            if missing:
                raise ReviewError(f"{path}: no column {', '.join(missing)}; save the reads with the report's page")
            return [_row(line, f"{path}, line {number}") for number, line in enumerate(lines, start=2)]
    except OSError as error:
        raise ReviewError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ReviewError(f"{path}: no table in UTF-8 ({error}); save the reads with the report's page") from error


def _row(line: Mapping[str, str | None], where: str) -> ReadRow:
    given = {name: (line[name] or "").strip() for name in COLUMNS}
    for name in ("image_id", "reader"):
        if not given[name]:
            raise ReviewError(f"{where}: {name} is empty")
    if given["regime"] not in (*REGIMES, ""):
        raise ReviewError(f"{where}: regime is {given['regime']!r}; say {', '.join(REGIMES)} or nothing")
    for name in (*ASPECTS, "blind"):
        if given[name] not in ANSWERS:
            raise ReviewError(f"{where}: {name} is {given[name]!r}; say yes, no or nothing")
    parsed: dict[str, Any] = {name: ANSWERS[given[name]] for name in ASPECTS}
    return ReadRow(
        image_id=given["image_id"],
        reader=given["reader"],
        regime=given["regime"] or None,
        **parsed,
        blind=given["blind"] == "yes",
        read_at=_time(given["read_at"], where),
    )


def _time(text: str, where: str) -> datetime:
    try:
        read_at = datetime.fromisoformat(text)
        return read_at.astimezone(UTC).replace(tzinfo=None) if read_at.tzinfo else read_at
    except (ValueError, OverflowError) as error:
        raise ReviewError(f"{where}: read_at is {text!r}; say it as 2026-01-31T12:00:00") from error
