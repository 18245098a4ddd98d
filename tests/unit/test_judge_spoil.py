import numpy as np
import pytest
from lrrg.agent.state import ASPECTS
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.finetune.judge import bases, spoil
from lrrg.pipelines.finetune.judge.bases import Base
from lrrg.pipelines.finetune.judge.spoil import RANGE, SATURATED, UNKNOWN
from lrrg.pipelines.finetune.judge.views import CROP, KEPT, OVERVIEW, make_training, make_views, read_views, vary
from lrrg.tools.depth import to_eight_bit
from lrrg.tools.film import Film
from lrrg.tools.looks import looks

CLEAN = dict.fromkeys(ASPECTS, 0)


@pytest.fixture(scope="module")
def chest():
    return to_eight_bit(phantom(5, height=900).stored)


@pytest.fixture(scope="module")
def films(chest):
    one = Base("a", chest, "presentation", CLEAN, "x", "p1", "good", "train")
    return [one, one._replace(name="b", grey=chest[:, ::-1].copy(), patient="p2", source="y")]


def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("defect", ["under_exposure", "over_exposure"])
@pytest.mark.parametrize("grade", [1, 2, 3])
def test_exposure_is_graded_by_what_newly_saturates(chest, defect, grade):
    made = spoil.spoil(chest, CLEAN, {"exposure": (defect, grade)}, rng())
    low, high = SATURATED[grade]
    end = made.grey >= 254 if defect == "under_exposure" else made.grey <= 1
    was = chest >= 254 if defect == "under_exposure" else chest <= 1
    assert low - 0.02 < spoil.central(end).mean() - spoil.central(was).mean() < high + 0.02
    assert made.grades == CLEAN | {"exposure": grade}


@pytest.mark.parametrize("grade", [1, 2, 3])
def test_contrast_is_graded_by_what_is_left_and_never_raised(chest, grade):
    made = spoil.spoil(chest, CLEAN, {"exposure": ("low_contrast", grade)}, rng())
    low, high = RANGE[grade]
    assert low - 2 <= spoil.grey_range(made.grey) <= high + 2
    flat = spoil.flatten(chest, 1000)
    assert np.abs(flat.astype(int) - chest).max() <= 1


def test_steps_of_the_ladder_do_not_overlap():
    draw = rng()
    drawn = {g: [spoil.value("defocus", g, draw, spoil.SPREAD) for _ in range(50)] for g in (1, 2, 3)}
    assert max(drawn[1]) < min(drawn[2]) <= max(drawn[2]) < min(drawn[3])
    assert spoil.value("defocus", 2, draw, 0.0) == pytest.approx(6)


def test_half_of_the_tilted_films_show_no_black_corner(chest):
    framed = np.full_like(chest, 120)
    corners = []
    for seed in range(20):
        made = spoil.spoil(framed, CLEAN, {"positioning": ("tilt", 3)}, np.random.default_rng(seed))
        corners.append(bool(made.grey[0, 0] == 0))
    assert 0 < sum(corners) < 20


def test_what_nobody_knows_stays_unknown_even_spoiled(chest):
    """Else natural shutters, never shown as absent, would count as a sign of presence."""
    known = CLEAN | {"collimation": UNKNOWN}
    made = spoil.spoil(chest, known, {"collimation": ("shutter", 2), "noise": ("quantum_noise", 1)}, rng())
    assert made.grades["collimation"] == UNKNOWN
    assert made.grades["noise"] == 1


def test_films_that_a_reader_did_not_call_good_teach_only_what_is_added(chest):
    assert bases.known(chest, "good") == CLEAN
    doubted = bases.known(chest, "borderline")
    assert {aspect for aspect, grade in doubted.items() if grade == UNKNOWN} == set(ASPECTS) - {"noise", "blur"}


def test_a_natural_shutter_and_a_flat_film_are_unknown(chest):
    shut = chest.copy()
    shut[:, :90] = 0
    assert bases.known(shut, "good")["collimation"] == UNKNOWN
    assert bases.known(spoil.flatten(chest, 50), "good")["exposure"] == UNKNOWN


def test_equalisation_hides_flat_contrast_and_nothing_else(films):
    flat, noisy = (
        spoil.spoil(films[0].grey, CLEAN, plan, rng())
        for plan in ({"exposure": ("low_contrast", 2)}, {"noise": ("quantum_noise", 2)})
    )
    views = make_views([(films[0], flat), (films[0], noisy)])
    at = ASPECTS.index("exposure")
    assert [(row.domain, int(grades[at])) for row, grades in zip(views.rows, views.grades, strict=True)] == [
        ("presentation", 2), ("equalised", UNKNOWN), ("presentation", 0), ("equalised", 0),
    ]  # fmt: skip


def test_evaluation_sees_what_serving_sees(films):
    made = spoil.Spoiled(films[0].grey, CLEAN, ())
    views = make_views([(films[0], made)])
    served = looks(Film(films[0].grey), OVERVIEW, CROP)
    assert np.array_equal(views.overview[0], served[0].pixels)
    assert np.array_equal(views.details[0], np.stack([look.pixels for look in served[1:]]))


def test_training_films_are_equal_for_equal_seeds_and_made_once(films, tmp_path):
    counted = []
    first = make_training(films, 6, tmp_path / "a", seed=1, advance=lambda done=1, **_: counted.append(done))
    again = make_training(films, 6, tmp_path / "a", seed=1, advance=lambda done=1, **_: counted.append(done))
    assert len(counted) == 6
    other = make_training(films, 6, tmp_path / "b", seed=2, advance=lambda done=1, **_: None)
    assert first.details.shape == (12, 3, KEPT, KEPT)
    assert np.array_equal(first.details, again.details)
    assert first.rows == read_views(tmp_path / "a").rows
    assert not np.array_equal(first.details, other.details)


def test_a_source_held_out_is_not_drawn_from(films, tmp_path):
    views = make_training(films, 8, tmp_path, seed=1, advance=lambda done=1, **_: None).without("y")
    assert {views.rows[index].source for index in views.among} == {"x"}
    assert len(views) == 16


def test_another_export_keeps_the_film_and_never_enlarges_it(chest):
    draw = rng()
    made = [vary(chest, draw) for _ in range(30)]
    assert all(max(each.shape) <= max(chest.shape) for each in made)
    assert len({each.shape for each in made}) > 10
