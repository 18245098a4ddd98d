"""A small process between `lrrg` and a server: when its own standard input ends, so does everything the server started.

vLLM runs in several processes, and those behind its front live on when the front is killed. The keeper leads their
process group. The kernel closes its input whatever becomes of `lrrg`, a SIGKILL included, so that no path leaves a
process behind. Standard library only: it starts in milliseconds, with any interpreter.
"""

import os
import select
import signal
import subprocess
import sys

POLL_SECONDS = 0.2


def keep(command: list[str], grace_seconds: float) -> None:
    """Run a server until it ends or standard input does, then end its whole process group, this process included.

    Args:
        command: of the server.
        grace_seconds: between SIGTERM and SIGKILL.
    """
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, and not SIG_IGN, which the server would inherit.
        signal.signal(number, lambda *_: None)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    while server.poll() is None and not _input_ended():
        pass
    if server.returncode is None:
        os.killpg(0, signal.SIGTERM)
        try:
            server.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            print(f"still there {grace_seconds:g} s after SIGTERM: killed", flush=True)
    else:
        print(f"the server ended by itself, exit status {server.returncode}", flush=True)
    os.killpg(0, signal.SIGKILL)


def _input_ended() -> bool:
    readable, _, _ = select.select([0], [], [], POLL_SECONDS)
    return bool(readable) and not os.read(0, 1)


if __name__ == "__main__":
    keep(sys.argv[2:], float(sys.argv[1]))
