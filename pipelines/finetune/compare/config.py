"""What the experiment is told: sizes, learning rates, seeds and the rows of its table."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..config import Section, Share, StrategySection, read_toml

SHIPPED = Path(__file__).with_name("compare.toml")
Law = Literal["seen", "natural"]


class FilmSection(Section):
    """How many films; no two runs share one, and none of theirs is among those that the start was trained on."""

    start: int = Field(1800, ge=10, description="films that the start is trained on")
    validate_: int = Field(100, ge=10, alias="validate", description="films that learning rates are chosen on")
    test: int = Field(160, ge=30, description="films that are scored, each clean and spoilt in every way")
    high: int = Field(400, ge=10, description="clean films a run has")
    low: int = Field(60, ge=4, description="low films a run has, other than the clean ones")


class PretrainSection(Section):
    """The start of every run: all weights trained on clean films."""

    steps: int = Field(3000, ge=1)
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    hidden: int = Field(96, multiple_of=32, description="width of language model and vision tower")
    layers: int = Field(2, ge=1, description="of each of them")


class RunSection(Section):
    """One fine-tuning run."""

    passes: int = Field(240, ge=2, description="forward and backward passes of half a batch: equal for every row")
    batch_size: int = Field(16, ge=2, description="films a step, both regimes together")
    rank: int = Field(8, ge=1, description="of the adapters, on language and vision")
    learning_rates: tuple[float, ...] = Field(
        (2e-3, 6e-3), min_length=1, description="grid of every row; one needs no tuning runs"
    )
    tuning_seeds: tuple[int, ...] = Field((100,), min_length=1, description="runs that choose a learning rate")
    seeds: tuple[int, ...] = Field((1, 2, 3, 4, 5), min_length=2, max_length=10, description="runs that are scored")

    @model_validator(mode="after")
    def _fresh(self) -> Self:
        if set(self.seeds) & set(self.tuning_seeds):
            raise ValueError("run.seeds and run.tuning_seeds share a seed: it would be scored on what it was chosen by")
        return self


class RowSection(Section):
    """One row of the table."""

    name: str
    strategy: StrategySection = StrategySection()  # pyright: ignore[reportCallIssue]
    augment: Share = Field(0.0, description="of the low films, the share that are spoilt copies of clean ones")
    low_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    average: bool = Field(False, description="constant learning rate, and the mean of the last half's weights")
    law: Law = Field("seen", description="how its low films are spoilt; see task.LAWS")
    against: str = Field("", description="row that it is compared with; none named: the experiment's baseline")

    @property
    def passes(self) -> int:
        """Half-batch passes of one step."""
        if self.strategy.name != "dual_loop" or self.strategy.mode == "first_order":
            return 2
        second = 2 if self.strategy.consistency else 1
        return 2 + second * (2 if self.strategy.central else 1)


class Comparison(Section):
    """The whole experiment."""

    films: FilmSection = FilmSection()  # pyright: ignore[reportCallIssue]
    pretrain: PretrainSection = PretrainSection()  # pyright: ignore[reportCallIssue]
    run: RunSection = RunSection()  # pyright: ignore[reportCallIssue]
    baseline: str = Field(description="row that the others are compared with, seed by seed")
    rows: tuple[RowSection, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        names = [row.name for row in self.rows]
        if len(set(names)) < len(names) or self.baseline not in names:
            raise ValueError("rows need names of their own, and baseline is one of them")
        strange = {row.against for row in self.rows} - {"", *names}
        if strange:
            raise ValueError(f"no row is called {', '.join(sorted(strange))}, which others are compared with")
        return self

    @property
    def opponents(self) -> dict[str, str]:
        """The row that each row is compared with."""
        return {row.name: row.against or self.baseline for row in self.rows}


def read_comparison(path: Path = SHIPPED) -> Comparison:
    """Read an experiment.

    Raises:
        SettingsError: see `read_toml`.
    """
    return read_toml(path, Comparison)
