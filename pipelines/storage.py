"""Films in object stores, beside those in folders: who may be asked, how, and how patiently. Alone knows fsspec.

A path that starts with `s3://` or `gs://` is an object's; every other one is a file's, which no library of the
extra `cloud` is loaded for. Credentials come from where the store's own tools look (environment, profile, role of the
machine); lrrg has no setting for them and repeats no message of the store's library, which might quote them.
"""

import errno
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

from ..agent.hosts import is_loopback
from ..tools.image import ImageError
from ..tools.image import read_bytes as read_file
from .errors import SettingsError
from .extras import require
from .settings import ReadSettings

SCHEMES = ("s3://", "gs://")
WAITS = (0.25, 0.5, 1.0, 2.0, 4.0)
TIMEOUTS = {"connect_timeout": 5, "read_timeout": 10}
"""Seconds; all attempts together stay below `annotate.tool_timeout`."""
CONNECTIONS = 32
"""Requests under way at once in one process."""
_Answer = TypeVar("_Answer")


class StorageError(ConnectionError):
    """The store gives no answer, or refuses this machine; the object may be sound, so asking again makes sense.

    Attributes:
        code: `store-unreachable` (down, reset, silent, overloaded) or `store-refused` (credentials, bucket).
    """

    def __init__(self, code: str, why: str, url: str):
        super().__init__(errno.ECONNABORTED, why, url)
        self.code = code


class RefusedStore(SettingsError):  # noqa: N818 - as RefusedURL of the model client
    """The URL is no plain bucket, or its store is on a host that nobody allowed; nothing was sent."""

    code = "refused-url"


def is_object(path: str) -> bool:
    """Whether a path is an object's.

    >>> is_object("s3://bucket/a.dcm"), is_object("/data/a.dcm")
    (True, False)
    """
    return path.startswith(SCHEMES)


def read_bytes(path: str, limits: ReadSettings) -> bytes:
    """Read a film once, wherever it lies.

    Raises:
        ImageError: `missing`, `empty`, `too-many-bytes`; no more than `limits.max_bytes` are ever read.
        OSError: the storage failed; the film itself may be sound. `StorageError` where it is an object store.
        RefusedStore: its store is on a host that nobody allowed.
    """
    if not is_object(path):
        return read_file(Path(path), max_bytes=limits.max_bytes)
    try:
        data = store_of(path, limits).read(path, 0, limits.max_bytes + 1)
    except (FileNotFoundError, PermissionError) as error:
        raise ImageError("missing", f"cannot be opened: {error.strerror}") from error
    if len(data) > limits.max_bytes:
        raise ImageError("too-many-bytes", f"the object is larger than the {limits.max_bytes:,} bytes allowed")
    if not data:
        raise ImageError("empty", "the object has no bytes")
    return data


def admit(roots: Iterable[str], limits: ReadSettings) -> None:
    """See before any work that the store of each folder may be asked.

    Raises:
        RefusedStore: it may not; the message names the setting.
        SettingsError: the extra `cloud` is not installed.
    """
    for root in filter(is_object, roots):
        store_of(root, limits)


