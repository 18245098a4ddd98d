"""ReXGradient-160K: `metadata/<split>_metadata_view_position.json` beside the unpacked 16-bit PNG files in `deid_png/`.

Each file maps a study's id to its report sections, a list `ImagePath` and a list `ImageViewPosition` of that length.
A path starts with the patient: deid_png/<patient>/<accession>/studies/<study>/series/<series>/instances/<image>.png
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..places import Location, below
from ..records import ReportRow
from .base import Adapter, DatasetError, study_date
from .folder import image_id
from .listed import Listed, prose, reader

_SPLITS = {"train": "train", "valid": "validate", "test": "test"}
_VIEWS = {"POSTERO_ANTERIOR": "PA", "ANTERO_POSTERIOR": "AP"}
_SECTIONS = {"findings": "Findings", "impression": "Impression", "comparison": "Comparison", "indication": "Indication"}
_COMPONENTS = 8


def recognises(root: Location) -> bool:
    """Whether the folder holds the metadata of a split, beside the images or in `metadata/`."""
    return bool(_tables(root))


def _tables(root: Location) -> dict[str, Location]:
    names = {split: f"{split}_metadata_view_position.json" for split in _SPLITS}
    places = {split: (root / "metadata" / name, root / name) for split, name in names.items()}
    return {split: path for split, paths in places.items() for path in paths if path.is_file()}


def _listed(root: Location) -> Iterator[Listed]:
    for split, path in _tables(root).items():
        place = below(root, path)
        for study, record in _records(path).items():
            try:
                images = list(zip(record["ImagePath"], record["ImageViewPosition"], strict=True))
            except (KeyError, ValueError) as error:
                raise DatasetError("missing-column", f"{path}: study {study} has no views of its images") from error
            for name, view in images:
                yield _image(place, split, study, record, name, view)


def _records(path: Location) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError("bad-table", f"{path}: no JSON ({error}); download it again") from error


def _image(place: str, split: str, study: str, record: Mapping[str, Any], name: str, view: str | None) -> Listed:
    key = "/".join(image_id(name).split("/")[-_COMPONENTS:])
    patient = key.partition("/")[0]
    details = {
        "subject_id": patient,
        "study_id": study,
        "view_position": _VIEWS.get(view or "", view) or None,
        "official_split": _SPLITS[split],
        "study_date": study_date(str(record.get("StudyDate") or "")),
        "procedure": record.get("StudyDescription"),
    }
    texts = {section: prose(record.get(column)) for section, column in _SECTIONS.items()}
    return Listed(key, details, ReportRow(study, patient, place, **texts))


REXGRADIENT = Adapter("ReXGradient-160K", recognises, reader(_listed, _COMPONENTS))
