"""A store that sends its callers elsewhere: followed to where reading is allowed, and nowhere else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lrrg.pipelines.settings import ReadSettings
from lrrg.pipelines.storage import RefusedStore, read_bytes
from lrrg.tests.buckets import CREDENTIALS


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (CREDENTIALS | {"AWS_EC2_METADATA_DISABLED": "true"}).items():
        monkeypatch.setenv(name, value)


@contextmanager
def redirecting(target: str) -> Iterator[str]:
    """The address of a store that sends everybody who asks for anything to `target`, which itself gives 8 bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here = self.path == "/here"
            self.send_response(200 if here else 307)
            self.send_header("Location", target.format(port=server.server_address[1]))
            self.send_header("Content-Length", "8" if here else "0")
            self.end_headers()
            self.wfile.write(b"x" * 8 if here else b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("scheme", ["s3", "gs"])
@pytest.mark.parametrize("away", ["http://films.elsewhere.invalid/here", "//films.elsewhere.invalid/here"])
def test_a_redirect_to_a_host_that_nobody_allowed_is_not_followed(scheme: str, away: str):
    with redirecting(away) as endpoint, pytest.raises(RefusedStore, match=r"films\.elsewhere\.invalid"):
        read_bytes(f"{scheme}://films/a.jpg", ReadSettings.model_validate({"endpoint": endpoint}))


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_redirect_to_a_host_that_is_allowed_is_followed(scheme: str):
    with redirecting("http://localhost:{port}/here") as endpoint:
        found = read_bytes(f"{scheme}://films/a.jpg", ReadSettings.model_validate({"endpoint": endpoint}))
    assert found == b"x" * 8
