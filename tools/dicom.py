"""DICOM bytes to air-dark values, their window and their exposure tags."""

import io
import math
import struct
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .codestream import LOSSLESS, announced
from .errors import ImageError
from .film import Domain
from .raster import Values, check_size, read_jpeg

if TYPE_CHECKING:
    from pydicom import Dataset

EXPOSURE_TAGS = (
    "ExposureIndex",
    "TargetExposureIndex",
    "DeviationIndex",
    "RelativeXRayExposure",
    "Sensitivity",
    "KVP",
    "Exposure",
    "ExposureInuAs",
    "XRayTubeCurrent",
    "ExposureTime",
)

_JPEG = {
    "1.2.840.10008.1.2.4.50",  # baseline
    "1.2.840.10008.1.2.4.51",  # extended, 8 or 12 bit
    "1.2.840.10008.1.2.4.57",  # lossless
    "1.2.840.10008.1.2.4.70",  # lossless, first-order prediction
}
_PLAIN = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}
_RLE = "1.2.840.10008.1.2.5"
# One decoder for each encoding: falling back to a second one could hide what the first found wrong.
_DECODERS = {
    _RLE: "pydicom",
    "1.2.840.10008.1.2.4.80": "pyjpegls",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": "pyjpegls",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": "pylibjpeg",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": "pylibjpeg",  # JPEG 2000
}
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # the tag (7FE0,0010), little and big endian
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_GREY = ("MONOCHROME1", "MONOCHROME2")
_FAULTS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    OSError,
    RuntimeError,
    OverflowError,
)


class Dicom(NamedTuple):
    """What a DICOM file says about one radiograph; `values` as `film.Film.stored`, `window` in the same units."""

    values: Values
    bits: int
    domain: Domain
    window: tuple[float, float] | None
    view: str | None
    tags: Mapping[str, float]
    notes: tuple[str, ...]


def read_dicom(data: bytes, *, max_pixels: int, min_side: int) -> Dicom:
    """Decode a single-frame grey or colour DICOM to air-dark values at their stored depth.

    Rescale slope and intercept are linear and only change units, so values stay as stored and the window is
    brought to their units; a Modality LUT is applied. MONOCHROME1 (and a negative slope) is inverted, signed values
    are shifted up to zero, padding becomes the darkest value, bits above Bits Stored are cleared. No window is applied.

    Raises:
        ImageError: `truncated`, `corrupt`, `too-many-pixels`, `too-small`, `no-pixel-data`, `multi-frame`,
            `unsupported-pixels`, `unsupported-transfer-syntax`.
        ImportError: the file needs a decoder that is not installed; the message says which.
    """
    from pydicom.errors import BytesLengthException, InvalidDicomError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters about odd headers ends as an error or a note
        try:
            dataset = _parse(data)
            _check_complete(dataset, data)
            _check(dataset, max_pixels, min_side)
            raw = _pixels(dataset, max_pixels, min_side)
            return _interpret(dataset, raw)
        except ImageError:
            raise
        except (EOFError, struct.error) as error:
            raise ImageError("truncated", f"the DICOM file ends too early: {error}") from error
        except (*_FAULTS, BytesLengthException, InvalidDicomError) as error:
            raise ImageError("corrupt", f"damaged DICOM: {error}") from error


