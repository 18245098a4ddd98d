"""Several servers of one model: shared load, lost servers, servers that come back."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from threading import Barrier, Event, Lock
from time import sleep

import pytest
from lrrg.agent.client import Client
from lrrg.agent.faults import JudgeUnavailable
from lrrg.agent.server import Identity, Limits
from lrrg.tests.scripted import AGES, Act, Server, fails, hangs, reserved, resets, says, serving
from pydantic import BaseModel

MESSAGES = [{"role": "user", "content": "how many?"}]
PATIENT = Limits(connect_seconds=AGES, read_seconds=AGES)
"""A stall of this process, which serves itself, is not the servers' fault."""


class Count(BaseModel):
    errors: int


def echo(body: dict) -> str:
    return json.dumps({"errors": body["seed"]})


def slowly(seconds: float) -> Act:
    """Echo the seed after a while."""

    def answer(body: dict) -> str:
        sleep(seconds)
        return echo(body)

    return says(answer)


def once(wait: Callable[[float], object]) -> Act:
    """Echo the seed when a wait is over."""

    def answer(body: dict) -> str:
        wait(AGES)
        return echo(body)

    return says(answer)


def seeds(server: Server) -> list[int]:
    return [body["seed"] for body in server.asked]


async def ask(client: Client, seed: int) -> int:
    return (await client.ask(MESSAGES, Count, max_tokens=16, seeds=(seed,))).errors


async def ask_all(client: Client, number: int) -> list[int]:
    return await asyncio.gather(*(ask(client, seed) for seed in range(number)))


def run(servers: list[Server], work: Callable[[Client], Awaitable], limits: Limits = PATIENT, model="judge"):
    """What `work` makes of a client of these servers, and the waits, which are cut to nothing."""
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0.01)

    async def go():
        async with Client([each.url for each in servers], model, limits, note) as client:
            return await work(client)

    return asyncio.run(go()), waits


def test_equal_servers_share_the_load():
    """Requests that come at once, and fewer than there is room for: each server has as many under way as any other."""

    async def by_sixes(client: Client):
        for _ in range(10):
            assert await ask_all(client, 6) == list(range(6))

    together = Barrier(6)
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(once(together.wait))) for _ in range(3)]
        _, waits = run(servers, by_sixes, replace(PATIENT, concurrency=4))
        assert [len(each.asked) for each in servers] == [20, 20, 20]
    assert waits == []


def test_a_slow_server_gets_less():
    """One that answers nothing until the other has answered 50 requests of 60."""
    almost_done = Event()

    def counting(body: dict) -> str:
        if len(quick.asked) >= 50:
            almost_done.set()
        return echo(body)

    with serving(once(almost_done.wait)) as slow, serving(says(counting)) as quick:
        answers, waits = run([slow, quick], lambda client: ask_all(client, 60), replace(PATIENT, concurrency=2))
        assert (answers, waits) == (list(range(60)), [])
        assert 2 <= len(slow.asked) <= 10


def test_single_requests_take_turns():
    async def one_after_another(client: Client):
        return [await ask(client, seed) for seed in range(6)]

    with serving(says(echo)) as first, serving(says(echo)) as second:
        run([first, second], one_after_another)
        assert (seeds(first), seeds(second)) == ([0, 2, 4], [1, 3, 5])


def test_a_killed_server_is_drained_and_comes_back_and_no_request_is_lost_or_doubled():
    """Server two is killed under load and comes back at its port; every request is answered exactly once."""

    async def through_it(client: Client):
        waiting = [asyncio.create_task(ask(client, seed)) for seed in range(80)]
        while len(second.asked) < 8:
            await asyncio.sleep(0.005)
        stack.pop_all().close()  # while no other coroutine runs: nobody asks a server that is half closed
        while sum(task.done() for task in waiting) < 60:
            await asyncio.sleep(0.005)
        revived = stack.enter_context(serving(slowly(0.02), port=port))
        answers = await asyncio.gather(*waiting)
        while len(revived.asked) < 4:
            await ask(client, 80 + len(revived.asked))
        return answers, revived.looked

    with reserved() as port, serving(slowly(0.02)) as first, ExitStack() as stack:
        second = stack.enter_context(serving(slowly(0.02), port=port))
        (answers, looked), _ = run([first, second], through_it, replace(PATIENT, concurrency=4))
    assert answers == list(range(80))
    assert looked[0] == "/health"
    assert "/v1/models" in looked


def test_one_coroutine_polls_however_many_wait():
    async def through_it(client: Client):
        await asyncio.to_thread(stack.close)
        waiting = [asyncio.create_task(ask(client, seed)) for seed in range(30)]
        await asyncio.sleep(0.2)
        revived = stack.enter_context(serving(says(echo), port=port))
        revived.health = 503
        while len(revived.looked) < 6:
            await asyncio.sleep(0.005)
        assert not any(task.done() for task in waiting)
        assert revived.asked == []
        assert sum("Fleet._poll" in repr(task.get_coro()) for task in asyncio.all_tasks()) == 1
        revived.health = 200
        return await asyncio.gather(*waiting), seeds(revived), revived.looked

    with reserved() as port, ExitStack() as stack:
        first = stack.enter_context(serving(says(echo), port=port))
        (answers, asked, looked), _ = run([first], through_it, replace(PATIENT, concurrency=8))
    assert answers == sorted(asked) == list(range(30))
    assert looked == ["/health", "/v1/models"] * (len(looked) // 2)


def test_patience_ends():
    async def through_it(client: Client):
        await asyncio.to_thread(stack.close)
        return await asyncio.gather(*(ask(client, seed) for seed in range(20)), return_exceptions=True)

    with ExitStack() as stack:
        servers = [stack.enter_context(serving(says(echo))) for _ in range(2)]
        answers, _ = run(servers, through_it, replace(PATIENT, patience=0.2))
    for answer in answers:
        assert isinstance(answer, JudgeUnavailable)
        assert answer.code == "unreachable"
        assert all(each.url in str(answer) for each in servers)


def test_a_server_that_is_up_when_patience_ends_is_asked():
    """Its poll may find it up in the very turn in which the waiting is given up."""

    async def through_it(client: Client):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client._fleet, "_down_since", float("-inf"))
            await client._fleet._come_up()
        return await ask(client, 1)

    with serving(says(echo)) as server:
        assert run([server], through_it)[0] == 1


