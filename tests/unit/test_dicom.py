import random
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagecodecs import jpeg8_encode
from lrrg.tests.poison import dataset, dicom, encoded, overwritten, picture
from lrrg.tools.film import Film
from lrrg.tools.image import ImageError, decode
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence

MAX_PIXELS = 5_000_000
FILM = picture(120, 100)
NOISE = np.random.default_rng(3).integers(0, 16, FILM.shape)
DEEP = ((FILM.astype(np.uint16) << 4) + NOISE).astype(np.uint16)
TWELVE = {"BitsStored": 12, "HighBit": 11}


def read(made: Dataset) -> Film:
    return decode(dicom(made), max_pixels=MAX_PIXELS)


def stored(film: Film) -> NDArray[np.uint16]:
    assert film.stored is not None
    return film.stored


def sample(name: str) -> bytes:
    path = get_testdata_file(name)
    if path is None:
        pytest.skip(f"pydicom-data does not hold {name}")
    return Path(str(path)).read_bytes()


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEG2000Lossless", "JPEGLSLossless"])
@pytest.mark.parametrize("values", [FILM, DEEP], ids=["8-bit", "12-bit"])
def test_lossless_encodings_give_back_every_value(syntax: str, values: NDArray[Any]) -> None:
    made = dataset(values, **(TWELVE if values is DEEP else {}))
    made.compress(getattr(pydicom.uid, syntax))
    film = read(made)
    np.testing.assert_array_equal(stored(film) if values is DEEP else film.pixels, values)
    assert film.bits == (12 if values is DEEP else 8)


@pytest.mark.parametrize("predictor", [1, 6])
def test_lossless_jpeg_gives_back_every_value(predictor: int) -> None:
    made = dataset(DEEP, **TWELVE)
    made.PixelData = encapsulate([jpeg8_encode(DEEP, lossless=True, predictor=predictor, bitspersample=12)])
    made.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLosslessSV1 if predictor == 1 else pydicom.uid.JPEGLossless
    np.testing.assert_array_equal(stored(read(made)), DEEP)


def test_baseline_jpeg_is_read_as_strictly_as_a_jpeg_file() -> None:
    made = dataset(FILM)
    jpeg = encoded(FILM, "JPEG", quality=95)
    made.PixelData = encapsulate([jpeg])
    made.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    np.testing.assert_array_equal(read(made).pixels, decode(jpeg, max_pixels=MAX_PIXELS).pixels)


def test_twelve_bit_lossy_jpeg() -> None:
    made = dataset(DEEP, **TWELVE)
    made.PixelData = encapsulate([jpeg8_encode(DEEP, level=98, bitspersample=12)])
    made.file_meta.TransferSyntaxUID = pydicom.uid.JPEGExtended12Bit
    film = read(made)
    assert film.bits == 12
    assert np.abs(stored(film).astype(int) - DEEP).mean() < 8
    assert decode(sample("JPEG-lossy.dcm"), max_pixels=MAX_PIXELS).bits == 12


@pytest.mark.parametrize("name", ["MR_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm"])
def test_byte_orders_agree_with_pydicom(name: str) -> None:
    plain = pydicom.dcmread(str(get_testdata_file("MR_small.dcm"))).pixel_array
    np.testing.assert_array_equal(stored(decode(sample(name), max_pixels=MAX_PIXELS)), plain.astype(int) + 32768)


@pytest.mark.parametrize("name", ["RG1_UNCI.dcm", "RG1_UNCR.dcm", "RG1_J2KI.dcm", "RG1_J2KR.dcm"])
def test_real_chest_film_agrees_with_pydicom(name: str) -> None:
    data = sample(name)
    film = decode(data, max_pixels=MAX_PIXELS)
    theirs = pydicom.dcmread(str(get_testdata_file(name)))
    np.testing.assert_array_equal(stored(film), 32767 - theirs.pixel_array)
    assert (film.view, film.bits, film.domain, film.notes) == ("PA", 15, "presentation", ("monochrome1-inverted",))
    assert film.tags == {"KVP": 150, "Exposure": 2, "ExposureTime": 8}  # Sensitivity 0 is a blank
    assert film.pixels[:60, :60].mean() < film.pixels.mean()  # the corner is air


