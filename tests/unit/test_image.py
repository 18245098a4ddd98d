import io
import random
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lrrg.tests.poison import encoded, overwritten, picture, png, write_poison
from lrrg.tools.depth import robust_range, to_eight_bit
from lrrg.tools.image import ImageError, decode, read_bytes
from PIL import Image

MAX_PIXELS = 5_000_000
FILM = picture()
DEEP = (FILM.astype(np.uint16) << 4) + np.random.default_rng(2).integers(0, 16, FILM.shape, dtype=np.uint16)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def verdict(data: bytes) -> str:
    try:
        decode(data, max_pixels=MAX_PIXELS)
    except ImageError as error:
        return error.code
    return "ok"


@pytest.fixture(scope="module")
def poison(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("poison")
    return folder, write_poison(folder, max_bytes=1_000_000)


def test_every_poison_file_ends_as_its_own_code(poison: tuple[Path, dict[str, str]]) -> None:
    folder, codes = poison
    found = {}
    for name in codes:
        with pytest.raises(ImageError) as caught:
            decode(read_bytes(folder / name, max_bytes=1_000_000), max_pixels=MAX_PIXELS)
        found[name] = caught.value.code
    assert found == codes


def test_poison_covers_every_documented_code(poison: tuple[Path, dict[str, str]]) -> None:
    documented = {
        line.split("`")[1] for line in (ImageError.__doc__ or "").splitlines() if line.strip().startswith("| `")
    }
    assert documented == {*poison[1].values(), "missing"}


@pytest.mark.parametrize("name", ["nowhere.png", "folder", "file.png/inside.png"])
def test_what_cannot_be_opened_is_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.png").write_bytes(b"x")
    with pytest.raises(ImageError) as caught:
        read_bytes(tmp_path / name, max_bytes=100)
    assert caught.value.code == "missing"


def test_a_device_without_end_is_not_read_for_ever() -> None:
    assert read_bytes(Path("/dev/zero"), max_bytes=1000) == b"\0"


def test_an_error_keeps_its_code_between_processes() -> None:
    import pickle

    sent = pickle.loads(pickle.dumps(ImageError("corrupt", "why")))
    assert (sent.code, str(sent)) == ("corrupt", "why")


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 8}, {"quality": 30}], ids=lambda o: str(o)
)
def test_grey_jpeg_equals_pillow(options: dict[str, int]) -> None:
    data = encoded(FILM, "JPEG", **options)
    film = decode(data, max_pixels=MAX_PIXELS)
    np.testing.assert_array_equal(film.pixels, np.asarray(opened(data)))
    assert (film.bits, film.stored, film.notes, film.file_format) == (8, None, (), "jpeg")


@pytest.mark.parametrize("subsampling", [0, 2])
def test_colour_jpeg_gives_its_stored_luma(subsampling: int) -> None:
    colour = np.dstack([FILM, 255 - FILM, np.roll(FILM, 30, 1)])
    data = encoded(colour, "JPEG", quality=95, subsampling=subsampling)
    film = decode(data, max_pixels=MAX_PIXELS)
    luma = Image.open(io.BytesIO(data))
    luma.draft("L", luma.size)
    np.testing.assert_array_equal(film.pixels, np.asarray(luma))
    assert film.notes == ("rgb-collapsed",)


def test_cmyk_jpeg_is_upright_with_and_without_adobes_inversion() -> None:
    ink = np.asarray(Image.fromarray(FILM).convert("CMYK"))
    marked, plain = (
        encoded(each, "JPEG", quality=95) for each in (Image.fromarray(ink, "CMYK"), Image.fromarray(255 - ink, "CMYK"))
    )  # Pillow writes Adobe's inversion
    start = plain.index(b"\xff\xee")
    unmarked = plain[:start] + plain[start + 2 + int.from_bytes(plain[start + 2 : start + 4]) :]
    film = decode(marked, max_pixels=MAX_PIXELS)
    assert film.notes == ("cmyk-collapsed",)
    assert np.corrcoef(film.pixels.ravel(), FILM.ravel())[0, 1] > 0.98
    np.testing.assert_array_equal(film.pixels, np.asarray(opened(marked).convert("RGB").convert("L")))
    direct = decode(unmarked, max_pixels=MAX_PIXELS).pixels
    assert np.abs(direct.astype(int) - film.pixels).max() <= 3


@pytest.mark.parametrize(
    ("mode", "notes"),
    [
        ("L", ()),
        ("1", ()),
        ("P", ("palette-expanded", "rgb-collapsed")),
        ("LA", ("alpha-dropped",)),
        ("RGB", ("rgb-collapsed",)),
        ("RGBA", ("alpha-dropped", "rgb-collapsed")),
    ],
)
def test_eight_bit_png_modes(mode: str, notes: tuple[str, ...]) -> None:
    data = encoded(FILM, "PNG", mode=mode)
    film = decode(data, max_pixels=MAX_PIXELS)
    np.testing.assert_array_equal(film.pixels, np.asarray(opened(data).convert("RGB").convert("L")))
    assert film.notes == notes
    assert film.pixels.dtype == np.uint8
    assert film.stored is None


def test_deep_grey_png_keeps_its_values() -> None:
    film = decode(encoded(DEEP, "PNG"), max_pixels=MAX_PIXELS)
    assert film.stored is not None
    np.testing.assert_array_equal(film.stored, DEEP)
    assert (film.bits, film.stored.dtype) == (16, np.uint16)
    np.testing.assert_array_equal(film.pixels, to_eight_bit(DEEP))


