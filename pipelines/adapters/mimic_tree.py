"""The folders of a MIMIC-CXR tree: which images and reports exist, and whose they are."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from ..places import Location, ObjectPath
from ..view import Advance
from .base import DuplicateIdError, Scan

_GROUP = re.compile(r"p\d{2}")
_PATIENT = re.compile(r"p(\d{8})")
_STUDY = re.compile(r"s(\d{8})")
_REPORT = re.compile(r"s(\d{8})\.txt")
_IMAGE = re.compile(r"(.+)\.(?:jpe?g|dcm)", re.IGNORECASE)


class Place(NamedTuple):
    """Where an image lies (relative to the root), and whose it is."""

    path: str
    subject_id: str
    study_id: str


@dataclass
class Tree(Scan):
    """What exists below `files/`.

    Attributes:
        images: by dicom_id, in the order of patient, study and name.
        reports: path relative to the root by study, for texts that lie in the tree.
    """

    images: dict[str, Place] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)


def has_groups(folder: Location) -> bool:
    """Whether `folder` holds groups of patients: p10/p10000032."""
    groups = (each for each in folder.glob("p[0-9][0-9]") if each.is_dir())
    return any(_PATIENT.fullmatch(each.name) for group in groups for each in group.iterdir())


def scan(root: Location, advance: Advance) -> Tree:
    """Walk the levels of the tree; no file is opened, and none that does not exist is asked for.

    Raises:
        DuplicateIdError: two files bear one dicom_id.
    """
    tree = Tree()
    for group in tree.entries(root / "files"):
        if _GROUP.fullmatch(group.name) and group.is_dir():
            for patient in tree.entries(group.path):
                if (subject := _PATIENT.fullmatch(patient.name)) and patient.is_dir():
                    before = len(tree.images)
                    _scan_patient(tree, f"files/{group.name}/{patient.name}", patient.path, subject[1])
                    advance(len(tree.images) - before)
    return tree


def _scan_patient(tree: Tree, relative: str, folder: str | ObjectPath, subject_id: str) -> None:
    for entry in tree.entries(folder):
        if report := _REPORT.fullmatch(entry.name):
            tree.reports[report[1]] = f"{relative}/{entry.name}"
        elif (study := _STUDY.fullmatch(entry.name)) and entry.is_dir():
            for file in tree.entries(entry.path):
                if image := _IMAGE.fullmatch(file.name):
                    _add(tree, image[1], Place(f"{relative}/{entry.name}/{file.name}", subject_id, study[1]))


def _add(tree: Tree, dicom_id: str, place: Place) -> None:
    known = tree.images.setdefault(dicom_id, place)
    if known is not place:
        raise DuplicateIdError(f"{known.path} and {place.path} both bear dicom_id {dicom_id}; remove one")
