"""The model client against a server on the loopback that misbehaves as its script says."""

import asyncio
import json
import pickle
from dataclasses import replace
from email.utils import formatdate
from math import log
from threading import Barrier, Lock
from time import time

import pytest
from lrrg.agent import server as one_server
from lrrg.agent.client import Client
from lrrg.agent.faults import JudgeReplyError, JudgeUnavailable, RefusedURL
from lrrg.agent.server import Limits, checked, retry_after
from lrrg.pipelines.settings import load
from lrrg.tests.scripted import (
    AGES,
    Act,
    Server,
    fails,
    hangs,
    reserved,
    resets,
    says,
    sends,
    serving,
    stops_midway,
    tells,
)
from pydantic import BaseModel

MESSAGES = [{"role": "user", "content": "how many?"}]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


class Count(BaseModel):
    errors: int


GOOD = says('{"errors": 3}')
PATIENT = Limits(connect_seconds=AGES, read_seconds=AGES)
"""A stall of this process, which serves itself, is not the server's fault."""

UNSURE = b"""{"model": "judge", "choices": [{"message": {"content": "{\\"errors\\": 3}"}, "finish_reason": "stop",
 "logprobs": {"content": [{"token": "3", "logprob": %s}]}}]}"""


def ask(server: Server, limits: Limits = PATIENT, seeds: tuple[int, ...] = (0,)) -> tuple[Count, list[float]]:
    """The server's answer, and the waits between attempts, which are not waited for."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    async def run() -> Count:
        async with Client(server.url, "judge", limits, note) as client:
            return await client.ask(MESSAGES, Count, max_tokens=16, seeds=seeds)

    return asyncio.run(run()), waits


def test_an_answer_is_constrained_and_deterministic():
    with serving(GOOD) as server:
        assert ask(server, seeds=(7,)) == (Count(errors=3), [])
    (body,) = server.asked
    assert (body["model"], body["temperature"], body["seed"]) == ("judge", 0, 7)
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["errors"]


@pytest.mark.parametrize("act", [fails(408), fails(409), fails(425), fails(429), fails(500), fails(503)])
def test_passing_trouble_is_waited_out_longer_each_time(act: Act):
    with serving(act, act, act, GOOD) as server:
        answer, waits = ask(server)
    assert answer.errors == 3
    assert all(0.25 * 2**i <= wait <= 0.5 * 2**i for i, wait in enumerate(waits))
    assert len(waits) == 3


def test_the_server_says_how_long_to_wait_within_reason():
    with serving(fails(429, Retry_After="7"), fails(503, Retry_After="9999"), GOOD) as server:
        assert ask(server)[1] == [7, PATIENT.longest_wait]


def test_retry_after_may_be_a_date_or_nonsense():
    assert 3000 < (retry_after(formatdate(time() + 3600, usegmt=True)) or 0) <= 3600
    assert retry_after("soon") is None
    assert retry_after(None) is None


@pytest.mark.parametrize("act", [resets, stops_midway])
def test_a_lost_connection_is_tried_again(act: Act):
    with serving(act, act, GOOD) as server:
        answer, waits = ask(server)
    assert (answer.errors, len(waits), len(server.asked)) == (3, 2, 3)


def test_a_hung_server_is_given_up():
    """Whatever page it does not answer in time: on a busy machine it may be the first that is looked at."""
    with serving(hangs) as server, pytest.raises(JudgeUnavailable, match=r"[Tt]ime") as caught:
        ask(server, replace(PATIENT, read_seconds=0.5, attempts=2))
    assert caught.value.code == "unreachable"
    assert len(server.asked) <= 2


def test_silence_ends_an_attempt():
    async def run(url: str) -> None:
        await one_server.Server(url, replace(PATIENT, read_seconds=0.2)).complete("judge", {"messages": MESSAGES})

    with serving(hangs) as server, pytest.raises(one_server.Lost, match="timed out"):
        asyncio.run(run(server.url))


def test_nobody_listening():
    with reserved() as port:
        with serving(GOOD, port=port) as server:
            pass
        with pytest.raises(JudgeUnavailable, match="is the server running") as caught:
            ask(server, replace(PATIENT, attempts=3))
    assert caught.value.code == "unreachable"


def test_lasting_overload_stops_after_the_attempts():
    with serving(fails(503)) as server, pytest.raises(JudgeUnavailable) as caught:
        ask(server, replace(PATIENT, attempts=4))
    assert (caught.value.code, len(server.asked)) == ("overloaded", 4)


@pytest.mark.parametrize(
    ("act", "error", "code"),
    [
        (fails(400), JudgeReplyError, "rejected"),
        (fails(422), JudgeReplyError, "rejected"),
        (fails(401), JudgeUnavailable, "unauthorised"),
        (fails(404), JudgeUnavailable, "wrong-model"),
        (says('{"errors": 3}', model="other"), JudgeUnavailable, "wrong-model"),
    ],
)
def test_what_will_not_pass_is_not_asked_twice(act: Act, error: type[Exception], code: str):
    with serving(act) as server, pytest.raises(error) as caught:
        ask(server, seeds=(0, 1))
    assert (getattr(caught.value, "code", None), len(server.asked)) == (code, 1)


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (says('{"errors": '), "malformed"),
        (says('{"errors": "many"}'), "malformed"),
        (says('{"errors": 3', finish="length"), "truncated"),
        (sends(b"{"), "malformed"),
        (sends(b"[]"), "malformed"),
        (sends(b'{"model": "judge", "choices": []}'), "malformed"),
        (sends(UNSURE % b"null"), "malformed"),
        (sends(UNSURE % b'"likely"'), "malformed"),
    ],
)
def test_a_bad_reply_is_asked_for_again_with_the_next_seed(act: Act, code: str):
    with serving(act, GOOD) as server:
        assert ask(server, seeds=(5, 6))[0].errors == 3
    assert [body["seed"] for body in server.asked] == [5, 6]
    assert server.asked[0]["temperature"] == 0 < server.asked[1]["temperature"]
    with serving(act) as server, pytest.raises(JudgeReplyError) as caught:
        ask(server, seeds=(5, 6))
    assert (caught.value.code, len(server.asked)) == (code, 2)


def test_tokens_come_with_their_alternatives():
    async def run(url: str):
        async with Client(url, "judge", PATIENT) as client:
            return await client.ask_scored(MESSAGES, Count, max_tokens=16, seeds=(0,))

    with serving(tells(('{"errors":', {'{"errors":': 1.0}), ("3", {"3": 0.5, "1": 0.25}), ("}", {"}": 1.0}))) as server:
        answer = asyncio.run(run(server.url))
    assert (answer.form, answer.text) == (Count(errors=3), '{"errors":3}')
    assert (server.asked[0]["logprobs"], server.asked[0]["top_logprobs"]) == (True, 5)
    assert [token.text for token in answer.tokens] == ['{"errors":', "3", "}"]
    assert dict(answer.tokens[1].top) == pytest.approx({"3": log(0.5), "1": log(0.25)})
    with serving(GOOD) as server, pytest.raises(JudgeUnavailable) as caught:
        asyncio.run(run(server.url))
    assert caught.value.code == "no-probabilities"


@pytest.mark.parametrize("fault", [JudgeUnavailable("overloaded", "busy"), JudgeReplyError("malformed", "no", "{")])
def test_faults_cross_process_borders(fault: JudgeUnavailable | JudgeReplyError):
    there = pickle.loads(pickle.dumps(fault))
    assert (type(there), str(there), vars(there)) == (type(fault), str(fault), vars(fault))


def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch):
    for name in PROXIES:
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(GOOD) as server:
        assert ask(server, replace(PATIENT, attempts=1))[0].errors == 3


def test_a_redirect_is_not_followed():
    with serving(GOOD) as other, serving(fails(307, Location=f"{other.url}/chat/completions")) as server:
        with pytest.raises(JudgeReplyError):
            ask(server)
        assert other.asked == []


def test_requests_under_way_are_bounded():
    lock, together, active, most = Lock(), Barrier(2), set[int](), [0]

    def answer(body: dict) -> str:
        with lock:
            active.add(body["seed"])
            most[0] = max(most[0], len(active))
        together.wait(AGES)
        with lock:
            active.discard(body["seed"])
        return json.dumps({"errors": body["seed"]})

    async def run(url: str) -> list[Count]:
        async with Client(url, "judge", replace(PATIENT, concurrency=2)) as client:
            asked = [client.ask(MESSAGES, Count, max_tokens=16, seeds=(seed,)) for seed in range(12)]
            return await asyncio.gather(*asked)

    with serving(says(answer)) as server:
        assert [count.errors for count in asyncio.run(run(server.url))] == list(range(12))
    assert most[0] == 2


LOOPBACK = ["http://localhost:8000/v1", "http://127.0.0.1/v1", "https://127.9.9.9:1/v1", "http://[::1]:8000/v1"]
ELSEWHERE = [
    "http://judge.example:8000/v1",
    "http://10.0.0.7:8000/v1",
    "http://0.0.0.0:8000/v1",
    "http://[::ffff:127.0.0.1]/v1",
    "http://localhost.example/v1",
    "http://localhost.:8000/v1",
    "http://127.0.0.1.example/v1",
    "http://2130706433/v1",
    "http://127.1/v1",
    "http://user@127.0.0.1/v1",
    "http://127.0.0.1:8000@judge.example/v1",
    "http://127.0.0.1\\@judge.example/v1",
    "http://127.0.0.1%2eexample/v1",
    "http://127.0.0.1\t.example/v1",
    "http://127.0.0.1/v1?to=judge.example",
    "http://127.0.0.1:99999/v1",
    "http://１２７.0.0.1/v1",
    "ftp://127.0.0.1/v1",
    "file:///v1",
    "127.0.0.1:8000",
    "",
]


@pytest.mark.parametrize("url", LOOPBACK)
def test_this_machine_is_allowed(url: str):
    assert checked(url) == url


@pytest.mark.parametrize("url", ELSEWHERE)
def test_everywhere_else_is_refused(url: str):
    with pytest.raises(RefusedURL) as caught:
        Client(url, "judge")
    assert caught.value.code == "refused-url"


def test_a_host_is_allowed_by_name_and_by_nothing_like_it():
    assert checked("http://Judge.example:8000/v1", {"judge.EXAMPLE"})
    for url in ("http://judge.example.org/v1", "http://my.judge.example/v1", "http://judge.example@other/v1"):
        with pytest.raises(RefusedURL):
            checked(url, {"judge.example"})


def test_settings_and_limits_agree():
    section = load().client.model_dump()
    assert Limits(**section) == Limits()
