import cv2
import numpy as np
import pytest
from lrrg.agent.state import ASPECTS
from lrrg.benchmark.degrade import apply
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.finetune.judge import bases, own, spoil
from lrrg.pipelines.finetune.judge.bases import Base
from lrrg.pipelines.finetune.judge.exports import ENDS, balanced, draw_cut, grainy, tone_curve, trimmed, vary
from lrrg.pipelines.finetune.judge.own import Cut
from lrrg.pipelines.finetune.judge.spoil import NONE, RANGE, SATURATED, UNKNOWN
from lrrg.pipelines.finetune.judge.views import CROP, KEPT, OVERVIEW, exported, make_training, make_views, read_views
from lrrg.tools.depth import to_eight_bit
from lrrg.tools.film import Film
from lrrg.tools.looks import looks
from lrrg.tools.noise import relative

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


def test_what_a_reader_saw_depends_on_what_he_called_the_film(chest):
    assert bases.known(chest, "good") == CLEAN
    assert bases.known(chest, "borderline") == CLEAN | {"positioning": UNKNOWN, "artifact": UNKNOWN}
    assert bases.known(chest, "low")["blur"] == UNKNOWN


def test_noise_of_the_film_itself_grows_with_the_grade_that_is_added(chest):
    doses = [spoil.value("quantum_noise", grade, rng(), 0.0) for grade in (1, 2, 3)]
    noisy = [apply(chest, "quantum_noise", dose, key="k") for dose in doses]
    measured = [relative(Film(film)) for film in (chest, *noisy)]
    assert measured == sorted(measured)
    assert own.noise_grade(Film(chest)) == 0
    assert own.noise_grade(Film(noisy[-1])) >= 2


@pytest.mark.parametrize(("left", "grade"), [(76, 1), (52, 2), (27, 3), (88, UNKNOWN)])
def test_flat_contrast_of_the_film_itself_has_the_grade_that_is_added(chest, left, grade):
    assert bases.known(spoil.flatten(chest, left), "good")["exposure"] == grade


@pytest.mark.parametrize("tone", [0, 255])
@pytest.mark.parametrize(("depth", "grade"), [(0.02, UNKNOWN), (0.04, 1), (0.08, 2), (0.14, 3)])
def test_blades_of_the_film_itself_have_the_grade_that_is_added(chest, tone, depth, grade):
    shut = chest.copy()
    shut[:, : round(depth * chest.shape[1])] = tone
    assert bases.known(shut, "good")["collimation"] == grade


def test_air_beside_the_patient_is_no_blade():
    """A step as sharp as a blade's, but the outside is not of one tone along the film."""
    film = np.add.outer(np.linspace(0, 60, 512), np.linspace(120, 190, 512)).astype(np.uint8)
    film[:, :60] = np.linspace(0, 70, 512, dtype=np.uint8)[:, None]
    assert max(Film(film).field.depths) > 0
    assert own.shutter_grade(own.outsides(Film(film))) == 0


def test_an_export_has_the_blades_that_its_film_had_however_it_is_processed(films):
    """Balanced or toned anew, a blade is no more of one tone, but there it is."""
    shut = films[0].grey.copy()
    shut[:, : round(0.04 * shut.shape[1])] = 0
    film = films[0]._replace(grey=shut, grades=bases.known(shut, "good"))
    assert film.grades["collimation"] == 1
    uncut = [seed for seed in range(16) if not any(draw_cut(np.random.default_rng(seed)))]
    exports = [exported(film, np.random.default_rng(seed)) for seed in uncut]
    assert {each.grades["collimation"] for each in exports} == {1}
    assert {bases.known(each.grey, "good")["collimation"] for each in exports} > {1}


@pytest.mark.parametrize(
    ("side", "part", "grade"),
    [("right", 0.0, 2), ("right", 0.03, 1), ("right", 0.06, UNKNOWN), ("right", 0.09, 0), ("left", 0.05, 2)],
)
def test_what_is_cut_off_a_film_goes_from_its_blades(chest, side, part, grade):
    shut = chest.copy()
    shut[:, -round(0.08 * chest.shape[1]) :] = 0
    cut = Cut(0.0, 0.0, 0.0, 0.0)._replace(**{side: part})
    assert own.shutter_grade(own.cut_outsides(own.outsides(Film(shut)), cut)) == grade
    assert trimmed(shut, cut).shape == (chest.shape[0], chest.shape[1] - round(part * chest.shape[1]))


