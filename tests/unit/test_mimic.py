import cv2
import numpy as np
from lrrg.benchmark.mimic import as_mimic, equalise, mimic_jpeg


def _detector(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(rng.normal(0, 1, (200, 160)), (0, 0), 12)
    return np.round(300 + 3000 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint16)


def test_equalisation_flattens_the_histogram_and_keeps_the_order():
    values = _detector()
    grey = equalise(values)
    order = np.argsort(values.ravel(), kind="stable")
    assert (np.diff(grey.ravel()[order].astype(int)) >= 0).all()
    assert abs(grey.mean() - 127.5) < 3
    assert abs(grey.std() - 73.6) < 3


def test_any_increasing_linear_change_of_the_detector_gives_the_same_file():
    values = _detector()
    assert mimic_jpeg(values) == mimic_jpeg(values * 4 + 17)


def test_eight_bit_input_is_stretched_to_the_full_range_first():
    narrow = (np.arange(100, dtype=np.uint8)[None] + 50).repeat(100, axis=0)
    grey = equalise(narrow)
    assert (grey.min(), grey.max()) == (0, 255)


def test_the_file_is_a_grey_jpeg_and_as_mimic_reads_it_back():
    stream = mimic_jpeg(_detector())
    decoded = cv2.imdecode(np.frombuffer(stream, np.uint8), cv2.IMREAD_UNCHANGED)
    assert stream[:2] == b"\xff\xd8"
    assert decoded.ndim == 2
    assert np.array_equal(decoded, as_mimic(_detector()))
    assert np.abs(decoded.astype(int) - equalise(_detector())).mean() < 2