def test_monochrome1_and_a_negative_slope_each_invert_and_undo_each_other() -> None:
    plain, top = read(dataset(DEEP, **TWELVE)), 4095
    first = read(dataset(DEEP, PhotometricInterpretation="MONOCHROME1", **TWELVE))
    slope = read(dataset(DEEP, RescaleSlope=-1, RescaleIntercept=top, **TWELVE))
    both = read(dataset(DEEP, PhotometricInterpretation="MONOCHROME1", RescaleSlope=-1, RescaleIntercept=0, **TWELVE))
    np.testing.assert_array_equal(stored(first), top - stored(plain))
    np.testing.assert_array_equal(stored(slope), stored(first))
    np.testing.assert_array_equal(stored(both), stored(plain))
    assert (first.notes, slope.notes) == (("monochrome1-inverted",), ("negative-slope-inverted",))
    assert np.abs(first.pixels.astype(int) + plain.pixels - 255).max() <= 1


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2.5, -1000), (-0.5, 300)])
@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_window_is_kept_in_the_units_of_the_stored_values(
    photometric: str, slope: float, intercept: float, kind: type[np.generic]
) -> None:
    values = DEEP.astype(kind) - (2048 if kind is np.int16 else 0)
    center = float(np.median(values)) * slope + intercept
    made = dataset(values.astype(kind), RescaleSlope=slope, RescaleIntercept=intercept, **TWELVE)
    made.PhotometricInterpretation = photometric
    made.WindowCenter, made.WindowWidth = [center, 1.0], [600 * abs(slope), 2.0]
    film = read(made)
    assert film.window is not None
    middle, width = film.window
    ours = np.clip((stored(film) - middle) / width + 0.5, 0, 1)
    shown = np.clip((values * slope + intercept - center) / (600 * abs(slope)) + 0.5, 0, 1)  # PS3.3 C.11.2.1.3
    np.testing.assert_allclose(ours, 1 - shown if photometric == "MONOCHROME1" else shown, atol=1e-9)


def test_signed_values_and_bits_above_the_stored_ones() -> None:
    signed = read(dataset((DEEP.astype(np.int16) - 2048), **TWELVE))
    np.testing.assert_array_equal(stored(signed), DEEP)
    overlaid = read(dataset(DEEP | np.uint16(0xF000), **TWELVE))
    np.testing.assert_array_equal(stored(overlaid), DEEP)


def test_eight_stored_bits_in_sixteen_stay_as_they_are() -> None:
    film = read(dataset(FILM.astype(np.uint16), BitsStored=8, HighBit=7))
    np.testing.assert_array_equal(film.pixels, FILM)
    assert film.stored is None


def test_modality_lut_is_applied() -> None:
    item = Dataset()
    item.LUTDescriptor = [256, 0, 12]
    item.LUTData = np.arange(0, 4096, 16, dtype=np.uint16).tobytes()
    item["LUTData"].VR, item.ModalityLUTType = "OW", "US"
    made = dataset(FILM, ModalityLUTSequence=Sequence([item]))
    film = read(made)
    np.testing.assert_array_equal(stored(film), FILM.astype(np.uint16) * 16)
    assert (film.bits, film.notes) == (12, ("modality-lut-applied",))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_becomes_the_darkest_value_of_the_film(photometric: str) -> None:
    values = np.clip(DEEP, 500, 3000).astype(np.int16)
    values[:, :20], values[:, 20:30] = -2000, -1990
    made = dataset(values, PhotometricInterpretation=photometric, **TWELVE)
    made.add_new("PixelPaddingValue", "SS", -2000)
    made.add_new("PixelPaddingRangeLimit", "SS", -1985)
    film = read(made)
    assert (film.pixels[:, :30] == 0).all()
    assert (stored(film)[:, :30] == stored(film)[:, 30:].min()).all()
    assert film.notes[-1] == "padding-darkened"


def test_colour_is_collapsed() -> None:
    film = read(dataset(np.dstack([FILM] * 3)))
    np.testing.assert_array_equal(film.pixels, FILM)
    assert film.notes == ("rgb-collapsed",)


