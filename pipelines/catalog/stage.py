"""The catalog: every image of a folder becomes one row of the database, with what its data set knows about it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..adapters import ADAPTERS, Adapter, Dataset, DatasetError
from ..adapters.sections import reading
from ..places import Location
from ..records import ReportRow
from ..store import Store, discard
from ..view import Advance

_IN_TWO_FOLDERS = """
SELECT count(*), min(study_id) FROM (
    SELECT study_id FROM image WHERE study_id IS NOT NULL GROUP BY study_id HAVING count(DISTINCT root_id) > 1
)
"""


@dataclass(frozen=True)
class Summary:
    """What cataloguing a folder found and added.

    Attributes:
        dataset: name of the adapter that read the folder.
        images: images on disk.
        new: images the database did not have.
        missing: images the data set lists and the disk lacks.
        by_split: images by official split; empty where there is none.
        by_view: images by view position, most frequent first; `unknown` where none is given.
        by_reading: reports by the section that holds their reading; `none` where no section does.
        labels: published finding labels.
    """

    dataset: str
    images: int
    new: int
    studies: int
    patients: int
    missing: int
    reports: int
    labels: int
    by_split: Mapping[str, int]
    by_view: Mapping[str, int]
    by_reading: Mapping[str, int]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Everything by name."""
        return asdict(self)

    def rows(self) -> list[tuple[str, int]]:
        """What and how many, for a person; what the data set does not have is left out."""
        names = ("images", "new", "missing", "studies", "patients", "reports", "labels")
        counts = [(name, getattr(self, name)) for name in names if name in ("images", "new") or getattr(self, name)]
        parts = {"split": self.by_split, "view": self.by_view, "reading in": self.by_reading}
        return counts + [(f"{what} {name}", count) for what, tally in parts.items() for name, count in tally.items()]


@contextmanager
def database(path: Path) -> Iterator[Store]:
    """The database to catalogue into, open for writing; one made here that ends without a folder is removed.

    Whoever mistypes a folder finds no empty database later that looks like a catalog.

    Raises:
        StoreError: see `Store.open`.
    """
    made, empty = not path.exists(), False
    try:
        with Store.open(path) as store:
            try:
                yield store
            finally:
                empty = not store.query("FROM root LIMIT 1").rows
    finally:
        if made and empty:
            discard(path)


def catalog(root: Location, store: Store, reports: Location | None, advance: Advance) -> Summary:
    """Register every image below `root`; running again adds what is new and fills in what was missing.

    Args:
        root: a MIMIC-CXR-JPG or MIMIC-CXR tree, another known data set, or any folder of PNG, JPEG and
            DICOM files; a prefix in an object store too.
        store: database opened for writing.
        reports: folder or zip of report texts, where they are not in the root.
        advance: told of each image found, and of reports as they are read.

    Raises:
        DatasetError: the folder or one of its tables is unusable; its `code` says why.
        DuplicateIdError: two files would share one image id; the message names both.
    """
    if not root.is_dir():
        said = "a file; name the folder it lies in" if root.is_file() else "no such folder"
        raise DatasetError("no-root", f"{root}: {said}")
    adapter = adapter_of(root)
    found = adapter.read(root, reports, advance)
    new = store.add_images(root, found.images)
    by_reading: Counter[str] = Counter()
    report_count = store.add_reports(_counted(found.reports, by_reading, advance))
    label_count = store.add_labels(found.labels)
    found.warnings.extend(_mixed(store))
    return _summary(adapter, found, new, report_count, label_count, by_reading)


def adapter_of(root: Location) -> Adapter:
    """The adapter that recognises the folder; any folder has one."""
    return next(adapter for adapter in ADAPTERS if adapter.recognises(root))


def _mixed(store: Store) -> list[str]:
    """Studies that two data sets may mean different examinations by: they share one report from now on."""
    ((number, example),) = store.query(_IN_TWO_FOLDERS).rows
    if not number:
        return []
    return [
        f"{store.path}: films of {number} studies lie in two catalogued folders, e.g. {example}: each has one report; "
        "where these are different examinations give each folder a database of its own"
    ]


def _counted(rows: Iterable[ReportRow], by_reading: Counter[str], advance: Advance) -> Iterator[ReportRow]:
    for done, row in enumerate(rows, 1):
        by_reading[reading(vars(row)) or "none"] += 1
        if done % 1000 == 0:
            advance(0, reports=done)
        yield row


def _summary(
    adapter: Adapter, found: Dataset, new: int, reports: int, labels: int, by_reading: Mapping[str, int]
) -> Summary:
    images = found.images
    return Summary(
        dataset=adapter.name,
        images=len(images),
        new=new,
        studies=len({row.study_id for row in images if row.study_id}),
        patients=len({row.subject_id for row in images if row.subject_id}),
        missing=found.missing,
        reports=reports,
        labels=labels,
        by_split=_tally(row.official_split for row in images if row.official_split),
        by_view=_tally(row.view_position or "unknown" for row in images),
        by_reading=dict(by_reading),
        warnings=tuple(found.warnings),
    )


def _tally(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())