def _parse(data: bytes) -> "Dataset":
    from pydicom import dcmread
    from pydicom.filereader import read_dataset

    header = io.BytesIO(data)
    header.seek(132)
    # Read apart and first: a deflated data set would be inflated, however large, by reading the file.
    meta = read_dataset(header, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    syntax = str(meta.get("TransferSyntaxUID", ""))
    if not syntax:
        raise ImageError("corrupt", "the DICOM file names no transfer syntax")
    if syntax not in _PLAIN and syntax not in _DECODERS and syntax not in _JPEG:
        raise ImageError("unsupported-transfer-syntax", f"no decoder for DICOM transfer syntax {syntax}")
    return dcmread(io.BytesIO(data))


def _check_complete(dataset: "Dataset", data: bytes) -> None:
    """Tell a file that never had pixels from one that lost them; pydicom ends in silence where the data ends."""
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise ImageError("unsupported-pixels", "DICOM with float pixels")
    if dataset.get("PixelData"):
        return
    from pydicom.uid import UID

    begun = any(tag in data for tag in _PIXEL_DATA)
    headless = (
        "Image Storage" in dataset.file_meta.get("MediaStorageSOPClassUID", UID("")).name
        and "PixelRepresentation" not in dataset
    )
    if begun or headless:
        raise ImageError("truncated", "the DICOM file ends before its pixels do")
    raise ImageError("no-pixel-data", "DICOM without pixels")


def _check(dataset: "Dataset", max_pixels: int, min_side: int) -> None:
    """Refuse by the header what cannot be measured."""
    check_size(int(dataset.Columns), int(dataset.Rows), max_pixels=max_pixels, min_side=min_side)
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    if frames > 1:
        raise ImageError("multi-frame", f"DICOM with {frames} frames; a radiograph has one")
    meaning, allocated = dataset.PhotometricInterpretation, int(dataset.BitsAllocated)
    if meaning not in (*_GREY, *_COLOUR) or allocated not in (8, 16) or not 8 <= int(dataset.BitsStored) <= allocated:
        raise ImageError("unsupported-pixels", f"DICOM with {dataset.BitsStored} of {allocated} bits, {meaning}")


def _pixels(dataset: "Dataset", max_pixels: int, min_side: int) -> NDArray[Any]:
    """The stored values, colour collapsed: shape (Rows, Columns)."""
    from pydicom.encaps import get_frame
    from pydicom.pixels.utils import get_expected_length, pixel_array

    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax in _PLAIN:
        expected, found = get_expected_length(dataset), len(dataset.PixelData)
        if found < expected:
            raise ImageError("truncated", f"the DICOM file holds {found:,} of {expected:,} bytes of pixels")
        return _grey(pixel_array(dataset))
    data = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax == _RLE:
        if len(data) > 2 * get_expected_length(dataset):  # runs never double a picture; a bomb is 64 times its file
            raise ImageError("corrupt", "DICOM whose run-length encoding is longer than its pixels")
    else:
        frame = announced(data)
        if (frame.height, frame.width) != (dataset.Rows, dataset.Columns):
            raise ImageError("corrupt", "DICOM whose header and compressed picture announce different sizes")
        if syntax in _JPEG and frame.process != LOSSLESS and frame.bits == 8:
            return read_jpeg(data, max_pixels=max_pixels, min_side=min_side).values
        if syntax in _JPEG:
            return _grey(_deep_jpeg(data, dataset))
    return _grey(pixel_array(dataset, decoding_plugin=_DECODERS[syntax]))


def _deep_jpeg(data: bytes, dataset: "Dataset") -> NDArray[Any]:
    """Lossless and 12-bit JPEG, for which pydicom knows no decoder under a permissive licence."""
    try:
        from imagecodecs import jpeg8_decode
    except ModuleNotFoundError as error:
        raise ImportError("lossless and 12-bit JPEG in DICOM need imagecodecs: pip install 'lrrg[dicom]'") from error

    values = jpeg8_decode(data)
    if values.dtype.itemsize * 8 != dataset.BitsAllocated or (values.ndim == 3) != (dataset.SamplesPerPixel == 3):
        raise ImageError("corrupt", "DICOM whose header and compressed picture announce different samples")
    return values


def _grey(values: NDArray[Any]) -> NDArray[Any]:
    """Collapse colour, which is never negative, whatever the header says."""
    if values.ndim == 2:
        return values
    if values.shape[2:] != (3,):
        raise ImageError("multi-frame", f"DICOM that announces one frame and holds {len(values)}")
    unsigned = np.ascontiguousarray(values).view(values.dtype.str.replace("i", "u"))
    return np.asarray(cv2.cvtColor(unsigned, cv2.COLOR_RGB2GRAY))


def _interpret(dataset: "Dataset", raw: NDArray[Any]) -> Dicom:
    meaning, bits = dataset.PhotometricInterpretation, int(dataset.BitsStored)
    notes = ("rgb-collapsed",) if meaning in _COLOUR else ()
    signed = bool(dataset.get("PixelRepresentation", 0)) and not notes
    values = _unsigned(raw, bits, signed)
    padding = _padding(dataset, values, bits, signed)
    slope, intercept = float(dataset.get("RescaleSlope", 1) or 1), float(dataset.get("RescaleIntercept", 0) or 0)
    intercept -= slope * (1 << (bits - 1)) if signed else 0.0
    if "ModalityLUTSequence" in dataset:
        values, bits = _looked_up(dataset, raw)
        slope, intercept, notes = 1.0, 0.0, (*notes, "modality-lut-applied")
    window = _window(dataset, slope, intercept)
    if (meaning == "MONOCHROME1") != (slope < 0):
        top = (1 << bits) - 1
        values = top - values
        window = window and (top - window[0], window[1])
        notes = (*notes, "monochrome1-inverted" if slope > 0 else "negative-slope-inverted")
    if padding is not None and padding.any() and not padding.all():
        values[padding] = values[~padding].min()
        notes = (*notes, "padding-darkened")
    tags, unreadable = _tags(dataset)
    view = str(dataset.get("ViewPosition") or "").strip().upper() or None
    return Dicom(values, bits, _domain(dataset, window), window, view, tags, notes + unreadable)


def _unsigned(raw: NDArray[Any], bits: int, signed: bool) -> Values:
    """Clear the bits above Bits Stored (overlays may live there) and shift signed values up to zero."""
    kind = np.uint8 if raw.dtype.itemsize == 1 else np.uint16
    flip = 1 << (bits - 1) if signed else 0  # in two's complement, toggling the sign bit adds half the range
    return (raw.astype(raw.dtype.newbyteorder("="), copy=False).view(kind) & kind((1 << bits) - 1)) ^ kind(flip)


def _padding(dataset: "Dataset", values: Values, bits: int, signed: bool) -> NDArray[np.bool_] | None:
    """Where the scanner or the archive filled in what was never exposed; None where the file names no such value."""
    if "PixelPaddingValue" not in dataset:
        return None
    first = dataset.PixelPaddingValue
    ends = np.array([int(first), int(dataset.get("PixelPaddingRangeLimit", first))], np.int64).astype(np.uint16)
    low, high = np.sort(_unsigned(ends, bits, signed))
    return (values >= low) & (values <= high)


def _looked_up(dataset: "Dataset", raw: NDArray[Any]) -> tuple[Values, int]:
    """Apply the Modality LUT; pydicom's own knows only tables of 8 and 16 bits."""
    item = dataset.ModalityLUTSequence[0]
    entries, first, bits = (int(number) for number in item.LUTDescriptor)
    if not 8 <= bits <= 16:
        raise ImageError("unsupported-pixels", f"DICOM with a {bits}-bit Modality LUT")
    table = np.frombuffer(item.LUTData, np.uint16) if isinstance(item.LUTData, bytes) else np.array(item.LUTData)
    table = table[: entries or 65536].astype(np.uint8 if bits == 8 else np.uint16)  # 0 stands for 65536 entries
    return table[np.clip(raw.astype(np.int32) - first, 0, len(table) - 1)], bits


def _window(dataset: "Dataset", slope: float, intercept: float) -> tuple[float, float] | None:
    """The first VOI window, from modality units back to the units of the values."""
    center, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    if center is None or width is None or width <= 0:
        return None
    return (center - intercept) / slope, width / abs(slope)


def _first(value: Any) -> float | None:
    from pydicom.multival import MultiValue

    if isinstance(value, MultiValue):
        value = value[0] if value else None
    return None if value is None or value == "" else float(value)


def _domain(dataset: "Dataset", window: tuple[float, float] | None) -> Domain:
    """What the header says of the grey values.

    Presentation Intent Type decides where it is given (DX, MG). Computed radiography has none: there a window, a
    VOI LUT or a Presentation LUT shape says that the values were made to be looked at, and so do 8 bits; otherwise
    deep values, and those whose Pixel Intensity Relationship is linear, are the detector's.
    """
    intent = dataset.get("PresentationIntentType")
    if intent in ("FOR PROCESSING", "FOR PRESENTATION"):
        return "linear" if intent == "FOR PROCESSING" else "presentation"
    if dataset.get("PixelIntensityRelationship") == "LIN":
        return "linear"
    viewed = window is not None or "VOILUTSequence" in dataset or "PresentationLUTShape" in dataset
    return "presentation" if viewed or int(dataset.BitsStored) <= 8 else "linear"


def _tags(dataset: "Dataset") -> tuple[dict[str, float], tuple[str, ...]]:
    """The exposure tags that hold one finite number, and a note for each that holds something else."""
    found: dict[str, float] = {}
    notes: list[str] = []
    for keyword in EXPOSURE_TAGS:
        try:
            number = _first(dataset.get(keyword))
        except (ValueError, TypeError):
            number = math.nan
        if number is None or (number == 0 and keyword != "DeviationIndex"):
            continue  # zero is how devices leave a tag blank; only a deviation can be zero
        if math.isfinite(number):
            found[keyword] = number
        else:
            notes.append(f"unreadable-tag:{keyword}")
    return found, tuple(notes)
