"""Indiana University chest X-rays (Open-i): as published (XML reports, PNG) or as Kaggle packs them (two tables, PNG).

    ROOT/ecgen-radiology/1.xml …            Open-i reports; images anywhere below ROOT by name: CXR1_1_IM-0001-3001.png
    ROOT/indiana_reports.csv, indiana_projections.csv       Kaggle; images by name: 1_IM-0001-4001.dcm.png

A study is a patient: the collection has one each. There is no official split.
"""

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

from ..places import Location, read_each
from ..records import LabelRow, ReportRow
from .base import Adapter, DatasetError, table
from .folder import image_id
from .listed import Listed, prose, reader

XML_FOLDER = "ecgen-radiology"
REPORTS = "indiana_reports.csv"
PROJECTIONS = "indiana_projections.csv"
_SECTIONS = ("comparison", "indication", "findings", "impression")


class IndianaReport(NamedTuple):
    """One report of the collection, and what people coded it as."""

    study: str
    """As the names of its images begin: `CXR1`."""
    sections: dict[str, str]
    """Text by label in lower case (`findings`), line breaks as they came."""
    codes: list[str]
    """MeSH headings with their qualifiers: `Opacity/lung/base/left`."""
    images: list[str]
    """Names without a suffix."""

    @property
    def text(self) -> str:
        """Findings and impression; empty where it has neither."""
        return "\n\n".join(filter(None, (self.sections.get("findings"), self.sections.get("impression"))))


def parse(content: bytes, path: Location) -> IndianaReport:
    """Read the XML of one report.

    Args:
        content: of the file.
        path: of the file, whose name numbers the report.

    Raises:
        DatasetError: `bad-table` for what is no XML.
    """
    try:
        document = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise DatasetError("bad-table", f"{path}: no XML ({error}); unpack the reports again") from error
    return IndianaReport(
        study=f"CXR{path.stem}",
        sections={each.get("Label", "").lower(): (each.text or "").strip() for each in document.iter("AbstractText")},
        codes=[(each.text or "").strip() for each in document.iterfind("MeSH/major")],
        images=[each.get("id", "") for each in document.iter("parentImage")],
    )


def recognises(root: Location) -> bool:
    """Whether the folder holds the reports in one of the two forms."""
    return (root / XML_FOLDER).is_dir() or (root / REPORTS).is_file()


def _listed(root: Location) -> Iterator[Listed]:
    return _xml(root) if (root / XML_FOLDER).is_dir() else _kaggle(root)


def _xml(root: Location) -> Iterator[Listed]:
    folder = root / XML_FOLDER
    names = sorted(path.name for path in folder.glob("*.xml"))
    for name, content in zip(names, read_each(folder, names), strict=True):
        found = parse(content, folder / name)
        study, texts = found.study, {each: prose(found.sections.get(each)) for each in _SECTIONS}
        report, labels = ReportRow(study, study, f"{XML_FOLDER}/{name}", **texts), _labels(study, found.codes)
        for image in found.images:
            yield Listed(image, {"subject_id": study, "study_id": study}, report, labels)


def _kaggle(root: Location) -> Iterator[Listed]:
    reports: dict[str, ReportRow] = {}
    labels: dict[str, list[LabelRow]] = {}
    for row in table(root / REPORTS, "uid", "MeSH", *_SECTIONS):
        study = f"CXR{row['uid']}"
        reports[study] = ReportRow(study, study, REPORTS, **{name: prose(row[name]) for name in _SECTIONS})
        labels[study] = _labels(study, row["MeSH"].split(";"))
    for row in table(root / PROJECTIONS, "uid", "filename", "projection"):
        study = f"CXR{row['uid']}"
        details = {"subject_id": study, "study_id": study, "view_position": row["projection"].upper() or None}
        yield Listed(image_id(row["filename"]), details, reports.get(study), labels.get(study, ()))


def _labels(study: str, headings: list[str]) -> list[LabelRow]:
    """One label a MeSH heading, its qualifiers (`Opacity/lung/base/left`) left out."""
    findings = {heading.partition("/")[0].strip() for heading in headings}
    return [LabelRow(study, "mesh", finding, 1) for finding in sorted(findings) if finding]


IU_XRAY = Adapter("IU X-ray", recognises, reader(_listed, 1))
