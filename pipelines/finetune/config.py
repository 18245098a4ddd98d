"""What a fine-tuning run is told: one TOML file, read once, stored beside what it made."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import SettingsError
from ..settings import problems

TINY = "tiny"
Part = Literal["language", "vision", "projector"]
Sampling = Literal["clean", "proportional", "balanced", "paired"]
Share = Annotated[float, Field(ge=0, le=1)]
Severity = Annotated[int, Field(ge=1, le=5)]


class Section(BaseModel):
    """A group of settings of a fine-tuning run."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Told = TypeVar("Told", bound=Section)


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

    hidden: int = Field(128, ge=64, multiple_of=64, description="width of the language model")
    layers: int = Field(2, ge=1, description="of the language model")
    vision_hidden: int = Field(128, ge=32, multiple_of=32, description="width of the vision tower")
    vision_layers: int = Field(2, ge=1, description="of the vision tower")
    vocabulary: int = Field(3072, ge=300, description="tokens at most, learned on the training reports")


class AdaptSection(Section):
    """Which weights learn."""

    method: Literal["lora", "full"] = Field("full", description="low-rank adapters, or the weights themselves")
    parts: tuple[Part, ...] = Field(
        ("language", "vision", "projector"),
        min_length=1,
        description="parts that learn, others stay frozen; vLLM takes adapters on `language` only",
    )
    rank: int = Field(16, ge=1, description="of the adapters")
    alpha: int = Field(32, gt=0, description="scale of the adapters; their output is multiplied by alpha / rank")
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
    workers: int = Field(
        0, ge=0, le=256, description="processes that read films ahead; 0 reads them in the training process"
    )
    kept: int = Field(512, ge=0, description="reduced films that each of these processes keeps in memory")


class AugmentSection(Section):
    """Spoilt copies of high films that train as low ones."""

    share: Share = Field(
        0.5,
        description="of the low regime's draws that are spoilt copies; of all in `sft_mix`, of none in `sft_clean`",
    )
    defects: tuple[str, ...] = Field((), description="of LRRG-C, seen ones only; none named: all seen ones")
    severities: tuple[Severity, ...] = Field((2, 3, 4, 5), min_length=1, description="drawn evenly")


class StrategySection(Section):
    """How the two regimes' gradients become one step; what names no other strategy belongs to `dual_loop`."""

    name: Literal[
        "sft_clean", "sft_mix", "sft_balanced", "dual_loop", "fish", "pcgrad", "group_dro", "momentum_sam"
    ] = Field("sft_balanced", description="what is done with the high and the low batch")
    mode: Literal["first_order", "finite_difference", "exact"] = Field(
        "first_order",
        description="`first_order` costs what plain fine-tuning costs; `finite_difference` has the whole gradient at "
        "about twice that; `exact` is its reference and needs eager attention without checkpointing",
    )
    roles: Literal["high_low", "low_high", "alternating"] = Field(
        "high_low", description="regime of the inner step, then of the outer loss"
    )
    reach: Literal["optimizer", "gradient"] = Field(
        "optimizer", description="unit of alpha: the optimizer's last step, or the raw gradient"
    )
    alpha: float = Field(1.0, ge=0, description="length of the inner step, in units of reach")
    consistency: float = Field(
        0.0, ge=0, description="weight of 1 - cosine of the regimes' gradients; not in first_order, which cannot see it"
    )
    scope: Literal["global", "module"] = Field("global", description="what a cosine is taken over")
    radius: float = Field(
        0.003,
        gt=0,
        description="of a difference, relative to the length of all weights that learn; bfloat16 needs .003 to .01",
    )
    central: bool = Field(False, description="central differences: more exact, at three times the cost of plain")
    anchor: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="decay of a running mean of the inner gradient to look ahead along; 0 takes this step's alone"
    )
    meta_rate: Share = Field(0.5, description="of the way of `fish`'s inner steps that is gone")
    weight_rate: float = Field(0.01, ge=0, description="at which `group_dro`'s weights follow the regimes' losses")
    ascent: float = Field(
        0.05,
        ge=0,
        description="length over all that learn: how far from them `momentum_sam` takes its gradient",
    )

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.mode == "first_order" and self.consistency:
            raise ValueError(
                "strategy.consistency > 0 needs its second derivatives: set strategy.mode to finite_difference"
            )
        if self.mode != "first_order" and self.anchor:
            raise ValueError("strategy.anchor is for mode first_order: other modes differentiate the inner step")
        if self.roles == "alternating" and self.anchor:
            raise ValueError("strategy.anchor is a mean over one regime: set strategy.roles to high_low or low_high")
        return self


class TrainSection(Section):
    """How long and how fast."""

    steps: int = Field(200, ge=1, description="optimizer steps")
    batch_size: int = Field(8, ge=2, description="reports a micro-step and process, both regimes together")
    accumulation: int = Field(1, ge=1, description="micro-steps a step: together they are each regime's batch")
    learning_rate: float = Field(1e-4, gt=0, description="highest")
    warmup: Share = Field(0.05, description="of the steps, in which the learning rate rises; then it falls as a cosine")
    weight_decay: float = Field(0.0, ge=0, description="of AdamW")
    gradient_norm: float = Field(1.0, ge=0, description="longest gradient, longer ones are shortened; 0 lets all be")
    bfloat16: bool = Field(False, description="compute in bfloat16, the weights that learn stay float32")
    gradient_checkpointing: bool = Field(False, description="recompute activations: less memory, a third more time")
    evaluate_every: int = Field(0, ge=0, description="steps between losses on validate and checkpoints; 0: none")
    patience: int = Field(0, ge=0, description="validations without a better loss after which to stop; 0 never stops")
    probe_every: int = Field(
        0, ge=0, description="steps between cosines on validate, of which each regime needs two batches; 0: none"
    )
    seed: int = Field(0, ge=0, description="of weights that start at random, of order and of spoilt copies")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.patience and not self.evaluate_every:
            raise ValueError("train.patience needs train.evaluate_every")
        return self


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
    """Read a run's settings; without a file every one has its default.

    Raises:
        SettingsError: see `read_toml`.
    """
    return Config() if path is None else read_toml(path, Config)


def read_toml(path: Path, form: type[Told]) -> Told:
    """Read a TOML file in a form.

    Raises:
        SettingsError: the file is missing or no TOML, or a setting is unknown or invalid, which the message names.
    """
    try:
        return form.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        raise SettingsError(f"{path}: {problems(error)}") from error
