"""What a training step is made of: drawn films, their pixels, their tokens."""

import json
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.finetune.config import Config, read_config
from lrrg.pipelines.finetune.data import Example, Films, read_corpus
from lrrg.pipelines.finetune.loader import loader, validation
from lrrg.pipelines.finetune.objective import IGNORED
from lrrg.pipelines.finetune.processor import Processor
from lrrg.pipelines.finetune.samplers import Sampler
from lrrg.pipelines.finetune.tokenizer import IMAGE, train_tokenizer
from lrrg.pipelines.pixels import fitted, patches, resized
from lrrg.pipelines.question import Question
from lrrg.pipelines.settings import ReadSettings
from lrrg.tests.reported import film, reported, small
from lrrg.tools.image import decode
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

QUESTION = Question("You report films.", "View: PA\nIndication: a <b> & 'c' | 100 %")


def examples(high: int, low: int, path: str = "") -> list[Example]:
    return [
        Example(f"c{n}", f"s{n}", f"i{n}", path, "PA", "high" if n < high else "low", QUESTION, f"Report {n}.")
        for n in range(high + low)
    ]


@pytest.fixture(scope="module")
def splits(tmp_path_factory) -> Path:
    return reported(tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="module")
def processor() -> Processor:
    tokenizer = train_tokenizer([*QUESTION, "Report 1.", "system user assistant"], 400)
    return Processor(tokenizer, min_pixels=56 * 56, max_pixels=84 * 84)


