"""A Ray of this machine alone, kept up by a process of its own until the one that started it is gone."""

import logging
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import ClusterError

OBJECT_STORE = 128 << 20
"""Bytes for objects: images' references, never pixels."""


@contextmanager
def own_ray(cpus: int) -> Iterator[str]:
    """The address of a new Ray with so many CPUs, which ends with the block or with this process.

    In a session of its own: a signal to the whole process group of a run is for the run to act on, not for Ray. Enter
    it before anything imports `ray`.

    Raises:
        ClusterError: Ray does not start; its own message is on standard error.
    """
    # Nobody else may give it work; Ray looks at this when it is imported.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    command = [sys.executable, "-m", __name__, str(cpus)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as head:
        assert head.stdout
        assert head.stdin
        address = head.stdout.readline().strip()
        if not address:
            raise ClusterError("unreachable", "Ray does not start on this machine; its own message is above")
        try:
            yield address
        finally:
            head.stdin.close()


def main(cpus: int) -> None:
    """Start Ray, print its address, and end it when standard input ends."""
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    said = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the address is all that standard output is for
    ray.init(
        "local",
        num_cpus=cpus,
        object_store_memory=OBJECT_STORE,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    with os.fdopen(said, "w") as out:
        print(ray.get_runtime_context().gcs_address, file=out)
    sys.stdin.read()
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
