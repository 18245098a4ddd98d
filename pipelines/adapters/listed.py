"""Data sets that are a table of images beside a folder of files: how the two are brought together."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..places import Location
from ..records import CatalogRow, LabelRow, ReportRow
from ..view import Advance
from .base import Dataset, DatasetError, DuplicateIdError, Scan
from .folder import by_id, image_files


@dataclass(frozen=True)
class Listed:
    """One image as its data set lists it.

    Attributes:
        key: last components of the file's path, without the suffix; releases differ in the folders above.
        details: fields of `CatalogRow`.
        report: of the image's study; may come with each of its images.
        labels: of the image's study.
    """

    key: str
    details: dict[str, Any]
    report: ReportRow | None = None
    labels: Iterable[LabelRow] = field(default_factory=tuple)


def reader(
    listed: Callable[[Location], Iterable[Listed]], components: int
) -> Callable[[Location, Location | None, Advance], Dataset]:
    """What an adapter reads such a data set with.

    Args:
        listed: the images that the tables of a root list.
        components: how many components of a path their keys have.

    Returns:
        An adapter's `read`. It raises a DatasetError with code `no-images` where the disk has none, `bad-reports` where
        texts are named elsewhere, or what `listed` raises; a DuplicateIdError where two files have the same key.
    """

    def read(root: Location, reports: Location | None, advance: Advance) -> Dataset:
        if reports is not None:
            raise DatasetError(
                "bad-reports", f"{reports}: this data set's reports are in its own files; leave --reports out"
            )
        return _join(root, listed(root), components, advance)

    return read


def _join(root: Location, listed: Iterable[Listed], components: int, advance: Advance) -> Dataset:
    """Rows of the images on disk, each with what the list says about it."""
    scan = Scan()
    files = by_id(image_files(root, scan, advance))
    if not files:
        raise DatasetError("no-images", f"{root}: its table is there, but no image; unpack the images below it")
    ids = _by_key(files, components)
    images: list[CatalogRow] = []
    reports: dict[str, ReportRow] = {}
    labels: set[LabelRow] = set()
    differing: set[str] = set()
    missing = 0
    for each in listed:
        image_id = ids.pop(each.key, None)
        if image_id is None:
            missing += 1
            continue
        images.append(CatalogRow(image_id, files[image_id], **each.details))
        labels.update(each.labels)
        if each.report and reports.setdefault(each.report.study_id, each.report) != each.report:
            differing.add(each.report.study_id)
    warnings = scan.report(root)
    if differing:
        example = min(differing)
        warnings.append(f"{root}: {len(differing)} studies have several reports, e.g. {example}; the first one is kept")
    if ids:
        warnings.append(f"{root}: {len(ids)} images are in no table; they are catalogued without details")
        images += (CatalogRow(image_id, files[image_id]) for image_id in ids.values())
    return Dataset(images, list(reports.values()), sorted(labels, key=_order), missing, warnings)


def prose(text: str | None) -> str | None:
    """Text with white space collapsed; None where there is none."""
    return " ".join((text or "").split()) or None


def _by_key(files: Iterable[str], components: int) -> dict[str, str]:
    ids: dict[str, str] = {}
    for image_id in files:
        key = "/".join(image_id.rsplit("/", components)[-components:])
        known = ids.setdefault(key, image_id)
        if known != image_id:
            raise DuplicateIdError(f"{known} and {image_id} are both {key} of the data set; remove one copy")
    return ids


def _order(label: LabelRow) -> tuple[str, str, str]:
    return label.study_id, label.labeler, label.finding
