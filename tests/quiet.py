"""Progress and warnings that nobody watches."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lrrg.pipelines.view import Advance


def quiet(done: int = 1, **counts: int) -> None:
    """Progress of which nobody is told."""


@contextmanager
def silent(label: str, total: int | None) -> Iterator[Advance]:
    """Show nothing."""
    yield quiet


def no_warning(messages: Sequence[str]) -> None:
    """A run that ought to have nothing to warn of."""
    assert list(messages) == []
