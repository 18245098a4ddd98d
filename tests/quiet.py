"""Progress and warnings that nobody watches."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lrrg.pipelines.view import Advance


@contextmanager
def silent(label: str, total: int | None) -> Iterator[Advance]:
    """Show nothing."""

    def advance(done: int = 1, **counts: int) -> None:
        pass

    yield advance


def no_warning(messages: Sequence[str]) -> None:
    """A run that ought to have nothing to warn of."""
    assert list(messages) == []