def test_deep_colour_png_is_not_narrowed_before_it_is_collapsed() -> None:
    ok, data = cv2.imencode(".png", np.dstack([DEEP] * 3))
    film = decode(data.tobytes(), max_pixels=MAX_PIXELS)
    assert ok
    assert film.stored is not None
    assert np.abs(film.stored.astype(int) - DEEP).max() <= 1
    assert film.notes == ("rgb-collapsed",)


def test_interlaced_png_equals_the_plain_one() -> None:
    height, width = 72, 80
    film = picture(height, width)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    lines = b"".join(
        b"".join(b"\0" + row.tobytes() for row in film[top::down, left::right]) for top, left, down, right in passes
    )
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 0, 0, 0, 1])
    np.testing.assert_array_equal(decode(png(header, lines), max_pixels=MAX_PIXELS).pixels, film)


def test_cameras_orientation_is_noted_and_not_obeyed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("JPEG", "PNG"):
        film = decode(encoded(FILM, kind, exif=exif), max_pixels=MAX_PIXELS)
        assert film.pixels.shape == FILM.shape
        assert film.notes == ("exif-orientation-ignored",)


def test_a_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "film.jpg"
    path.write_bytes(encoded(FILM, "PNG"))
    assert decode(read_bytes(path, max_bytes=10**6), max_pixels=MAX_PIXELS).file_format == "png"


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bit flips, bursts and cuts, anywhere after the signature."""
    kind, at = rng.randrange(3), rng.randrange(4, len(data))
    if kind == 0:
        return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    return data[:at] if kind == 1 else overwritten(data, at / len(data), rng.randbytes(rng.randrange(1, 48)))


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "RGB"}], ids=["grey", "progressive", "colour"])
def test_what_pillow_rejects_we_reject_and_much_more(options: dict[str, str]) -> None:
    data = encoded(FILM, "JPEG", quality=95, **options)
    rng, seen = random.Random(7), Counter[tuple[str, str]]()
    for _ in range(400):
        bad = damaged(data, rng)
        try:
            theirs = opened(bad)
        except (OSError, SyntaxError, ValueError):
            theirs = None
        ours = verdict(bad)
        seen["ok" if theirs else "rejected", "ok" if ours == "ok" else "rejected"] += 1
        if theirs and ours == "ok" and theirs.mode == "L":
            np.testing.assert_array_equal(decode(bad, max_pixels=MAX_PIXELS).pixels, np.asarray(theirs))
    assert seen["rejected", "ok"] == 0
    assert seen["ok", "rejected"] > 100  # Pillow lets most bit rot in scans pass


def test_no_cut_jpeg_or_png_is_ever_read() -> None:
    for kind in ("JPEG", "PNG"):
        data = encoded(picture(80, 72), kind)
        codes = {verdict(data[:end]) for end in range(1, len(data), 3)}
        assert codes <= {"truncated", "corrupt"}, kind


def test_no_changed_byte_of_a_png_is_ever_read() -> None:
    data = encoded(picture(80, 72), "PNG")
    for at in range(8, len(data), 5):
        assert verdict(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]) != "ok", at


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400), signature=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
def test_no_bytes_raise_anything_but_image_errors(data: bytes, signature: bytes) -> None:
    assert verdict(signature + data) != "ok"


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32), kind=st.sampled_from(["JPEG", "PNG"]), mode=st.sampled_from(["L", "RGB", "CMYK", "P"])
)
def test_damage_raises_nothing_but_image_errors(seed: int, kind: str, mode: str) -> None:
    if (kind, mode) in {("JPEG", "P"), ("PNG", "CMYK")}:
        mode = "L"
    rng = random.Random(seed)
    data = encoded(picture(80, 72), kind, mode=mode)
    for _ in range(3):
        data = damaged(data, rng) if len(data) > 8 else data
    assert isinstance(verdict(data), str)


def test_deep_values_map_linearly_and_reach_both_ends() -> None:
    ramp = np.tile(np.arange(1000, 3000, dtype=np.uint16), (64, 1))
    mapped = to_eight_bit(ramp).astype(float)
    assert (mapped.min(), mapped.max()) == (0, 255)
    assert np.abs(mapped[0] - np.linspace(0, 255, 2000)).max() <= 1


def test_burnt_in_text_does_not_darken_the_film() -> None:
    marked = DEEP.copy()
    marked[:12, :40] = 65535
    low, high = robust_range(marked)
    plain_low, plain_high = robust_range(DEEP)
    assert plain_low - 20 <= low <= plain_low + 20
    assert plain_high - 20 <= high <= plain_high + 20
    assert (to_eight_bit(marked)[:12, :40] == 255).all()


def test_saturation_stays_visible() -> None:
    clipped = np.minimum(DEEP, int(np.quantile(DEEP, 0.9)))
    mapped = to_eight_bit(clipped)
    assert (mapped == 255).mean() == pytest.approx(0.1, abs=0.02)


def test_two_values_a_level_apart_are_told_apart() -> None:
    for other in (501, 65535):
        film = np.full((100, 100), 500, np.uint16)
        film[0, 0] = other
        assert sorted(np.unique(to_eight_bit(film))) == [0, 255]
