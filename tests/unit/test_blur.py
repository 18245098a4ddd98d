import cv2
import numpy as np
import pytest
from lrrg.tools import Film
from lrrg.tools.blur import anisotropy, edge_width, edge_width_across, edge_width_down, reblur


def tiles(size: int = 1024, count: int = 16) -> np.ndarray:
    """A board of `count` x `count` tiles of many greys: upright edges, with grain."""
    rng = np.random.default_rng(0)
    greys = rng.uniform(70, 180, (count, count)).astype(np.float32)
    board = cv2.resize(greys, (size, size), interpolation=cv2.INTER_NEAREST)
    return board + rng.normal(0, 0.5, board.shape).astype(np.float32)


def film(board: np.ndarray) -> Film:
    return Film(np.clip(board, 0, 255).round().astype(np.uint8))


def smeared(board: np.ndarray, down: int, across: int) -> np.ndarray:
    return cv2.blur(board, (across, down))


def test_width_grows_with_focal_blur():
    widths = [edge_width(film(cv2.GaussianBlur(tiles(), (0, 0), sigma))) for sigma in (0.5, 1.0, 2.0, 4.0)]
    assert all(np.diff(widths) > 0.3), widths


def test_motion_widens_edges_along_its_path_only():
    still, moved = film(tiles()), film(smeared(tiles(), down=9, across=1))
    assert edge_width_down(moved) > 1.5 * edge_width_down(still)
    assert edge_width_across(moved) == pytest.approx(edge_width_across(still), rel=0.1)
    assert anisotropy(moved) > 1.5 * anisotropy(still)
    assert anisotropy(film(smeared(tiles(), down=1, across=9))) < anisotropy(still) / 1.5


def test_a_shift_or_change_of_contrast_leaves_the_width():
    board = cv2.GaussianBlur(tiles(), (0, 0), 1.5)
    for changed in (board + 60, board - 60, 1.6 * (board - 120) + 120, 0.6 * board):
        assert edge_width(film(changed)) == pytest.approx(edge_width(film(board)), rel=0.08)


def test_width_is_relative_to_the_films_size():
    large = film(cv2.GaussianBlur(tiles(1024), (0, 0), 4.0))
    small = film(cv2.GaussianBlur(tiles(512), (0, 0), 2.0))
    assert edge_width(small) == pytest.approx(edge_width(large), rel=0.25)


def test_no_edges_no_width():
    for grey in (np.zeros((400, 400), np.uint8), np.full((400, 400), 128, np.uint8)):
        assert edge_width(Film(grey)) is None
        assert anisotropy(Film(grey)) is None


def test_reblur_sees_less_blur_than_width_needs():
    shares = [reblur(film(cv2.GaussianBlur(tiles(count=48), (0, 0), sigma))) for sigma in (0.6, 0.9, 1.2, 2.0)]
    assert all(np.diff(shares) > 0.02), shares


def test_noise_and_contrast_leave_reblur():
    board = cv2.GaussianBlur(tiles(count=48), (0, 0), 1.2)
    plain = reblur(film(board))
    noisy = board + np.random.default_rng(4).normal(0, 3, board.shape)
    assert reblur(film(noisy)) == pytest.approx(plain, rel=0.05)
    assert reblur(film(1.6 * (board - 120) + 120)) == pytest.approx(plain, rel=0.05)


def test_reblur_is_absent_where_saturation_reaches_the_anatomy():
    assert reblur(film(tiles() + 110)) is None
