"""A local S3-compatible server in a process of its own, and a proxy before it that spoils connections."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3

KEY, SECRET = "PLANTEDKEYPLANTEDKEY", "planted/secret+planted/secret+planted/se"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "films"
SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
"""Serves at a port that is free, and says which."""


@dataclass(frozen=True)
class Bucket:
    """One bucket of a running server."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to read it: where it is, and credentials."""
        return CREDENTIALS | {"LRRG_READ__ENDPOINT": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true"}

    @property
    def client(self) -> Any:
        """The vendor's own client, to fill the bucket with."""
        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
        return boto3.client("s3", endpoint_url=self.endpoint, **keys)

    def put(self, key: str, content: bytes) -> None:
        """Store one object."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def mirror(self, folder: Path, prefix: str) -> str:
        """Copy a folder into the bucket; returns its URL."""
        client = self.client
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = f"{prefix}/{path.relative_to(folder).as_posix()}"
                client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
        return f"s3://{BUCKET}/{prefix}"


@contextmanager
def object_store() -> Iterator[Bucket]:
    """A server with an empty bucket; gone afterwards."""
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True) as process:
        assert process.stdout is not None
        bucket = Bucket(f"http://127.0.0.1:{int(process.stdout.readline())}")
        try:
            bucket.client.create_bucket(Bucket=BUCKET)
            yield bucket
        finally:
            process.kill()


@dataclass
class Spoiler:
    """Which answers a proxy spoils, and how.

    Attributes:
        faults: what happens to the next requests that `only` is a part of: `busy` (503 SlowDown), `expired` (400
            ExpiredToken), `reset` (the connection is cut before any answer), `half` (… in the middle of the body).
        only: part of the path of those requests.
        requests: method and path of every request.
    """

    faults: list[str] = field(default_factory=list)
    only: str = ""
    requests: list[str] = field(default_factory=list)


@contextmanager
def spoiling(bucket: Bucket) -> Iterator[tuple[Bucket, Spoiler]]:
    """The same bucket behind a proxy that plays faults."""
    spoiler = Spoiler()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            spoiler.requests.append(self.path)
            fault = spoiler.faults.pop(0) if spoiler.faults and spoiler.only in self.path else None
            if fault in ("busy", "expired"):
                status, code = (503, "SlowDown") if fault == "busy" else (400, "ExpiredToken")
                told = f"<Error><Code>{code}</Code><Message>{KEY} {SECRET}</Message></Error>"
                self.answer(status, told.encode(), {})
            elif fault == "reset":
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                status, content, headers = self.forwarded()
                self.answer(status, content, headers, cut=fault == "half")

        def forwarded(self) -> tuple[int, bytes, dict[str, str]]:
            given = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            try:
                with urlopen(Request(bucket.endpoint + self.path, headers=given)) as reply:
                    return reply.status, reply.read(), dict(reply.headers)
            except HTTPError as error:
                return error.code, error.read(), dict(error.headers)

        def answer(self, status: int, content: bytes, headers: dict[str, str], cut: bool = False) -> None:
            self.send_response(status)
            for name in ("Content-Type", "Content-Range", "ETag", "Last-Modified"):
                if name in headers:
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Bucket(f"http://127.0.0.1:{server.server_address[1]}"), spoiler
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
