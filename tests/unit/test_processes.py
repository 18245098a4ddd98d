"""The meter of the benchmarks: what a command's processes used, and which of them were workers."""

import sys

from lrrg.pipelines.bench.processes import cost

BURN = "end = time.process_time() + {}\nwhile time.process_time() < end: pass"
FORKS = f"""
import os, subprocess, sys, time
if len(sys.argv) == 1:
    subprocess.run([sys.executable, __file__, "helper"], check=True)
elif os.fork() == 0:
    {BURN.format(0.6).replace(chr(10), chr(10) + "    ")}
else:
    os.wait()
    {BURN.format(0.4).replace(chr(10), chr(10) + "    ")}
"""


def test_what_a_forked_worker_used_is_told_from_what_its_parents_used(tmp_path):
    script = tmp_path / "forks.py"
    script.write_text(FORKS)
    found = cost([sys.executable, str(script)], {})
    assert found.exit_code == 0
    assert 0 < found.seen_of_workers < found.seen
    assert found.seen_of_workers <= found.cpu - 0.4