def test_a_server_that_is_down_at_the_start_joins_later():
    async def join(client: Client):
        assert await ask_all(client, 10) == list(range(10))
        with serving(says(echo), port=port) as there:
            while not there.asked:
                await ask(client, 99)

    with reserved() as port, serving(says(echo)) as first:
        with serving(says(echo), port=port) as late:
            pass
        run([late, first], join)
        with pytest.raises(JudgeUnavailable, match="is the server running"):
            run([late], join)


@pytest.mark.parametrize("act", [fails(429, Retry_After="9"), fails(503), resets])
def test_what_one_server_refuses_another_takes_at_once(act: Act):
    with serving(act) as bad, serving(says(echo)) as good:
        answers, waits = run([bad, good], lambda client: ask_all(client, 12))
        assert answers == list(range(12))
        assert sorted(seeds(good)) == list(range(12))
        assert bad.asked
    assert waits == []


def test_where_all_refuse_the_shortest_wait_is_waited():
    busy = [fails(429, Retry_After="9"), says(echo)]
    with serving(*busy) as first, serving(fails(503, Retry_After="4"), says(echo)) as second:
        assert run([first, second], lambda client: ask(client, 1)) == (1, [4])


def test_a_hung_server_costs_its_requests_a_timeout_and_none_is_lost():
    limits = replace(PATIENT, read_seconds=1.0, concurrency=2)
    with serving(hangs) as hung, serving(says(echo)) as good:
        answers, _ = run([hung, good], lambda client: ask_all(client, 20), limits)
    assert answers == list(range(20))
    assert set(seeds(good)) == set(range(20)), "more than once where a busy machine made this one seem silent too"


def test_servers_of_different_models_are_refused():
    with serving(says(echo)) as first, serving(says(echo)) as second:
        second.models = {"judge": "/weights/judge-v2"}
        with pytest.raises(JudgeUnavailable, match="judge-v2") as caught:
            run([first, second], lambda client: ask(client, 1))
        assert caught.value.code == "wrong-model"
        with pytest.raises(JudgeUnavailable, match="serves judge, not reporter"):
            run([first], lambda client: ask(client, 1), model="reporter")


def test_a_server_that_comes_back_with_another_model_gets_no_request():
    async def refusal(client: Client) -> JudgeUnavailable:
        """Once it was looked at: patience may end before."""
        while True:
            with pytest.raises(JudgeUnavailable) as caught:
                await ask(client, 1)
            if caught.value.code != "unreachable":
                return caught.value

    async def through_it(client: Client):
        await asyncio.to_thread(stack.close)
        with serving(says(echo), port=port) as changed:
            changed.models = {"judge": "/weights/other"}
            return await refusal(client), changed.asked

    with reserved() as port, ExitStack() as stack:
        first = stack.enter_context(serving(says(echo), port=port))
        (error, asked), _ = run([first], through_it, replace(PATIENT, patience=0.3))
    assert (error.code, asked) == ("wrong-model", [])
    assert "other" in str(error)


@pytest.mark.parametrize(
    ("models", "identity"),
    [
        ({"judge": "/weights/judge", "judge@0f3c": "/weights/judge"}, Identity("judge", "0f3c")),
        ({"judge": "/weights/v3"}, Identity("judge", "v3")),
        ({"judge": "Qwen/Qwen2.5-VL-7B-Instruct"}, Identity("judge", "Qwen/Qwen2.5-VL-7B-Instruct")),
        ({"judge": None, "lora": None}, Identity("judge", None)),
    ],
)
@pytest.mark.parametrize("health", [200, 404])
def test_the_server_tells_what_it_serves(models: dict, identity: Identity, health: int):
    async def tell(client: Client):
        return client.identity

    with serving(says(echo)) as server:
        server.models, server.health = models, health
        assert run([server], tell, model=None)[0] == identity


def test_every_server_is_kept_as_busy_as_allowed_and_no_busier():
    lock, together = Lock(), Barrier(6)
    active, most = Counter[int](), Counter[int]()

    def counting(which: int) -> Act:
        def answer(body: dict) -> str:
            with lock:
                active[which] += 1
                most[which] = max(most[which], active[which])
            together.wait(AGES)
            with lock:
                active[which] -= 1
            return echo(body)

        return says(answer)

    with serving(counting(0)) as first, serving(counting(1)) as second:
        answers, _ = run([first, second], lambda client: ask_all(client, 24), replace(PATIENT, concurrency=3))
    assert answers == list(range(24))
    assert most == {0: 3, 1: 3}
