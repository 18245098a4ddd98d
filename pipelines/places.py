"""Where a data set lies: a folder, or a prefix in an object store that answers to the same names."""

import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import chain, count, filterfalse, islice
from os import DirEntry
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, TypeVar

from .errors import SettingsError, StoreError
from .settings import ReadSettings
from .storage import CONNECTIONS, checked, is_object, store_of

FAN_OUT = 32
"""A prefix with more folders than this is listed with all that lies below it: one request a thousand names."""
BLOCK = 16 << 20
"""Bytes of one request of a table or an archive."""
PAGE = 1024
"""Small objects that are fetched side by side before the first of them is given out."""
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class ObjectEntry(NamedTuple):
    """What a listing says of one name, in the form of `os.DirEntry`; an object store has no links."""

    path: "ObjectPath"
    folder: bool

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.name

    def is_dir(self) -> bool:
        """Whether names lie below it."""
        return self.folder

    def is_file(self) -> bool:
        """Whether it is an object."""
        return not self.folder

    def is_symlink(self) -> bool:
        """Never."""
        return False


@dataclass
class Listing:
    """The names below a root, asked for once; of subtrees that were listed whole, the last one is kept.

    Attributes:
        url: the root, without a slash at its end.
        limits: how its store is read.
    """

    url: str
    limits: ReadSettings
    _levels: dict[str, dict[str, bool]] = field(default_factory=dict)
    _subtree: dict[str, dict[str, bool]] = field(default_factory=dict)
    _subtree_of: str | None = None

    def names(self, key: str) -> dict[str, bool]:
        """Names in the folder `key` (relative to the root), each with whether it is a folder."""
        if key in self._levels:
            return self._levels[key]
        if self._subtree_of is None or not f"{key}/".startswith(self._subtree_of):
            level = self._level(key)
            if level is not None:
                self._levels[key] = level
                return level
            self._subtree, self._subtree_of = self._whole(key), f"{key}/" if key else ""
        return self._subtree.get(key, {})

    def _level(self, key: str) -> dict[str, bool] | None:
        """One level; None where it has so many folders that asking each would take longer than listing all below."""
        names: dict[str, bool] = {}
        folders = 0
        for name in self._asked(key, deep=False):
            bare = name.removesuffix("/")
            names[bare] = bare != name or names.get(bare, False)
            folders += bare != name
            if folders > FAN_OUT:
                return None
        return names

    def _whole(self, key: str) -> dict[str, dict[str, bool]]:
        folders: dict[str, dict[str, bool]] = {key: {}}
        for name in self._asked(key, deep=True):
            at, rest = key, name
            while "/" in rest:
                part, _, rest = rest.partition("/")
                folders.setdefault(at, {})[part] = True
                at = f"{at}/{part}" if at else part
            if rest:
                folders.setdefault(at, {}).setdefault(rest, False)
        return folders

    def _asked(self, key: str, *, deep: bool) -> Iterator[str]:
        url = f"{self.url}/{key}" if key else self.url
        return chain.from_iterable(store_of(url, self.limits).pages(url, deep))