@pytest.mark.parametrize("shape", [(72, 64), (500, 91), (64, 640), (1001, 833), (30, 30)])
def test_patches_are_those_of_transformers(shape):
    grey = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    theirs = Qwen2VLImageProcessorPil(size={"shortest_edge": 100 * 784 // 16, "longest_edge": 100 * 784})
    expected = theirs(images=[Image.fromarray(grey)], return_tensors="np")
    ours = patches(resized(grey, 100 * 784 // 16, 100 * 784))
    assert np.array_equal(ours.values, expected["pixel_values"])
    assert [list(ours.grid)] == expected["image_grid_thw"].tolist()


def test_a_fitted_film_is_left_as_it_is():
    for height, width in [(3056, 2544), (2544, 3056), (64, 64), (90, 1200)]:
        size = fitted(height, width, 3136, 802_816)
        assert fitted(*size, 3136, 802_816) == size


def test_only_the_report_and_its_end_are_learned(processor: Processor):
    row = processor.row(QUESTION, np.full((72, 64), 90, np.uint8), "Report 1.")
    batch = processor.batch([row, processor.row(QUESTION, np.full((140, 64), 90, np.uint8), "Report 1. Report 1.")])
    labels, tokens = batch["labels"][0], batch["input_ids"][0]
    learned = labels != IGNORED
    assert torch.equal(labels[learned], tokens[learned])
    assert processor.tokenizer.decode(tokens[learned]) == "Report 1.<|im_end|>"
    assert not batch["attention_mask"][0][len(row.tokens) :].any()
    assert (batch["mm_token_type_ids"].sum(1) == batch["image_grid_thw"].prod(1) // 4).all()
    asked = processor.tokenizer.decode(row.tokens[: row.prompt])
    assert asked.replace(IMAGE * (row.grid[1] * row.grid[2] // 4), IMAGE) == processor.prompt(QUESTION)


def test_padding_before_the_prompt_keeps_every_row(processor: Processor):
    rows = [processor.row(QUESTION, np.full((size, 64), 90, np.uint8)) for size in (64, 200)]
    batch = processor.batch(rows, left=True)
    for number, row in enumerate(rows):
        assert batch["input_ids"][number][batch["attention_mask"][number] == 1].tolist() == row.tokens


def test_words_of_a_report_are_never_read_as_pictures(processor: Processor):
    row = processor.row(QUESTION, np.full((64, 64), 90, np.uint8), f"Seen {IMAGE} here.")
    batch = processor.batch([row])
    assert batch["mm_token_type_ids"].sum() == batch["image_grid_thw"].prod() // 4


def test_a_long_report_is_cut_and_teaches_no_end(processor: Processor):
    short = Processor(processor.tokenizer, min_pixels=3136, max_pixels=7056, target_tokens=5)
    row = short.row(QUESTION, np.full((64, 64), 90, np.uint8), "Report 1. " * 20)
    assert len(row.tokens) - row.prompt == 5
    assert row.tokens[-1] != short.end


def test_examples_are_the_files_cases(splits: Path):
    corpus = read_corpus(splits, small(data={"borderline": "leave-out"}))
    both = read_corpus(splits, small(data={"borderline": "low"}))
    counts = Counter(each.regime for each in corpus.train)
    assert set(counts) == {"high", "low"}
    assert Counter(each.regime for each in both.train)["low"] > counts["low"]
    assert Counter(each.regime for each in both.train)["high"] == counts["high"]
    one = corpus.train[0]
    assert "Indication: Cough." in one.question.user
    assert "Technique: not given" in one.question.user
    assert not {each.study_id for each in corpus.train} & {each.study_id for each in corpus.validate}


def test_splits_of_another_prompt_are_refused(splits: Path, tmp_path: Path):
    (tmp_path / "cases.parquet").write_bytes((splits / "cases.parquet").read_bytes())
    manifest = json.loads((splits / "manifest.json").read_text())
    manifest["prompt"]["sha256"] = "0" * 64
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SettingsError, match="made with another text of prompt"):
        read_corpus(tmp_path, small())


@pytest.mark.parametrize("deep", [False, True])
def test_films_come_from_the_agents_reader_and_are_never_mirrored(tmp_path: Path, deep: bool):
    data = film(3)
    if deep:
        grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE).astype(np.uint16) * 200
        data = cv2.imencode(".png", grey)[1].tobytes()
    path = tmp_path / "film"
    path.write_bytes(data)
    one = examples(1, 0, str(path))[0]
    read = decode(data, max_pixels=10**8).pixels
    assert np.array_equal(Films(small(images={"side": 100}), ReadSettings()).clean(one), read)
    spoilt = Films(small(augment={"defects": ["jpeg"]}), ReadSettings()).spoilt(one, 0).astype(float)
    like = [
        np.corrcoef(spoilt.ravel(), cv2.resize(view, spoilt.shape[::-1]).ravel())[0, 1]
        for view in (read, read[:, ::-1])
    ]
    assert like[0] > 0.9 > like[1]


def test_spoilt_copies_depend_on_seed_turn_and_film_alone(tmp_path: Path):
    (tmp_path / "film").write_bytes(film(1))
    one = examples(1, 0, str(tmp_path / "film"))[0]
    films, again = (Films(small(), ReadSettings()) for _ in range(2))
    assert np.array_equal(films.spoilt(one, 1), again.spoilt(one, 1))
    others = [films.spoilt(one, 2), films.spoilt(replace(one, image_id="other"), 1)]
    others.append(Films(small(train={"seed": 7}), ReadSettings()).spoilt(one, 1))
    assert not any(np.array_equal(films.spoilt(one, 1), other) for other in others)


def test_a_film_that_is_gone_is_named(tmp_path: Path):
    one = examples(1, 0, str(tmp_path / "gone.jpg"))[0]
    with pytest.raises(SettingsError, match="gone"):
        Films(small(), ReadSettings()).clean(one)


def test_unseen_defects_may_not_be_trained_on():
    with pytest.raises(SettingsError, match="motion is declared unseen"):
        Films(small(augment={"defects": ["motion", "defocus"]}), ReadSettings())


def drawn(config: Config, films: list[Example], steps: int = 60):
    sampler = Sampler(films, config)
    return list(islice(sampler, steps))


def test_balanced_steps_hold_both_regimes_and_exactly_the_share_of_copies():
    films = examples(9, 4)
    draws = drawn(small(data={"low_share": 0.25}, augment={"share": 0.4}, train={"batch_size": 8}), films)
    assert all((len(draw.high), len(draw.low)) == (6, 2) for draw in draws)
    low = [pick for draw in draws for pick in draw.low]
    assert sum(pick.spoilt for pick in low) == round(0.4 * len(low))
    assert all(films[pick.film].regime == ("high" if pick.spoilt else "low") for pick in low)


def test_every_film_comes_once_a_turn_and_in_another_order():
    draws = drawn(small(augment={"share": 0.0}), examples(6, 5), 30)
    order = [pick.film for draw in draws for pick in draw.high]
    turns = [order[start : start + 6] for start in range(0, len(order) - 5, 6)]
    assert all(sorted(turn) == list(range(6)) for turn in turns)
    assert len(set(map(tuple, turns))) > 1


def test_clean_steps_show_high_films_and_proportional_ones_what_there_is():
    films = examples(30, 10)
    for share in (0.0, 0.5, 1.0):
        clean = drawn(small(strategy={"name": "sft_clean"}, augment={"share": share}), films)
        assert all(len(draw.high) == 4 and not draw.low for draw in clean)
        assert all(films[pick.film].regime == "high" and not pick.spoilt for draw in clean for pick in draw.high)
    mixed = drawn(small(strategy={"name": "sft_mix"}, augment={"share": 0.0}), films, 100)
    assert sum(len(draw.low) for draw in mixed) == 100
    spoilt = drawn(small(strategy={"name": "sft_mix"}, augment={"share": 0.5}), films)
    assert all(sum(pick.spoilt for pick in draw.low) == 2 and len([*draw.high, *draw.low]) == 4 for draw in spoilt)


def test_paired_copies_are_of_the_steps_own_films_and_twins_come_first():
    films = examples(8, 4)
    films.append(replace(films[0], image_id="worse", case_id="worse", regime="low"))
    draws = drawn(small(data={"paired": True}, augment={"share": 1.0}), films)
    for draw in draws:
        for high, low in zip(draw.high, draw.low, strict=True):
            assert low == ((12, high.turn, False) if high.film == 0 else (*high[:2], True))


def test_paired_steps_show_both_films_of_a_study_where_splits_have_two(splits: Path):
    config = small(data={"paired": True}, augment={"share": 0.5}, train={"batch_size": 8})
    films = read_corpus(splits, config).train
    seen = Counter[str]()
    for draw in drawn(config, list(films), 100):
        for high, low in zip(draw.high, draw.low, strict=True):
            one, other = films[high.film], films[low.film]
            if one.study_id == other.study_id and not low.spoilt:
                assert (one.regime, other.regime, one.view) == ("high", "low", other.view)
                assert one.path != other.path
                seen["twins"] += 1
            else:
                seen["copies" if low.spoilt else "others"] += 1
    assert min(seen["twins"], seen["copies"], seen["others"]) > 0


def test_steps_resume_and_spread_over_processes():
    films, config = examples(9, 5), small(train={"seed": 3})
    straight = Sampler(films, config)
    first = [next(iter(straight)) for _ in range(5)]
    resumed = Sampler(films, config)
    resumed.load_state_dict(json.loads(json.dumps(straight.state_dict())))
    assert next(iter(resumed)) == straight.draw(5)
    ranks = [Sampler(films, config, rank=rank, world=2) for rank in (0, 1)]
    assert [ranks[step % 2].draw(step // 2) for step in range(5)] == first
    with pytest.raises(SettingsError, match="not those of the run"):
        Sampler(films[:-1], config).load_state_dict(straight.state_dict())


@pytest.mark.parametrize(("high", "low"), [(0, 5), (5, 0)])
def test_a_regime_without_films_stops_before_any_step(high, low):
    with pytest.raises(SettingsError, match=r"no (high|low) film to train on"):
        Sampler(examples(high, low), small())
    Sampler(examples(5, 0), small(augment={"share": 1.0}))


def test_batches_are_the_same_with_readers_ahead(splits: Path, processor: Processor):
    config = small()
    corpus = read_corpus(splits, config)
    inline, ahead = (
        list(islice(loader(each, corpus.train, processor, ReadSettings()).batches, 3))
        for each in (config, small(data={"workers": 1}))
    )
    for one, other in zip(inline, ahead, strict=True):
        assert one.keys() == other.keys() == {"high", "low"}
        for regime in one:
            assert all(torch.equal(one[regime][name], other[regime][name]) for name in one[regime])


def test_validation_always_holds_both_regimes(splits: Path, processor: Processor):
    config = small()
    corpus = read_corpus(splits, config)
    watched = validation(config, corpus.validate, processor, ReadSettings())
    rows = {regime: sum(len(each["input_ids"]) for each in batches) for regime, batches in watched.items()}
    counts = Counter(each.regime for each in corpus.validate)
    assert rows == {"high": counts["high"], "low": counts["low"] + counts["high"]}
    assert watched["high"][0]["labels"].max() > 0
    first, again = (watched["low"][len(watched["low"]) - 1] for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_settings_say_what_is_wrong(tmp_path: Path):
    for text, said in [
        ("[train]\nstepz = 3", r"train\.stepz: no such setting"),
        ('[adapt]\nmethod = "lora"', 'model.path "tiny" starts at random'),
        ("[images]\nmin_pixels = 5000\nmax_pixels = 1000", "min_pixels exceeds"),
        ("[data]\nlow_share = 0.01", "leaves one regime without"),
        ("train =", "not TOML"),
    ]:
        path = tmp_path / "run.toml"
        path.write_text(text)
        with pytest.raises(SettingsError, match=said):
            read_config(path)
    assert read_config(None) == Config()
