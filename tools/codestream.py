"""What a compressed picture announces in its header, read without a decoder: bombs and odd processes stop here."""

import struct
from typing import NamedTuple

from .errors import ImageError

BASELINE = 0xC0
EXTENDED = 0xC1
PROGRESSIVE = 0xC2
LOSSLESS = 0xC3

_JPEG = b"\xff\xd8"
_JPEG_2000 = b"\xff\x4f\xff\x51"
_BOXED = b"\0\0\0\x0cjP"  # JPEG 2000 inside its file format, which DICOM forbids and writers still do
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # all SOFn and JPEG-LS; not DHT, JPG, DAC
_FILL = 0xFF


class Frame(NamedTuple):
    """A frame header."""

    width: int
    height: int
    bits: int
    process: int
    """Second byte of the frame's marker: `BASELINE`, `EXTENDED`, `PROGRESSIVE`, `LOSSLESS`, …; 0x51 for JPEG 2000."""


def announced(data: bytes) -> Frame:
    """Header of a JPEG, lossless JPEG, JPEG-LS or JPEG 2000 codestream.

    Raises:
        ImageError: `corrupt` where there is no such header, `truncated` where the data ends inside it.
    """
    try:
        start = data.find(_JPEG_2000) if data.startswith((_JPEG_2000, _BOXED)) else -1
        if start >= 0:
            right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
            (depth,) = struct.unpack_from(">B", data, start + 42)
            return Frame(right - left, bottom - top, (depth & 0x7F) + 1, 0x51)
        if data.startswith(_JPEG):
            return _jpeg(data)
    except struct.error as error:
        raise ImageError("truncated", "the compressed picture ends inside its header") from error
    raise ImageError("corrupt", "the compressed picture does not start with a header")


def _jpeg(data: bytes) -> Frame:
    offset = len(_JPEG)
    while True:
        prefix, marker, length = struct.unpack_from(">BBH", data, offset)
        if marker == _FILL:
            offset += 1
            continue
        if prefix != 0xFF or length < 2:
            raise ImageError("corrupt", "the JPEG has no frame header")
        if marker in _FRAME_HEADERS:
            bits, height, width = struct.unpack_from(">BHH", data, offset + 4)
            return Frame(width, height, bits, marker)
        offset += 2 + length