@pytest.mark.parametrize("values", [FILM, DEEP], ids=["8-bit", "16-bit"])
def test_colour_is_not_negative_whatever_the_header_says(values: NDArray[Any]) -> None:
    colour = np.dstack([values, values // 2, values[::-1]])
    said = read(dataset(colour, PixelRepresentation=1))
    np.testing.assert_array_equal(said.pixels, read(dataset(colour)).pixels)


@pytest.mark.parametrize("colour", [False, True])
def test_more_frames_than_announced_are_no_film(colour: bool) -> None:
    made = dataset(np.dstack([FILM] * 3) if colour else FILM)
    made.PixelData *= 2
    with pytest.raises(ImageError, match="announces one frame and holds 2") as caught:
        read(made)
    assert caught.value.code == "multi-frame"


def test_exposure_tags_that_hold_numbers_and_those_that_do_not() -> None:
    made = dataset(FILM, ExposureIndex="312.5", DeviationIndex="0", KVP="0", ExposureTime="8", ViewPosition="AP ")
    made.add_new("XRayTubeCurrent", "IS", "12")
    data = dicom(made).replace(b"312.5", b"31x.5")
    film = decode(data, max_pixels=MAX_PIXELS)
    assert film.tags == {"DeviationIndex": 0, "ExposureTime": 8, "XRayTubeCurrent": 12}
    assert film.notes == ("unreadable-tag:ExposureIndex",)
    assert film.view == "AP"


@pytest.mark.parametrize(
    ("values", "attributes", "domain"),
    [
        (DEEP, {"PresentationIntentType": "FOR PROCESSING", "WindowCenter": 2000, "WindowWidth": 4000}, "linear"),
        (DEEP, {"PresentationIntentType": "FOR PRESENTATION"}, "presentation"),
        (DEEP, {"PresentationIntentType": None}, "linear"),
        (DEEP, {"PresentationIntentType": None, "WindowCenter": 2000, "WindowWidth": 4000}, "presentation"),
        (DEEP, {"PresentationIntentType": None, "PresentationLUTShape": "INVERSE"}, "presentation"),
        (DEEP, {"PresentationIntentType": None, "PixelIntensityRelationship": "LIN"}, "linear"),
        (FILM, {"PresentationIntentType": None}, "presentation"),
    ],
)
def test_the_header_tells_the_domain(values: NDArray[Any], attributes: dict[str, Any], domain: str) -> None:
    assert read(dataset(values, **attributes)).domain == domain


def test_a_frame_that_announces_a_bomb_is_not_decoded() -> None:
    made = dataset(DEEP, **TWELVE)
    made.compress(pydicom.uid.JPEG2000Lossless)
    data = dicom(made)
    size = data.index(b"\xff\x4f\xff\x51") + 8
    with pytest.raises(ImageError) as caught:
        decode(data[:size] + b"\x00\x01\x00\x00" * 2 + data[size + 8 :], max_pixels=MAX_PIXELS)
    assert caught.value.code == "corrupt"


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), syntax=st.sampled_from(["", "RLELossless", "JPEG2000Lossless", "JPEGLSLossless"]))
def test_damage_raises_nothing_but_image_errors(seed: int, syntax: str) -> None:
    made = dataset(DEEP, ExposureTime="8", WindowCenter="2000", WindowWidth="4000", **TWELVE)
    if syntax:
        made.compress(getattr(pydicom.uid, syntax))
    rng, data = random.Random(seed), dicom(made)
    for _ in range(rng.randrange(1, 6)):
        at = rng.uniform(140, min(len(data), rng.choice([900, 10**6]))) / len(data)
        data = overwritten(data, at, rng.randbytes(rng.randrange(1, 12)))
    data = data[: rng.randrange(200, len(data))] if rng.random() < 0.3 else data
    try:
        film = decode(data, max_pixels=MAX_PIXELS)
    except ImageError:
        return
    assert film.pixels.shape == film.view1024.shape
    assert np.isfinite(list(film.tags.values())).all()


def test_a_cut_file_never_becomes_a_film() -> None:
    data = dicom(dataset(DEEP, **TWELVE))
    codes = set()
    pixels = data.index(b"\xe0\x7f\x10\x00")
    for end in [*range(330, pixels - 2, 7), *range(pixels + 4, len(data), 97)]:
        with pytest.raises(ImageError) as caught:
            decode(data[:end], max_pixels=MAX_PIXELS)
        codes.add(caught.value.code)
    assert codes == {"truncated"}