@dataclass(frozen=True)
class ObjectPath:
    """A place below a root in an object store, with those methods of `pathlib.Path` that adapters use."""

    listing: Listing
    key: PurePosixPath
    """Relative to the root."""

    def __str__(self) -> str:
        return f"{self.listing.url}/{self.key}" if self.key.parts else self.listing.url

    def __truediv__(self, other: str | PurePosixPath) -> "ObjectPath":
        return ObjectPath(self.listing, self.key / other)

    @property
    def name(self) -> str:
        """Last component."""
        return PurePosixPath(str(self)).name

    @property
    def stem(self) -> str:
        """Last component without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """Last suffix."""
        return self.key.suffix

    @property
    def suffixes(self) -> list[str]:
        """All suffixes."""
        return self.key.suffixes

    def entries(self) -> list[ObjectEntry]:
        """What a folder holds, by name; nothing where it is none."""
        names = self.listing.names(_text(self.key))
        return [ObjectEntry(self / name, folder) for name, folder in sorted(names.items())]

    def is_file(self) -> bool:
        """Whether it is an object."""
        return self._kind() is False

    def is_dir(self) -> bool:
        """Whether objects lie below it."""
        return bool(self.entries()) if not self.key.parts else self._kind() is True

    def _kind(self) -> bool | None:
        return self.listing.names(_text(self.key.parent)).get(self.name)

    def iterdir(self) -> Iterator["ObjectPath"]:
        """What a folder holds."""
        return (entry.path for entry in self.entries())

    def glob(self, pattern: str) -> Iterator["ObjectPath"]:
        """What a folder holds by that name; one level."""
        return (entry.path for entry in self.entries() if fnmatchcase(entry.name, pattern))

    def resolve(self) -> "ObjectPath":
        """Itself: an object store has neither links nor a working directory."""
        return self

    def files(self) -> Iterator[str]:
        """Every object below, relative to here."""
        pages = store_of(str(self), self.listing.limits).pages(str(self), deep=True)
        return (name for page in pages for name in page if not name.endswith("/"))

    def as_posix(self) -> str:
        """The URL."""
        return str(self)

    def open(self, mode: str = "r", encoding: str | None = None, newline: str | None = None) -> IO[Any]:
        """A copy of the object in a file that has no name and goes when it is closed.

        Raises:
            StorageError: the store does not give it.
        """
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        copy.writelines(self._blocks())
        copy.seek(0)
        return copy if "b" in mode else io.TextIOWrapper(copy, encoding=encoding, newline=newline)

    def read_bytes(self) -> bytes:
        """The whole object."""
        return b"".join(self._blocks())

    def head(self, length: int) -> bytes:
        """The first bytes of the object."""
        return store_of(str(self), self.listing.limits).read(str(self), 0, length)

    def read_text(self, encoding: str) -> str:
        """The whole object as text."""
        return self.read_bytes().decode(encoding)

    def _blocks(self) -> Iterator[bytes]:
        store = store_of(str(self), self.listing.limits)
        for start in count(0, BLOCK):
            block = store.read(str(self), start, start + BLOCK)
            yield block
            if len(block) < BLOCK:
                return


def _text(key: PurePosixPath) -> str:
    return str(key) if key.parts else ""


Location = Path | ObjectPath
Entry = DirEntry[str] | ObjectEntry


def location(text: str, limits: ReadSettings) -> Location:
    """The folder or file of that name, or the prefix or object.

    Raises:
        RefusedStore: the URL of something else, or of a store that nobody allowed.
        SettingsError: nothing is named, or the extra `cloud` is not installed.
    """
    if not text:  # of a variable that is not set, say; as a path it would be the working folder
        raise SettingsError("no folder or file is named; an empty name is none")
    if "://" not in text:
        return Path(text)
    url = checked(text)
    store_of(url, limits)
    return ObjectPath(Listing(url, limits), PurePosixPath())


def film(text: str, limits: ReadSettings) -> Location:
    """The file or object of that name.

    Raises:
        SettingsError: no such file, or a folder; for an object see `location`.
    """
    where = location(text, limits)
    if isinstance(where, Path) and where.is_dir():
        raise SettingsError(f"{text}: a folder; name one film in it")
    if isinstance(where, Path) and not where.is_file():
        raise SettingsError(f"{text}: no such file")
    return where


def holds_something(folder: Path) -> bool:
    """Whether a folder is there with something in it: where a disk is not mounted an empty one may stand."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return next(entries, None) is not None


def refuse_gone(folders: Iterable[str]) -> None:
    """Refuse to read from folders of this machine that hold nothing any more: all films would be called missing.

    Raises:
        StoreError: `no-films`.
    """
    for folder in filterfalse(is_object, folders):
        if not holds_something(Path(folder)):
            said = "nothing is there; mount it, or name the place where it is now to lrrg catalog"
            raise StoreError("no-films", f"{folder}: {said}")


def below(root: Location, other: Location) -> str:
    """The way from `root` to a place below it, with forward slashes; all of that place's name where it is elsewhere."""
    above, whole = (each.resolve().as_posix() for each in (root, other))
    return whole[len(above) + 1 :] if f"{whole}/".startswith(f"{above}/") else whole


def at_once(root: Location, work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """`work` on each item, in their order; below a root in a store, on many side by side, because each waits for it."""
    if isinstance(root, Path):
        yield from map(work, items)
        return
    left = iter(items)
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        while page := list(islice(left, PAGE)):
            yield from threads.map(work, page)


def read_each(root: Location, names: Iterable[str]) -> Iterator[bytes]:
    """Contents of small files below a root, in the order of their names."""
    return at_once(root, lambda name: (root / name).read_bytes(), names)