def test_nobody_knows_which_of_its_blades_a_turned_film_still_shows(chest):
    tilt = {"positioning": ("tilt", 2)}
    assert spoil.spoil(chest, CLEAN, tilt, rng()).grades["collimation"] == 0
    assert spoil.spoil(chest, CLEAN | {"collimation": 2}, tilt, rng()).grades["collimation"] == UNKNOWN


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


def test_equalisation_hides_contrast_that_was_flat_before(films):
    flat = films[0]._replace(grades=CLEAN | {"exposure": 2})
    dark = spoil.spoil(flat.grey, CLEAN, {"exposure": ("over_exposure", 2)}, rng())
    views = make_views([(flat, spoil.Spoiled(flat.grey, flat.grades, ())), (films[0], dark)])
    assert views.grades[:, ASPECTS.index("exposure")].tolist() == [2, UNKNOWN, 2, 2]


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


def test_views_that_a_stop_left_half_overwritten_are_made_again(films, tmp_path):
    class Stopped(Exception):
        pass

    def stop(done=1, **counts):
        raise Stopped

    def told(done=1, **counts):
        made.append(done)

    made = []
    was = np.array(make_training(films, 4, tmp_path, seed=1, advance=told).details)
    with pytest.raises(Stopped):
        make_training(films, 4, tmp_path, seed=2, advance=stop)
    assert np.array_equal(make_training(films, 4, tmp_path, seed=1, advance=told).details, was)
    assert len(made) == 8


def test_another_export_keeps_the_film_and_never_enlarges_it(chest):
    draw = rng()
    made = [vary(chest, draw).grey for _ in range(30)]
    assert all(max(each.shape) <= max(chest.shape) for each in made)
    assert len({each.shape for each in made}) > 10


def test_a_tone_curve_never_falls():
    draw = rng()
    curves = [tone_curve(draw).astype(int) for _ in range(50)]
    assert all((np.diff(curve) >= 0).all() for curve in curves)
    assert {int(curve[0]) for curve in curves} > {0}


def test_a_console_that_balances_flattens_broad_structures_within_the_old_range(chest):
    def broad(grey):
        small = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA).astype(float)
        return small[2:-2, 2:-2].std()

    flattened = [balanced(chest, draw) for draw in (np.random.default_rng(seed) for seed in range(10))]
    ends = np.percentile(spoil.central(chest), ENDS)
    for each in flattened:
        assert each.shape == chest.shape
        assert np.allclose(np.percentile(spoil.central(each), ENDS), ends, atol=2)
        assert broad(each) < broad(chest)


def test_a_smaller_dose_is_measured_as_more_noise(chest):
    before = own.relative_noise(Film(chest))
    assert all(own.relative_noise(Film(grainy(chest, np.random.default_rng(seed)))) > 1.2 * before for seed in range(5))


def test_an_export_of_a_smaller_dose_never_teaches_that_there_is_no_noise(films, chest):
    """Grain too fine for the measure is still grain: added to a film it counts."""
    made = []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        if not any(draw_cut(draw)):
            made.append((vary(chest, draw), exported(films[0], np.random.default_rng(seed)).grades["noise"]))
    assert NONE in {bases.known(each.grey, "good")["noise"] for each, _ in made if each.grainy}
    assert NONE not in {grade for each, grade in made if each.grainy}
    assert NONE in {grade for each, grade in made if not each.grainy}


def test_blades_are_the_ladders_own_where_nothing_is_drawn_around_and_of_any_tone_where_it_is(chest):
    plan = {"collimation": ("shutter", 3)}
    plain, drawn = (
        [spoil.spoil(chest, CLEAN, plan, np.random.default_rng(seed), spread=spread) for seed in range(20)]
        for spread in (0.0, spoil.SPREAD)
    )
    corners = ((0, 0), (0, -1), (-1, 0), (-1, -1))

    def tones(films):
        return {int(film.grey[corner]) for film in films for corner in corners if film.grey[corner] != chest[corner]}

    assert tones(plain) <= {0, 255}
    assert tones(drawn) - {0, 255}
    assert all(film.grades == CLEAN | {"collimation": 3} for film in (*plain, *drawn))
