"""`lrrg labeler validate`: rule14 against labels that others gave to the same reports."""

import hashlib
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...benchmark.agreement import Agreement, agreement
from ...benchmark.corpus import UNMENTIONED
from ...benchmark.findings import FINDINGS
from ...benchmark.labeler import label
from ...benchmark.mesh import UNCODED, mapped, mesh_labels
from ..adapters.iu_xray import IndianaReport, parse
from ..errors import SettingsError
from ..store import Store

LABELLED = """
SELECT label.labeler, label.study_id, report.findings, report.impression, report.last_paragraph,
       map(list(label.finding), list(label.value)) AS published
FROM finding_label AS label JOIN report USING (study_id)
WHERE label.labeler IN ('chexpert', 'negbio', 'radiologist')
GROUP BY ALL
ORDER BY 1, 2
"""
DEVELOPMENT, HELD_OUT = "development half", "held-out half"
Tables = dict[str, list[Agreement]]


def against_published(db: Path) -> Tables:
    """Compare with the labels of MIMIC-CXR's own tables, one table of agreements a labeler.

    The published labelers were made to read impressions, so theirs are compared on the impression, else the
    findings, else the last paragraph; the radiologists' on findings and impression.

    Raises:
        SettingsError: the database holds no published labels of catalogued reports.
        StoreError: the database cannot be read.
    """
    with Store.open(db, read_only=True) as store:
        found = store.query(LABELLED).records()
    by_labeler: dict[str, list[Mapping[str, Any]]] = {}
    for row in found:
        by_labeler.setdefault(row["labeler"], []).append(row)
    if not by_labeler:
        raise SettingsError(
            f"{db}: no published labels of catalogued reports; catalog a MIMIC-CXR-JPG folder with them"
        )
    everything = tuple(range(len(FINDINGS)))
    return {
        f"{labeler}, {len(studies)} reports": agreement(
            np.array([label(_text(row, labeler)) for row in studies]),
            np.array([_published(row["published"]) for row in studies], np.int8),
            everything,
        )
        for labeler, studies in by_labeler.items()
    }


def _text(row: Mapping[str, Any], labeler: str) -> str:
    if labeler == "radiologist":
        return "\n\n".join(filter(None, (row["findings"], row["impression"]))) or row["last_paragraph"] or ""
    return row["impression"] or row["findings"] or row["last_paragraph"] or ""


def _published(values: Mapping[str, int]) -> list[int]:
    return [values.get(name, UNMENTIONED) for name in FINDINGS]


def against_mesh(path: Path) -> Tables:
    """Compare with the human MeSH codes of the Indiana University reports, in the two halves of the collection.

    The rules were written with an eye on errors in the development half only; the held-out half is what to quote.

    Args:
        path: `NLMCXR_reports.tgz`, or a folder with its XML files somewhere below.

    Raises:
        SettingsError: there is no such file or folder, or it holds no coded report.
    """
    halves: dict[str, list[IndianaReport]] = {DEVELOPMENT: [], HELD_OUT: []}
    for report in iu_reports(path):
        if report.text and UNCODED not in report.codes:
            halves[half_of(report.study)].append(report)
    if not all(halves.values()):
        raise SettingsError(f"{path}: too few coded reports; name NLMCXR_reports.tgz or the folder it unpacks to")
    return {
        f"{half}, {len(reports)} reports": agreement(
            np.array([label(report.text) for report in reports]),
            np.array([mesh_labels(report.codes) for report in reports]),
            mapped(),
        )
        for half, reports in halves.items()
    }


def half_of(study: str) -> str:
    """The half a report belongs to, by the hash of its study's name: the same on every machine."""
    return HELD_OUT if hashlib.sha256(study.encode()).digest()[0] % 2 else DEVELOPMENT


def iu_reports(path: Path) -> Iterator[IndianaReport]:
    """Every report of the collection.

    Raises:
        SettingsError: the path is missing, no archive, or a report is no XML.
    """
    return (parse(content, file) for file, content in _files(path))


def _files(path: Path) -> Iterable[tuple[Path, bytes]]:
    if path.is_dir():
        return ((each, each.read_bytes()) for each in sorted(path.rglob("*.xml")))
    if not path.is_file():
        raise SettingsError(f"{path}: no such file or folder; name NLMCXR_reports.tgz or the folder it unpacks to")
    return _members(path)


def _members(path: Path) -> Iterator[tuple[Path, bytes]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name.endswith(".xml") else None
                if content:
                    yield path / member.name, content.read()
    except (tarfile.TarError, EOFError) as error:
        why = str(error).partition(":")[0]  # of what every way of packing says about it
        raise SettingsError(f"{path}: not a whole tar archive ({why}); get it again") from error
