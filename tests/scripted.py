"""A model server on the loopback that misbehaves as its script says; real sockets, the standard library's server."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import log
from typing import Any

from lrrg.agent.state import ASPECTS

Act = Callable[["Handler", dict[str, Any]], None]
AGES = 300.0
"""Seconds: more than a busy machine may hold up what is bound to happen."""


class Handler(BaseHTTPRequestHandler):
    """Plays one act of the script per request; the last act stays on."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.looked.append(self.path)
        if self.server.closing.is_set():
            resets(self, {})
        elif self.path == "/health":
            self.send(self.server.health, b"")
        elif self.path == "/v1/models":
            listed = [{"id": name, "object": "model", "root": root} for name, root in self.server.models.items()]
            self.send(200, json.dumps({"object": "list", "data": listed}).encode())
        else:
            self.send(404, b"{}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        # A connection kept alive outlives the listening socket.
        act = resets if self.server.closing.is_set() else self.server.next_act(body)
        act(self, body)

    def send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


class Server(ThreadingHTTPServer):
    """Knows its script and what it was asked.

    Attributes:
        models: served, with where each came from.
        health: status of the page `/health`.
        asked: the bodies of all requests; `looked`: the paths of all pages that were fetched.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_port = True

    def __init__(self, script: Sequence[Act], port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.models: dict[str, str | None] = {"judge": "/weights/judge"}
        self.health = 200
        self.script, self.asked, self.looked = list(script), list[dict[str, Any]](), list[str]()
        self.closing = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next_act(self, body: dict[str, Any]) -> Act:
        with self._lock:
            self.asked.append(body)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def reserved() -> Iterator[int]:
    """A port that refuses connections until `serving` takes it, and that nobody else is given meanwhile."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@contextmanager
def serving(*script: Act, port: int = 0) -> Iterator[Server]:
    """A server of the model `judge` that is gone afterwards; on a free port, or on one that is reserved."""
    server = Server(script, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def says(text: str | Callable[[dict[str, Any]], str], finish: str = "stop", model: str | None = None) -> Act:
    """A whole chat completion; `text` may depend on the request, `model` names another than the one asked for."""

    def act(handler: Handler, body: dict[str, Any]) -> None:
        message = {"role": "assistant", "content": text if isinstance(text, str) else text(body)}
        choice = {"index": 0, "finish_reason": finish, "message": message}
        reply = {"id": "1", "object": "chat.completion", "created": 0, "model": model or body["model"]}
        handler.send(200, json.dumps({**reply, "choices": [choice]}).encode())

    return act


def tells(*tokens: tuple[str, dict[str, float]]) -> Act:
    """A whole chat completion of tokens with the probabilities of what might have stood in their place."""
    text = "".join(token for token, _ in tokens)
    listed = [
        {
            "token": token,
            "logprob": log(alternatives[token]),
            "top_logprobs": [{"token": other, "logprob": log(p)} for other, p in alternatives.items()],
        }
        for token, alternatives in tokens
    ]

    def act(handler: Handler, body: dict[str, Any]) -> None:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        choice["logprobs"] = {"content": listed}
        reply = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice]}
        handler.send(200, json.dumps(reply).encode())

    return act


def fails(status: int, **headers: str) -> Act:
    """An error status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _: handler.send(status, b'{"error": {"message": "scripted"}}', named)


def sends(content: bytes) -> Act:
    """A body with status 200."""
    return lambda handler, _: handler.send(200, content)


def hangs(handler: Handler, _: dict[str, Any]) -> None:
    """Take the request and say nothing until the server closes."""
    handler.server.closing.wait(30)


def resets(handler: Handler, _: dict[str, Any]) -> None:
    """Drop the connection with a TCP reset."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def stops_midway(handler: Handler, _: dict[str, Any]) -> None:
    """Announce more bytes than come."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": ')
    handler.close_connection = True


PIECES = [piece for aspect in ASPECTS for piece in (f'"{aspect}":', "1", ",")]
GRADES = tells(*((piece, {piece: 1.0}) for piece in ["{", *PIECES[:-1], "}"]))
"""A judge's reply that finds every aspect mildly wrong."""
