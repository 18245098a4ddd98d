"""From a file's bytes to a checked film; the only way pixels enter."""

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .depth import to_eight_bit
from .dicom import read_dicom
from .domain import is_equalised
from .errors import ImageError
from .film import Film, Grey
from .raster import JPEG_SIGNATURE, PNG_SIGNATURE, Raster, Values, read_jpeg, read_png

__all__ = ["MIN_SIDE", "READER_VERSION", "ImageError", "decode", "read_bytes"]

READER_VERSION = 1
"""Raised whenever the same bytes would give other pixels, notes or a different verdict on readability."""

MIN_SIDE = 64
"""Shortest side of a film, in pixels; thumbnails and icons are no radiographs."""

_DICOM_MAGIC_AT = 128
_SPARSE = 32
_OTHER_IMAGES = (b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF", b"\0\0\0\x0cjP", b"\0\0\0\x0cJXL", b"\xff\x4f\xff\x51")
_FOREIGN_BOX = b"ftyp"  # HEIC, AVIF and films of the other kind


def read_bytes(path: Path, *, max_bytes: int) -> bytes:
    """Read a file once.

    Raises:
        ImageError: `missing`, `empty`, `too-many-bytes`; no more than `max_bytes` are ever read.
        OSError: the storage failed; the file itself may be sound, so reading it again makes sense.
    """
    try:
        with path.open("rb") as stream:
            # One byte more than it says: a file may grow, and a device has no size and no end.
            data = stream.read(min(os.fstat(stream.fileno()).st_size, max_bytes) + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise ImageError("missing", f"cannot be opened: {error.strerror}") from error
    if len(data) > max_bytes:
        raise ImageError("too-many-bytes", f"the file is larger than the {max_bytes:,} bytes allowed")
    if not data:
        raise ImageError("empty", "the file has no bytes")
    return data


def decode(data: bytes, *, max_pixels: int) -> Film:
    """Decode PNG, JPEG or DICOM bytes strictly; the file's name plays no part.

    The size is checked against `max_pixels` and `MIN_SIDE` in the header, before any pixel is decoded. Files of at
    most 8 bits keep their values; deeper ones keep them in `Film.stored` and are mapped by `to_eight_bit`.

    Raises:
        ImageError: with one of its codes, whatever the bytes are.
    """
    if not data:
        raise ImageError("empty", "the file has no bytes")
    if data.startswith(JPEG_SIGNATURE):
        return _film(read_jpeg(data, max_pixels=max_pixels, min_side=MIN_SIDE), "jpeg")
    if data.startswith(PNG_SIGNATURE):
        return _film(read_png(data, max_pixels=max_pixels, min_side=MIN_SIDE), "png")
    if data[_DICOM_MAGIC_AT : _DICOM_MAGIC_AT + 4] == b"DICM":
        return _dicom_film(data, max_pixels)
    if data.startswith(_OTHER_IMAGES) or data[4:8] == _FOREIGN_BOX:
        raise ImageError("unsupported-format", "an image, but not PNG, JPEG or DICOM: convert it")
    if PNG_SIGNATURE.startswith(data) or JPEG_SIGNATURE.startswith(data):
        raise ImageError("truncated", f"only {len(data)} bytes of an image")
    raise ImageError("not-an-image", "the first bytes are no image's")


def _film(raster: Raster, file_format: str) -> Film:
    _check_varied(raster.values)
    pixels, stored = _both_depths(raster.values, raster.bits)
    domain = "equalised" if is_equalised(pixels) else "presentation"
    return Film(pixels, domain, stored, raster.bits, notes=raster.notes, file_format=file_format)


def _dicom_film(data: bytes, max_pixels: int) -> Film:
    read = read_dicom(data, max_pixels=max_pixels, min_side=MIN_SIDE)
    _check_varied(read.values)
    pixels, stored = _both_depths(read.values, read.bits)
    equalised = read.domain == "presentation" and is_equalised(pixels)
    return Film(
        pixels,
        "equalised" if equalised else read.domain,
        stored,
        read.bits,
        read.window,
        read.view,
        read.tags,
        read.notes,
        "dicom",
    )


def _check_varied(values: Values) -> None:
    sample = values[::_SPARSE, ::_SPARSE]
    if sample.min() != sample.max():
        return  # nearly every film; looking at all pixels costs 2 % of a decode
    low, high, _, _ = cv2.minMaxLoc(values)
    if low == high:
        raise ImageError("constant", f"every pixel has the value {low:g}: not a radiograph")


def _both_depths(values: Values, bits: int) -> tuple[Grey, NDArray[np.uint16] | None]:
    """8-bit values, and the values themselves where they are deeper."""
    if bits == 8:
        return np.ascontiguousarray(values, np.uint8), None
    stored = np.ascontiguousarray(values, np.uint16)
    return to_eight_bit(stored), stored