def checked(url: str) -> str:
    """The URL of a bucket or of a prefix in it, without a trailing slash.

    >>> checked("s3://bucket/mimic/")
    's3://bucket/mimic'

    Raises:
        RefusedStore: another scheme, no bucket, or user info, which belongs in no URL.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    if f"{scheme}://" not in SCHEMES:
        host = "…" if "@" in rest else bucket  # the parts of a URL with credentials in it cannot be told apart for sure
        raise RefusedStore(f"{scheme}://{host}: films are read from folders, s3:// and gs://")
    if not bucket or set(bucket) & set("@:?#"):
        raise RefusedStore(f"{scheme}://…: name {scheme}://BUCKET/PREFIX, without credentials or a port")
    return f"{scheme}://{bucket}/{key}".rstrip("/")


@dataclass(frozen=True)
class Store:
    """One connected store.

    Attributes:
        listing: bucket, prefix, whether folders are opened, page's token → names in the page, token of the next.
        fetch: object without its scheme, `start` and `end` by name → bytes.
        waits: seconds before each further attempt of a request; half by chance, so that workers do not knock together.
        faults: what its library raises when the network or the store fails.
        hopeless: those of them that no further attempt changes.
    """

    listing: Callable[[str, str, bool, str | None], tuple[list[str], str | None]]
    fetch: Callable[..., bytes]
    waits: tuple[float, ...]
    faults: tuple[type[Exception], ...]
    hopeless: tuple[type[Exception], ...]

    def read(self, url: str, start: int, end: int) -> bytes:
        """Bytes `start` to `end` of an object, fewer where it is shorter.

        Raises:
            FileNotFoundError, PermissionError: what the store says of this object.
            StorageError: no answer after all attempts, or none for this machine.
        """
        try:
            return self._patiently(url, lambda: self.fetch(url.partition("://")[2], start=start, end=end))
        except _BeyondEnd:
            return b""

    def pages(self, url: str, deep: bool) -> Iterator[list[str]]:
        """Names below a prefix, relative to it, a page at a time; those of folders end with a slash.

        Args:
            url: prefix, without a slash at its end.
            deep: every object below; otherwise one level with its folders.
        """
        bucket, _, key = url.partition("://")[2].partition("/")
        prefix = f"{key}/" if key else ""
        token: str | None = None
        while True:
            page = token
            names, token = self._patiently(url, lambda page=page: self.listing(bucket, prefix, deep, page))
            yield [name.removeprefix(prefix) for name in names if name != prefix]
            if token is None:
                return

    def _patiently(self, url: str, ask: Callable[[], _Answer]) -> _Answer:
        for wait in self.waits:
            try:
                return self._once(url, ask)
            except StorageError as error:
                if error.code == "store-refused":
                    raise
                time.sleep(wait * random.uniform(0.5, 1))
        return self._once(url, ask)

    def _once(self, url: str, ask: Callable[[], _Answer]) -> _Answer:
        try:
            return ask()
        except self.hopeless as error:
            raise StorageError("store-refused", f"no credentials for the store ({type(error).__name__})", url) from None
        except self.faults as error:
            raise _translated(error, url) from None


class _BeyondEnd(Exception):  # noqa: N818 - an answer, not a fault
    """The range asked for starts behind the object's last byte."""


_MISSING, _DENIED, _BEYOND = ("NoSuchKey", "404"), ("AccessDenied", "403"), ("InvalidRange", "416")
_OF_CALLER = (
    *("ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "NoSuchBucket", "RequestTimeTooSkewed"),
    *("SignatureDoesNotMatch", "400", "401"),
)


def _translated(error: Exception, url: str) -> Exception:
    """What a failed request means. Only names of codes and classes are repeated: messages may hold credentials."""
    if refused := _refusal(error):
        return refused
    code = _code(error)
    if code in _MISSING:
        return FileNotFoundError(errno.ENOENT, "No such object", url)
    if code in _DENIED:
        return PermissionError(errno.EACCES, "Permission denied", url)
    if code in _BEYOND:
        return _BeyondEnd()
    if code in _OF_CALLER:
        return StorageError("store-refused", f"the store refuses this machine's request ({code})", url)
    return StorageError("store-unreachable", f"no answer from the store ({code or type(error).__name__})", url)


def _refusal(error: BaseException | None) -> RefusedStore | None:
    """The refusal that the store's library wrapped into an error of its own."""
    while error and not isinstance(error, RefusedStore):
        error = error.__cause__ or error.__context__
    return error


def _code(error: Exception) -> str:
    """The store's own code of a failure; empty where none came back."""
    response = getattr(error.__cause__, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    if isinstance(error, FileNotFoundError):
        return "404"
    return str(getattr(error, "code", None) or "")


def store_of(url: str, limits: ReadSettings) -> Store:
    """The store of a URL; one connection a process and setting.

    Raises:
        RefusedStore: its host is not allowed; nothing was sent.
        SettingsError: its library is not installed, or what that library is told elsewhere is wrong.
    """
    connect = _s3 if url.startswith("s3:") else _gs
    return connect(limits.endpoint, limits.allow_hosts)


@cache
def _s3(endpoint: str | None, allow_hosts: tuple[str, ...]) -> Store:
    require("s3fs", "cloud")
    import fsspec
    from aiohttp import ClientError
    from botocore.exceptions import BotoCoreError, NoCredentialsError, PartialCredentialsError

    # One layer is patient, and it is not the library's; without `proxies` it would take those of the environment.
    config = {**TIMEOUTS, "proxies": {}, "retries": {"total_max_attempts": 1}, "max_pool_connections": CONNECTIONS}
    config["http_session_cls"] = _guarded_session(allow_hosts)
    try:
        store: Any = fsspec.filesystem("s3", endpoint_url=endpoint, config_kwargs=config, skip_instance_cache=True)
        store.retries = 1
        store.connect()
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"s3: cannot be set up ({type(error).__name__}); see AWS_PROFILE, ~/.aws/config") from None
    _see_allowed(store.s3.meta.endpoint_url, allow_hosts)

    def listing(bucket: str, prefix: str, deep: bool, token: str | None) -> tuple[list[str], str | None]:
        asked = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "" if deep else "/"}
        page = store.call_s3("list_objects_v2", **asked, **({"ContinuationToken": token} if token else {}))
        folders = [each["Prefix"] for each in page.get("CommonPrefixes", ())]
        return [each["Key"] for each in page.get("Contents", ())] + folders, page.get("NextContinuationToken")

    faults = (OSError, BotoCoreError, ClientError)
    return Store(listing, store.cat_file, WAITS, faults, (NoCredentialsError, PartialCredentialsError))


