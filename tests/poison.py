"""Files that are no measurable radiographs, each with the code it must end as."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless, generate_uid

DX_FOR_PRESENTATION = "1.2.840.10008.5.1.4.1.1.1.1"
BASIC_TEXT_REPORT = "1.2.840.10008.5.1.4.1.1.88.11"
DEFLATED = "1.2.840.10008.1.2.1.99"
MPEG4 = "1.2.840.10008.1.2.4.102"


def picture(height: int = 240, width: int = 200, seed: int = 0) -> NDArray[np.uint8]:
    """A smooth, slightly noisy film: uint8, (height, width)."""
    rng = np.random.default_rng(seed)
    blobs = cv2.resize(rng.uniform(30, 200, (8, 7)), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(blobs + rng.normal(0, 4, blobs.shape), 0, 255).astype(np.uint8)


def encoded(values: NDArray[Any] | Image.Image, kind: str, mode: str | None = None, **options: Any) -> bytes:
    """The values as a file of Pillow's format `kind`."""
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    stream = io.BytesIO()
    (image.convert(mode) if mode else image).save(stream, kind, **options)
    return stream.getvalue()


def dataset(values: NDArray[Any], **attributes: Any) -> Dataset:
    """An uncompressed DX data set; attributes set to None are deleted."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = DX_FOR_PRESENTATION
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid(entropy_srcs=["poison"])
    made.Modality, made.PresentationIntentType = "DX", "FOR PRESENTATION"
    made.Rows, made.Columns = values.shape[:2]
    made.SamplesPerPixel = 3 if values.ndim == 3 else 1
    made.PhotometricInterpretation = "RGB" if values.ndim == 3 else "MONOCHROME2"
    if values.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = values.dtype.itemsize * 8
    made.BitsStored, made.HighBit = made.BitsAllocated, made.BitsAllocated - 1
    made.PixelRepresentation = int(values.dtype.kind == "i")
    made.PixelData = values.tobytes()
    made["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        if value is None:
            delattr(made, keyword)
        else:
            setattr(made, keyword, value)
    return made


def dicom(made: Dataset) -> bytes:
    """A data set as the bytes of a file."""
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def png(header: bytes, scanlines: bytes) -> bytes:
    """A PNG with correct checksums around any header and any pixel stream."""
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(scanlines, 9)), (b"IEND", b""))
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def overwritten(data: bytes, at: float, new: bytes) -> bytes:
    """The bytes with those at a fraction `at` of their length replaced."""
    start = int(len(data) * at)
    return data[:start] + new + data[start + len(new) :]


def _frame_header(jpeg: bytes, marker: int, bits: int, height: int, width: int) -> bytes:
    start = jpeg.index(b"\xff\xc0")
    return jpeg[:start] + struct.pack(">BBHBHH", 0xFF, marker, 11, bits, height, width) + jpeg[start + 9 :]


def _rasters() -> dict[str, tuple[str, bytes]]:
    film = picture()
    height, width = film.shape
    jpeg, picture_png = encoded(film, "JPEG", quality=95), encoded(film, "PNG")
    progressive = encoded(film, "JPEG", quality=95, progressive=True)
    rot = bytes(range(1, 49))
    grey = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    huge = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    return {
        "empty.jpg": ("empty", b""),
        "page.jpg": ("not-an-image", b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 20),
        "noise.png": ("not-an-image", np.random.default_rng(1).bytes(5000)),
        "stub.png": ("truncated", picture_png[:4]),
        "header-only.jpg": ("truncated", jpeg[:100]),
        "half.jpg": ("truncated", jpeg[: len(jpeg) // 2]),
        "last-byte.jpg": ("truncated", jpeg[:-1]),
        "preallocated.jpg": ("truncated", jpeg[: len(jpeg) // 2] + bytes(len(jpeg) // 2)),
        "bit-rot.jpg": ("corrupt", overwritten(jpeg, 0.6, rot)),
        "bit-rot-progressive.jpg": ("corrupt", overwritten(progressive, 0.6, rot)),
        "no-frame.jpg": ("corrupt", jpeg[:20] + bytes(len(jpeg) - 22) + jpeg[-2:]),
        "bomb.jpg": ("too-many-pixels", _frame_header(jpeg, 0xC0, 8, 65_500, 65_500)),
        "taller-than-its-scan.jpg": ("corrupt", _frame_header(jpeg, 0xC0, 8, height * 4, width)),
        "twelve-bit.jpg": ("unsupported-format", _frame_header(jpeg, 0xC1, 12, height, width)),
        "arithmetic.jpg": ("unsupported-format", _frame_header(jpeg, 0xC9, 8, height, width)),
        "constant.jpg": ("constant", encoded(np.full((200, 200), 90, np.uint8), "JPEG")),
        "half.png": ("truncated", picture_png[: len(picture_png) // 2]),
        "no-end.png": ("truncated", picture_png[:-12]),
        "bit-rot.png": ("corrupt", overwritten(picture_png, 0.6, b"\x00\xff")),
        "odd-filter.png": ("corrupt", png(grey, (b"\x09" + bytes(width)) * height)),
        "bomb.png": ("too-many-pixels", png(huge, bytes(2_501 * 20_000))),
        "constant.png": ("constant", encoded(np.zeros((200, 200), np.uint8), "PNG")),
        "constant-deep.png": ("constant", encoded(np.full((200, 200), 4095, np.uint16), "PNG")),
        "icon.png": ("too-small", encoded(picture(32, 32), "PNG")),
        "pixel.jpg": ("too-small", encoded(picture(1, 1), "JPEG")),
        "strip.png": ("too-small", encoded(picture(10, 900), "PNG")),
        **{f"other.{kind.lower()}": ("unsupported-format", encoded(film, kind)) for kind in ("GIF", "BMP", "TIFF")},
        "webp-named.png": ("unsupported-format", encoded(film, "WEBP")),
    }


def _dicoms() -> dict[str, tuple[str, bytes]]:
    film = picture()
    whole = dicom(dataset(film))
    rotten = dataset(film)
    rotten.PixelData = encapsulate([overwritten(encoded(film, "JPEG", quality=95), 0.6, bytes(range(1, 49)))])
    rotten.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    other_size = dataset(film, Rows=film.shape[0] * 2)
    other_size.PixelData = encapsulate([encoded(film, "JPEG")])
    other_size.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    runs = dataset(film)
    runs.compress(RLELossless)
    lost = encapsulate([overwritten(b"".join(runs.PixelData[16:].split(b"\xfe\xff\xdd\xe0")[:1]), 0.0, b"\xff" * 8)])
    runs.PixelData = lost
    report = dataset(film, PixelData=None, Rows=None, Columns=None, BitsStored=None, PixelRepresentation=None)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = BASIC_TEXT_REPORT
    return {
        "half.dcm": ("truncated", whole[: len(whole) // 2]),
        "header-only.dcm": ("truncated", whole[:400]),
        "magic-only.dcm": ("corrupt", bytes(128) + b"DICM"),
        "garbage.dcm": ("corrupt", bytes(128) + b"DICM" + bytes(2000)),
        "no-preamble.dcm": ("not-an-image", whole[132:]),
        "bomb.dcm": ("too-many-pixels", dicom(dataset(film, Rows=65_535, Columns=65_535))),
        "tiny.dcm": ("too-small", dicom(dataset(picture(16, 16)))),
        "constant.dcm": ("constant", dicom(dataset(np.full((100, 100), 7, np.uint16)))),
        "report.dcm": ("no-pixel-data", dicom(report)),
        "pixels-removed.dcm": ("no-pixel-data", dicom(dataset(film, PixelData=None))),
        "frames.dcm": ("multi-frame", dicom(dataset(np.vstack([film, film]), Rows=240, NumberOfFrames=2))),
        "palette.dcm": ("unsupported-pixels", dicom(dataset(film, PhotometricInterpretation="PALETTE COLOR"))),
        "one-bit.dcm": ("unsupported-pixels", dicom(dataset(film, BitsAllocated=1, BitsStored=1, HighBit=0))),
        "deep.dcm": ("unsupported-pixels", dicom(dataset(film.astype(np.uint32)))),
        "float.dcm": ("unsupported-pixels", dicom(dataset(film, PixelData=None, FloatPixelData=bytes(4 * film.size)))),
        "deflated.dcm": ("unsupported-transfer-syntax", _renamed(whole, DEFLATED)),
        "video.dcm": ("unsupported-transfer-syntax", _renamed(whole, MPEG4)),
        "bit-rot-jpeg.dcm": ("corrupt", dicom(rotten)),
        "bit-rot-rle.dcm": ("corrupt", dicom(runs)),
        "two-sizes.dcm": ("corrupt", dicom(other_size)),
    }


def _renamed(whole: bytes, syntax: str) -> bytes:
    """A file that claims another transfer syntax; no decoder may be tried on it."""
    old, new = ExplicitVRLittleEndian.encode(), syntax.encode()
    start = whole.index(old) - 2
    padded = new + bytes(len(new) % 2)
    grown = len(padded) - len(old) - len(old) % 2
    length = struct.unpack_from("<I", whole, 140)[0] + grown
    meta = whole[:140] + struct.pack("<I", length) + whole[144:start] + struct.pack("<H", len(padded)) + padded
    return meta + whole[start + 2 + len(old) + len(old) % 2 :]


def write_poison(folder: Path, *, max_bytes: int = 200_000_000) -> dict[str, str]:
    """Write every poison file; returns the `ImageError` code each must end as, by file name.

    `oversized.png` is a sparse file one byte above `max_bytes`; the others hold what their names say.
    """
    folder.mkdir(parents=True, exist_ok=True)
    codes = {"oversized.png": "too-many-bytes"}
    with (folder / "oversized.png").open("wb") as stream:
        stream.truncate(max_bytes + 1)
    for name, (code, data) in {**_rasters(), **_dicoms()}.items():
        (folder / name).write_bytes(data)
        codes[name] = code
    return codes
