"""What a fine-tuning run is told: one TOML file, read once, stored beside what it made."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import SettingsError

TINY = "tiny"
Part = Literal["language", "vision", "projector"]
Sampling = Literal["clean", "proportional", "balanced", "paired"]
Share = Annotated[float, Field(ge=0, le=1)]
Severity = Annotated[int, Field(ge=1, le=5)]


class Section(BaseModel):
    """A group of settings of a fine-tuning run."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSection(Section):
    """Which model is trained."""

    path: str = Field(
        TINY, description="folder or hub id of a Qwen2.5-VL; `tiny` makes a small one whose weights start at random"
    )
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="of the weights; bfloat16 needs a GPU to pay")
    attention: Literal["sdpa", "eager", "flash_attention_2"] = Field(
        "sdpa", description="kernel; strategies with an exact second derivative need eager"
    )


class TinySection(Section):
    """Size of the model that `path = "tiny"` makes; without effect on any other."""

    hidden: int = Field(128, ge=32, multiple_of=32, description="width of the language model")
    layers: int = Field(2, ge=1, description="of the language model")
    vision_hidden: int = Field(128, ge=32, multiple_of=32, description="width of the vision tower")
    vision_layers: int = Field(2, ge=1, description="of the vision tower")
    vocabulary: int = Field(1024, ge=300, description="tokens at most, learned on the training reports")


class AdaptSection(Section):
    """Which weights learn."""

    method: Literal["lora", "full"] = Field("full", description="low-rank adapters, or the weights themselves")
    parts: tuple[Part, ...] = Field(
        ("language", "vision", "projector"),
        min_length=1,
        description="parts that learn, others stay frozen; vLLM takes adapters on `language` only",
    )
    rank: int = Field(16, ge=1, description="of the adapters")
    alpha: float = Field(32.0, gt=0, description="scale of the adapters; their output is multiplied by alpha / rank")
    dropout: Share = Field(0.0, description="of the adapters' inputs")


class ImageSection(Section):
    """How films become image tokens; one token shows 28 x 28 pixels."""

    min_pixels: int = Field(56 * 56, ge=28 * 28, description="smaller films are enlarged to so many pixels")
    max_pixels: int = Field(1024 * 28 * 28, ge=28 * 28, description="larger films are reduced to so many pixels")
    side: int = Field(
        1280, ge=64, description="long side to which a film is reduced in training, before a defect is drawn into it"
    )


class DataSection(Section):
    """What is drawn for a step."""

    borderline: Literal["high", "low", "leave-out"] = Field(
        "high", description="regime in which borderline films train"
    )
    low_share: Annotated[float, Field(gt=0, lt=1)] = Field(0.5, description="of a batch that is the low regime")
    paired: bool = Field(
        False, description="low films are twins of the high ones: the study's own low film, else a spoilt copy"
    )
    target_tokens: int = Field(512, ge=8, description="of a report at most; a longer one is cut and teaches no end")
    workers: int = Field(0, ge=0, description="processes that read films ahead; 0 reads them in the training process")
    kept: int = Field(512, ge=0, description="reduced films that each of these processes keeps in memory")


class AugmentSection(Section):
    """Spoilt copies of high films that train as low ones."""

    share: Share = Field(
        0.5, description="of the low regime's draws that are spoilt copies; of all draws where a batch has no such half"
    )
    defects: tuple[str, ...] = Field((), description="of LRRG-C, seen ones only; none named: all seen ones")
    severities: tuple[Severity, ...] = Field((2, 3, 4, 5), min_length=1, description="drawn evenly")


class StrategySection(Section):
    """How the two regimes' gradients become one step."""

    name: Literal["sft_clean", "sft_mix", "sft_balanced", "dual_loop", "fish", "pcgrad"] = Field(
        "sft_balanced", description="what is done with the high and the low batch"
    )


class TrainSection(Section):
    """How long and how fast."""

    steps: int = Field(200, ge=1, description="optimizer steps")
    batch_size: int = Field(8, ge=2, description="reports a step and process, both regimes together")
    learning_rate: float = Field(1e-4, gt=0, description="highest")
    seed: int = Field(0, ge=0, description="of weights that start at random, of order and of spoilt copies")


class Config(Section):
    """Everything a run is told."""

    model: ModelSection = ModelSection()  # pyright: ignore[reportCallIssue]
    tiny: TinySection = TinySection()  # pyright: ignore[reportCallIssue]
    adapt: AdaptSection = AdaptSection()  # pyright: ignore[reportCallIssue]
    images: ImageSection = ImageSection()  # pyright: ignore[reportCallIssue]
    data: DataSection = DataSection()  # pyright: ignore[reportCallIssue]
    augment: AugmentSection = AugmentSection()  # pyright: ignore[reportCallIssue]
    strategy: StrategySection = StrategySection()  # pyright: ignore[reportCallIssue]
    train: TrainSection = TrainSection()  # pyright: ignore[reportCallIssue]

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.model.path == TINY and (self.adapt.method != "full" or len(set(self.adapt.parts)) < 3):
            raise ValueError('model.path "tiny" starts at random: adapt.method must be "full" and train every part')
        if self.images.min_pixels > self.images.max_pixels:
            raise ValueError("images.min_pixels exceeds images.max_pixels")
        if not 0 < self.low_rows < self.train.batch_size:
            raise ValueError("data.low_share leaves one regime without a report in a batch of train.batch_size")
        return self

    @property
    def low_rows(self) -> int:
        """Rows of a batch that are the low regime."""
        return round(self.data.low_share * self.train.batch_size)

    @property
    def sampling(self) -> Sampling:
        """How films are drawn: the strategy decides, and `data.paired` among those that balance."""
        if self.strategy.name == "sft_clean":
            return "clean"
        if self.strategy.name == "sft_mix":
            return "proportional"
        return "paired" if self.data.paired else "balanced"


def read_config(path: Path | None) -> Config:
    """Read a TOML file; without one every setting has its default.

    Raises:
        SettingsError: the file is missing or no TOML, or a setting is unknown or invalid, which the message names.
    """
    if path is None:
        return Config()
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error


def parse(values: dict[str, Any], source: str) -> Config:
    """Check settings that come as nested dictionaries.

    Raises:
        SettingsError: a setting is unknown or invalid; the message names `source` and the setting.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'config'}: {each['msg']}" for each in error.errors())
        raise SettingsError(f"{source}: {problems}") from error
