"""`lrrg serve judge` with the real vLLM on this machine's CPU."""

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from lrrg.agent.client import Client
from lrrg.agent.forms import Grades
from lrrg.agent.server import Limits
from lrrg.pipelines.serving import environment
from lrrg.pipelines.serving.models import COMPACT_NAME
from lrrg.pipelines.serving.profiles import profile
from lrrg.pipelines.serving.server import healthy
from lrrg.tests.project import LRRG, all_gone, eventually, family
from lrrg.tests.scripted import AGES
from lrrg.tests.served import Served, serving, skip_without_vllm

pytestmark = pytest.mark.vllm
FORMAT = {"type": "json_schema", "json_schema": {"name": "Grades", "schema": Grades.model_json_schema()}}
RUBRIC = "Rate the technique of this radiograph: noise, blur, exposure. " * 8
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
for flags in json.loads(sys.argv[1]):
    told = make_arg_parser(FlexibleArgumentParser()).parse_args(["a/model", *flags])
    validate_parsed_serve_args(told)
    print(told.mm_processor_kwargs["size"]["longest_edge"], told.mm_processor_cache_gb, told.enable_prefix_caching)
"""


def picture(seed: int) -> dict[str, Any]:
    grey = np.random.default_rng(seed).integers(0, 256, (112, 112), np.uint8)
    png = cv2.imencode(".png", grey)[1].tobytes()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(png).decode()}"}}


def ask(served: Served, number: int, text: str, **body: Any) -> list[str]:
    """Replies to so many different images, each behind the same text."""

    async def asked() -> list[str]:
        async with Client(served.url, served.model, Limits(concurrency=8)) as client:
            messages = [
                [{"role": "user", "content": [{"type": "text", "text": text}, picture(seed)]}] for seed in range(number)
            ]
            replies = await asyncio.gather(*(client.complete(messages=each, **body) for each in messages))
            return [reply.text for reply in replies]

    return asyncio.run(asked())


def test_the_compact_judge_is_served_with_its_revision(judge_server: Served):
    served = judge_server.page("/v1/models")
    assert judge_server.model == COMPACT_NAME
    assert re.search(rf'"{COMPACT_NAME}@[0-9a-f]{{12}}"', served)
    assert healthy(judge_server.root)


def test_every_reply_fits_the_schema_even_of_wild_sampling(judge_server: Served):
    wild = {"temperature": 1.5, "max_completion_tokens": 96, "response_format": FORMAT}
    replies = ask(judge_server, 64, "Grade.", **wild)
    grades = [Grades.model_validate_json(reply) for reply in replies]
    assert len(set(grades)) > 1, "sampled, not one reply for all"
    assert Counter(bool(re.search(r"\s", reply)) for reply in replies) == {False: 64}


def test_the_text_before_the_images_is_read_once(judge_server: Served):
    before = judge_server.cache()
    ask(judge_server, 32, RUBRIC, temperature=0, max_completion_tokens=96, response_format=FORMAT)
    asked, hit = (now - then for now, then in zip(judge_server.cache(), before, strict=True))
    assert hit / asked > 0.7


def test_a_second_server_on_the_same_port_is_refused(judge_server: Served):
    port = judge_server.root.rpartition(":")[2]
    done = subprocess.run([*LRRG, "serve", "judge", "--port", port], capture_output=True, text=True, timeout=AGES)
    assert done.returncode == 4
    assert port in done.stderr
    assert "--port" in done.stderr


@pytest.mark.slow
def test_a_killed_server_comes_back_at_the_same_address(judge_server: Served):
    front = judge_server.front()
    assert front is not None
    behind = front.children(recursive=True)
    front.kill()
    assert all_gone([front, *behind]), "the engine of the dead server would keep its memory"
    again = eventually(judge_server.front)
    eventually(lambda: healthy(judge_server.root), within=400)
    assert again.pid != front.pid
    assert Grades.model_validate_json(ask(judge_server, 1, "Grade.", response_format=FORMAT, temperature=0)[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_while_loading_it_leaves_nothing(tmp_path: Path, number: signal.Signals):
    skip_without_vllm()
    with serving("--port", "0", logs=tmp_path) as process:
        processes = eventually(lambda: loading(process))
        process.send_signal(number)
        assert process.wait(AGES) == (-number if number == signal.SIGKILL else 128 + number)
        assert all_gone(processes)


def loading(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The keeper and vLLM, once both are there and vLLM has been at work for a moment."""
    found = family(process.pid)
    busy = len(found) >= 2 and sum(found[-1].cpu_times()[:2]) > 1
    return found if busy else []


def test_a_server_that_does_not_start_shows_why_and_where_to_read_on(tmp_path: Path):
    skip_without_vllm()
    with serving("--port", "0", "--", "--no-such-flag", logs=tmp_path) as process:
        assert process.wait(AGES) == 4
    said = (tmp_path / "stderr").read_text()
    assert "unrecognized arguments: --no-such-flag" in said
    assert str(next(tmp_path.glob("judge-*.log"))) in said


def test_the_flags_for_gpus_are_real():
    """No GPU is needed to ask vLLM's own parser, which is the same in both builds."""
    skip_without_vllm()
    vllm = environment.find()
    flags = [profile("judge", "gpu").arguments(), profile("reporter", "gpu").arguments()]
    variables = os.environ | vllm.environment | {"VLLM_TARGET_DEVICE": "cpu"}
    command = [str(vllm.python), "-c", PARSE, json.dumps(flags)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-2:] == ["1003520 0.0 True"] * 2
