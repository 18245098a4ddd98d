"""The stages behind `lrrg policy`: fit one on labelled films, and give one the quantiles of an archive."""

from pathlib import Path
from typing import NamedTuple

from ...agent.policy import Policy, load
from ...benchmark.ladder import read_ladder
from ..adapters.base import SUFFIXES
from ..errors import SettingsError
from ..examples import bases, examples, ladders, unlabelled
from ..films import labelled_films
from ..settings import ReadSettings
from ..view import Progress
from .check import Rows, check, check_severities
from .fit import fit_policy
from .reference import own_reference

SPOILED = 12
"""Good films of each half of the patients that are spoiled on purpose."""
SEVERITIES = (2, 3, 4, 5)
"""LRRG-C severities they are spoiled at: the tool benchmark's 1 to 4."""


class Outcome(NamedTuple):
    """A fitted policy and what is known about it, one table a name."""

    policy: Policy
    tables: dict[str, Rows]


def fit_folder(folder: Path, name: str, read: ReadSettings, progress: Progress) -> Outcome:
    """Fit a policy on a folder of labelled films and check it on what each fit had not seen.

    Raises:
        SettingsError: no manifest, an unreadable film, too few good or low films.
    """
    labelled = [film for film in labelled_films(folder) if film.label]
    chosen = [film for half in (False, True) for film in bases([f for f in labelled if f.reporting == half], SPOILED)]
    with progress("measure films", len(labelled)) as advance:
        films = examples(labelled, read, advance)
    with progress("spoil and measure films", len(chosen)) as advance:
        spoiled = ladders(chosen, read_ladder(), SEVERITIES, read, advance)
    policy = fit_policy(name, films, spoiled)
    tables = check(films, spoiled)
    tables["severities"] = check_severities(policy, films, spoiled, read_ladder())
    return Outcome(policy, tables)


def reference_folder(
    folder: Path, base: str, limit: int, read: ReadSettings, progress: Progress
) -> tuple[Policy, list[str]]:
    """Give a policy the reference quantiles of a folder's own films.

    Args:
        folder: frontal films of one archive, good and bad as they come; labels are not needed.
        base: name or path of the policy whose model stays.
        limit: films to read at most, evenly spaced in the order of their paths.
        read: limits of one file.
        progress: shows how far it got.

    Returns:
        The policy, and one message for each film that cannot be read.

    Raises:
        SettingsError: no films, or too few readable ones.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise SettingsError(f"{folder}: no PNG, JPEG or DICOM file below it")
    step = max(1, -(-len(paths) // limit))
    with progress("measure films", len(paths[::step])) as advance:
        found, unreadable = unlabelled(paths[::step], read, advance)
    return own_reference(load(base), found), unreadable
