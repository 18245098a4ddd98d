"""The client against a real vLLM: token probabilities, and two addresses of one server."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import cv2
import numpy as np
import pytest
from lrrg.agent.client import Answer, Client
from lrrg.agent.faults import JudgeReplyError
from lrrg.agent.forms import Grades
from lrrg.agent.scores import scores
from lrrg.agent.server import Limits
from lrrg.agent.state import ASPECTS
from lrrg.prompts import load
from lrrg.tests.served import Served

PROMPT = load("quality_judge_compact.v1")
SIDES = (PROMPT.front["overview_px"], PROMPT.front["crop_px"], PROMPT.front["crop_px"])


def messages(seed: int) -> list[dict[str, Any]]:
    """The compact judge's conversation about three pictures of grain."""
    rng = np.random.default_rng(seed)
    content: list[dict[str, Any]] = [{"type": "text", "text": PROMPT.user}]
    for side in SIDES:
        grain = np.clip(rng.normal(128, 8 * (seed % 8), (side, side)), 0, 255).astype(np.uint8)
        png = base64.b64encode(cv2.imencode(".png", grain)[1].tobytes()).decode()
        content.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}})
    return [{"role": "system", "content": PROMPT.system}, {"role": "user", "content": content}]


def run(urls: list[str], work: Callable[[Client], Awaitable[Any]], limits: Limits | None = None) -> Any:
    async def go() -> Any:
        async with Client(urls, None, limits) as client:
            return await work(client)

    return asyncio.run(go())


async def ask(client: Client, seed: int) -> Answer[Grades]:
    return await client.ask_scored(messages(seed), Grades, max_tokens=64, seeds=(0, 1))


async def ask_all(client: Client, number: int) -> list[Answer[Grades]]:
    return await asyncio.gather(*(ask(client, seed) for seed in range(number)))


def severities(answers: list[Answer[Grades]]) -> list[list[float]]:
    return [[score.severity for score in scores(answer.text, answer.tokens).values()] for answer in answers]


@pytest.fixture(scope="module")
def undisturbed(judge_server: Served) -> list[Answer[Grades]]:
    return run([judge_server.url], lambda client: ask_all(client, 24))


def test_scores_are_the_probabilities_of_the_grammars_digits(undisturbed: list[Answer[Grades]]):
    for answer in undisturbed:
        found = scores(answer.text, answer.tokens)
        assert list(found) == list(ASPECTS)
        for aspect, score in found.items():
            assert score.grade == getattr(answer.form, aspect)  # decoded greedily
        digits = [token for token in answer.tokens if token.text in tuple("0123")]
        assert len(digits) == len(ASPECTS)
        for token in digits:
            mass = sum(np.exp(logprob) for text, logprob in token.top if text in tuple("0123"))
            assert mass == pytest.approx(1, abs=1e-3)  # the grammar allows nothing else


def test_two_addresses_share_the_load_and_tell_one_model(judge_server: Served, undisturbed: list[Answer[Grades]]):
    async def through_both(client: Client) -> Any:
        return client.identity, await ask_all(client, 24)

    second = judge_server.url.replace("127.0.0.1", "localhost")
    identity, answers = run([judge_server.url, second], through_both, Limits(concurrency=2))
    assert identity.model == judge_server.model
    assert identity.revision is not None
    # What else a batch holds moves the last digits.
    assert np.allclose(severities(answers), severities(undisturbed), atol=1e-2)


def test_what_the_server_calls_wrong_is_not_repeated(judge_server: Served):
    async def too_long(client: Client) -> Any:
        text = [{"role": "user", "content": "film " * 20_000}]
        with pytest.raises(JudgeReplyError) as caught:
            await client.ask(text, Grades, max_tokens=64, seeds=(0, 1))
        return caught.value.code

    assert run([judge_server.url], too_long) == "rejected"
