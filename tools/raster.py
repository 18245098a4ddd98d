"""PNG and JPEG bytes to values, strictly: a damaged file is an error, never a slightly wrong picture."""

import io
import struct
import warnings
import zlib
from typing import Literal, NamedTuple

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from .codestream import BASELINE, EXTENDED, PROGRESSIVE, announced
from .errors import ImageError

Values = NDArray[np.uint8 | np.uint16]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"

_END_OF_IMAGE = b"\xff\xd9"
_TAIL = 1024  # bytes at the end in which a complete JPEG has its end-of-image marker
_PILLOW_FAULTS = (OSError, SyntaxError, ValueError, IndexError, TypeError, KeyError, EOFError, struct.error, zlib.error)
_ORIENTATION = 0x0112


class Raster(NamedTuple):
    """Decoded values, shape (H, W), uint8 or uint16, and what decoding them took."""

    values: Values
    bits: int
    notes: tuple[str, ...]


def read_jpeg(data: bytes, *, max_pixels: int, min_side: int) -> Raster:
    """Decode a JPEG to grey.

    libjpeg repairs damaged scans and only warns; here every warning is an error. The luma of a colour JPEG is taken
    as it is stored; CMYK is converted, inverted first where Adobe's marker says that it was stored inverted.

    Raises:
        ImageError: `truncated`, `corrupt`, `too-many-pixels`, `too-small`, `unsupported-format`.
    """
    frame = announced(data)
    if frame.process not in (BASELINE, EXTENDED, PROGRESSIVE) or frame.bits != 8:
        raise ImageError("unsupported-format", f"JPEG process {frame.process:#x} with {frame.bits} bits: convert it")
    image = _open(data, "JPEG", max_pixels, min_side)
    cmyk = image.mode == "CMYK"
    width, height = image.size
    try:
        # The buffer has the size that passed the cap: a second, larger frame header cannot grow it.
        channels = 4 if cmyk else 1
        buffer = np.empty((height, width, channels), np.uint8)
        decoded = simplejpeg.decode_jpeg(data, "CMYK" if cmyk else "GRAY", strict=True, buffer=buffer)
    except ValueError as error:
        raise _jpeg_fault(data, error) from error
    if decoded.shape != buffer.shape:
        raise ImageError("corrupt", f"the frame is {decoded.shape[1]}×{decoded.shape[0]} px, its header says otherwise")
    notes = _orientation_note(image)
    if cmyk:
        ink = 255 - decoded if "adobe" in image.info else decoded
        grey = Image.fromarray(ink, "CMYK").convert("RGB").convert("L")
        return Raster(np.asarray(grey), 8, (*notes, "cmyk-collapsed"))
    return Raster(decoded[..., 0], 8, (*notes, "rgb-collapsed") if image.mode == "RGB" else notes)


def read_png(data: bytes, *, max_pixels: int, min_side: int) -> Raster:
    """Decode a PNG to grey, 16 bit where the file has 16 bit.

    Every chunk's checksum is compared, which Pillow and OpenCV skip for the pixels. Alpha is dropped: what it would
    hide is part of the exposure. Colour becomes ITU-R BT.601 luma.

    Raises:
        ImageError: `truncated`, `corrupt`, `too-many-pixels`, `too-small`.
    """
    depth = _check_chunks(data)
    image = _open(data, "PNG", max_pixels, min_side)
    notes = _orientation_note(image)
    try:
        image.load()
        if depth == 16:
            values, more = _deep(image, data)
            return Raster(values, 16, notes + more)
        grey, more = _shallow(image)
    except _PILLOW_FAULTS as error:
        raise ImageError("corrupt", f"damaged PNG: {error}") from error
    return Raster(np.asarray(grey), 8, notes + more)


def check_size(width: int, height: int, *, max_pixels: int, min_side: int) -> None:
    """Refuse a picture by its announced size, before anything is decoded.

    Raises:
        ImageError: `too-many-pixels`, `too-small`.
    """
    if width * height > max_pixels:
        raise ImageError("too-many-pixels", f"{width}×{height} px is more than the {max_pixels:,} px allowed")
    if min(width, height) < min_side:
        raise ImageError("too-small", f"{width}×{height} px is smaller than a radiograph ({min_side} px a side)")


def _open(data: bytes, kind: Literal["JPEG", "PNG"], max_pixels: int, min_side: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own pixel cap only warns at this size; ours decides below
            image = Image.open(io.BytesIO(data), formats=(kind,))
    except Image.DecompressionBombError as error:
        raise ImageError("too-many-pixels", str(error)) from error
    except _PILLOW_FAULTS as error:
        raise _jpeg_fault(data, error) if kind == "JPEG" else ImageError("corrupt", f"damaged PNG: {error}") from error
    check_size(*image.size, max_pixels=max_pixels, min_side=min_side)
    return image


def _jpeg_fault(data: bytes, error: Exception) -> ImageError:
    complete = _END_OF_IMAGE in data[-_TAIL:]
    return ImageError("corrupt" if complete else "truncated", f"damaged JPEG: {error}")


def _check_chunks(data: bytes) -> int:
    """Walk a PNG's chunks, comparing each checksum; returns the bits of a sample."""
    offset, kind, depth = len(PNG_SIGNATURE), b"", 0
    while kind != b"IEND":
        if offset + 12 > len(data):
            raise ImageError("truncated", "the PNG ends before its IEND chunk")
        length, kind = struct.unpack_from(">I4s", data, offset)
        end = offset + 8 + length
        if end + 4 > len(data):
            raise ImageError("truncated", f"the PNG ends inside its {kind!r} chunk")
        if zlib.crc32(memoryview(data)[offset + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise ImageError("corrupt", f"the checksum of the PNG's {kind!r} chunk is wrong")
        if kind == b"IHDR" and length == 13:
            depth = data[offset + 16]
        offset = end + 4
    return depth


def _shallow(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """An image of at most 8 bits a sample as grey."""
    notes: tuple[str, ...] = ()
    if image.mode == "P":
        image, notes = image.convert("RGB"), ("palette-expanded",)
    if image.mode in ("LA", "RGBA"):
        notes += ("alpha-dropped",)
        image = image.convert("RGB") if image.mode == "RGBA" else image.getchannel("L")
    if image.mode == "RGB":
        notes += ("rgb-collapsed",)
    return image.convert("L"), notes


def _deep(image: Image.Image, data: bytes) -> tuple[Values, tuple[str, ...]]:
    """A 16-bit PNG; Pillow narrows all but plain grey to 8 bit, OpenCV does not."""
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.uint16), ()
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 3:
        raise ImageError("corrupt", "the PNG announces 16 bit and holds something else")
    notes = ("alpha-dropped",) if values.shape[2] == 4 else ()
    blue_green_red = np.ascontiguousarray(values[..., :3])
    return np.asarray(cv2.cvtColor(blue_green_red, cv2.COLOR_BGR2GRAY), np.uint16), (*notes, "rgb-collapsed")


def _orientation_note(image: Image.Image) -> tuple[str, ...]:
    """Radiographs are stored upright: a camera's orientation tag is noted and not obeyed."""
    if "exif" not in image.info:
        return ()
    try:
        turned = image.getexif().get(_ORIENTATION, 1) != 1
    except _PILLOW_FAULTS:
        return ("exif-unreadable",)
    return ("exif-orientation-ignored",) if turned else ()