@cache
def _gs(endpoint: str | None, allow_hosts: tuple[str, ...]) -> Store:
    require("gcsfs", "cloud")
    from aiohttp import ClientError
    from gcsfs.core import GCSFileSystem
    from gcsfs.retry import HttpError
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError

    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # it quotes what the store answers
    # The plain class: what fsspec would give asks a second service about every bucket, whatever the endpoint.
    session = {"trace_configs": [_guard(allow_hosts)]}
    store: Any = GCSFileSystem(
        endpoint_url=endpoint, access="read_only", session_kwargs=session, skip_instance_cache=True
    )
    _see_allowed(store.base, allow_hosts)

    def listing(bucket: str, prefix: str, deep: bool, token: str | None) -> tuple[list[str], str | None]:
        asked = {"prefix": prefix, "delimiter": None if deep else "/", "pageToken": token}
        page = store.call("GET", "b/{}/o", bucket, **asked, fields="items/name,prefixes,nextPageToken", json_out=True)
        return [each["name"] for each in page.get("items", ())] + page.get("prefixes", []), page.get("nextPageToken")

    faults = (OSError, ClientError, GoogleAuthError, HttpError)
    # The library tries six times by itself, and cannot be told otherwise.
    return Store(listing, store.cat_file, (), faults, (DefaultCredentialsError,))


def _guarded_session(allow_hosts: tuple[str, ...]) -> type:
    """The S3 library's session, which here follows no redirect to a host that is not allowed."""
    from aiobotocore.httpsession import AIOHTTPSession

    class Guarded(AIOHTTPSession):
        async def _get_session(self, proxy_url: Any) -> Any:
            session = await super()._get_session(proxy_url)
            if not session.trace_configs:
                session.trace_configs.append(_guard(allow_hosts))
            return session

    return Guarded


def _guard(allow_hosts: tuple[str, ...]) -> Any:
    """What refuses to follow a redirect of HTTP to a host that is not allowed."""
    from aiohttp import TraceConfig

    async def turned(session: Any, context: Any, told: Any) -> None:
        location = told.response.headers.get("Location") or told.response.headers.get("URI") or ""
        _see_allowed(urljoin(str(told.url), location), allow_hosts)

    guard = TraceConfig()
    guard.on_request_redirect.append(turned)
    guard.freeze()
    return guard


def _see_allowed(endpoint: str, allow_hosts: tuple[str, ...]) -> None:
    host = urlsplit(endpoint).hostname or ""
    if not is_loopback(host) and not any(host == name or host.endswith(f".{name}") for name in allow_hosts):
        raise RefusedStore(
            f"{host}: refused; it is neither this machine nor in read.allow_hosts. A store learns whose films are "
            "read, and sees your credentials: allow it by name if your data may lie there"
        )
