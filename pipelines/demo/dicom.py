"""Synthetic films as DICOM: digital radiographs for presentation, 12 bits in 16, with exposure tags."""

import hashlib
from collections.abc import Sequence
from io import BytesIO
from math import log10
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from ...benchmark.phantom_canvas import HEIGHT_CM
from .plan import DemoFilm, DemoStudy
from .tables import study_date, study_time

_TARGET_INDEX = 400.0
_WHITE = 4095


def write_twin(root: Path, study: DemoStudy, stored: Sequence[NDArray[np.uint16]], *, inverted: bool) -> None:
    """Write a study's films and report as MIMIC-CXR keeps them.

    Args:
        root: of the MIMIC-CXR tree.
        study: what the films are.
        stored: 12-bit values of each film, air dark.
        inverted: write them as MONOCHROME1, as some detectors do.
    """
    folder = root / study.folder
    folder.mkdir(parents=True, exist_ok=True)
    folder.with_suffix(".txt").write_text(study.report.text(study.procedure), encoding="utf-8")
    for film, values in zip(study.films, stored, strict=True):
        (folder / f"{film.dicom_id}.dcm").write_bytes(_encode(_dataset(study, film, values, inverted)))


def _dataset(study: DemoStudy, film: DemoFilm, values: NDArray[np.uint16], inverted: bool) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = _uid(film.dicom_id)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    _describe(dataset, study, film)
    _expose(dataset, study)
    _fill(dataset, values, inverted)
    return dataset


def _describe(dataset: Dataset, study: DemoStudy, film: DemoFilm) -> None:
    dataset.PatientName = "SYNTHETIC^PHANTOM"
    dataset.PatientID = str(study.subject_id)
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.PatientIdentityRemoved = "YES"
    dataset.ImageComments = "Synthetic phantom drawn by lrrg; no person was imaged"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (
        _uid(f"study {study.study_id}"),
        _uid(f"series {film.dicom_id}"),
    )
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = str(study.study_id), "", ""
    dataset.StudyDate, dataset.StudyTime = study_date(study), study_time(study)
    dataset.SeriesNumber, dataset.InstanceNumber = 1, study.films.index(film) + 1
    dataset.Modality, dataset.Manufacturer = "DX", "lrrg phantom"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", film.view
    dataset.ImageLaterality, dataset.PatientOrientation = "U", ["L", "F"]
    dataset.PerformedProcedureStepDescription = study.procedure
    dataset.BurnedInAnnotation, dataset.LossyImageCompression = "NO", "00"


def _expose(dataset: Dataset, study: DemoStudy) -> None:
    """Tube and detector values of a routine film; the index scatters about its target as in practice."""
    index = _TARGET_INDEX * 2 ** ((study.study_id % 13 - 6) / 12)
    dataset.KVP = "90" if study.portable else "125"
    dataset.ExposureTime, dataset.XRayTubeCurrent = ("10", "250") if study.portable else ("6", "320")
    dataset.Exposure = "3" if study.portable else "2"
    dataset.DetectorType = "SCINTILLATOR"
    dataset.Grid = "NONE" if study.portable else "FOCUSED"
    dataset.ExposureIndex, dataset.TargetExposureIndex = f"{index:.1f}", f"{_TARGET_INDEX:.1f}"
    dataset.DeviationIndex = f"{10 * log10(index / _TARGET_INDEX):.1f}"
    dataset.RelativeXRayExposure = round(index)


def _fill(dataset: Dataset, values: NDArray[np.uint16], inverted: bool) -> None:
    dataset.Rows, dataset.Columns = values.shape
    pitch = 10 * HEIGHT_CM / values.shape[0]
    dataset.ImagerPixelSpacing = [f"{pitch:.4f}"] * 2
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", 1 if inverted else -1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    low, high = (float(value) for value in np.percentile(values, [1, 99.5]))
    centre = (low + high) / 2
    dataset.WindowCenter = f"{_WHITE - centre if inverted else centre:.1f}"
    dataset.WindowWidth = f"{high - low:.1f}"
    dataset.PixelData = (_WHITE - values if inverted else values).astype("<u2").tobytes()


def _encode(dataset: FileDataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _uid(name: str) -> UID:
    """A UID that depends on the name alone, in the root DICOM reserves for UUIDs."""
    return UID(f"2.25.{int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], 'big')}")
