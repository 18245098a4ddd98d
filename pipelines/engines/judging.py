"""The agent as a run uses it: with its judge, where one is named, and with eyes in the worker processes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from ...agent import graph
from ...agent.client import RETRY_TEMPERATURE, TOP_TOKENS, Client
from ...agent.forms import Request, Seen
from ...agent.graph import Graph, Judging
from ...agent.judge import MAX_TOKENS, SEEDS, Bench
from ...agent.nodes import Sending
from ...agent.policy import Policy
from ...agent.reconcile import RULE_VERSION
from ...agent.server import Limits
from ...agent.state import Failure, ImageRef, Reading, Verdict
from ...prompts import Prompt
from ...prompts import load as load_prompt
from ..errors import SettingsError
from ..settings import Settings
from .inspecting import CUT_VERSION, Cut, look, read_and_look, remeasure
from .worker import Found, Work, read

COMPACT = "lrrg-judge"
"""What the served names of our own small judges begin with."""


Warn = Callable[[Sequence[str]], None]
"""Tells a person what to know, one line each."""


class Ask(Protocol):
    """Has a worker do its work on an image: `Pool.ask`."""

    async def __call__(self, image: ImageRef, work: Work[Found]) -> Found | Failure:
        """What the work gave, or why it gave nothing."""
        ...


@dataclass(frozen=True)
class Agent:
    """The wired graph; `decide` runs one image through it."""

    graph: Graph
    eyes: "Eyes | None" = None

    async def decide(self, image: ImageRef, reading: Reading | None = None) -> Verdict:
        """The verdict on one image; a stored `reading` spares measuring it.

        Raises:
            JudgeUnavailable: the judge cannot be reached.
            ToolError: a tool broke.
        """
        try:
            return await graph.decide(self.graph, image, reading)
        finally:
            if self.eyes:
                self.eyes.forget(image)


@dataclass
class Eyes:
    """Looks at films through worker processes; remembers pictures while their image is under way, and no longer.

    Attributes:
        ask: has a worker do its work.
        cut: how pictures are cut.
        at_once: whether to cut the first look while measuring, because every film needs it.
    """

    ask: Ask
    cut: Cut
    at_once: bool
    _seen: dict[str, dict[Request | None, Seen]] = field(default_factory=dict)

    async def measure(self, image: ImageRef) -> Reading | Failure:
        """Measure one file."""
        if not self.at_once:
            return await self.ask(image, read)
        found = await self.ask(image, partial(read_and_look, cut=self.cut))
        if isinstance(found, Failure):
            return found
        reading, self._seen.setdefault(image.image_id, {})[None] = found
        return reading

    async def look(self, image: ImageRef, request: Request | None) -> Seen | Failure:
        """Have one look."""
        seen = self._seen.setdefault(image.image_id, {})
        if request not in seen:
            found = await self.ask(image, partial(look, cut=self.cut, request=request))
            if isinstance(found, Failure):
                return found
            seen[request] = found
        return seen[request]

    async def remeasure(self, image: ImageRef) -> dict[str, float] | Failure:
        """Take the measures again, in another way."""
        return await self.ask(image, remeasure)

    def forget(self, image: ImageRef) -> None:
        """Let go of an image's pictures."""
        self._seen.pop(image.image_id, None)


def identify(settings: Settings) -> dict[str, Any] | None:
    """What of the judge can change a verdict, for the recipe; None where no judge is asked.

    Raises:
        JudgeUnavailable: no server is up, or one serves another model.
        RefusedURL: a URL leads off this machine.
        SettingsError: more looks than the prompt explains.
        PromptError: there is no such prompt.
    """
    return asyncio.run(_identified(settings)) if settings.judge.urls else None


async def _identified(settings: Settings) -> dict[str, Any]:
    async with _client(settings) as client:
        model, revision = client.identity
    prompt, how = prompt_of(settings, model), settings.judge
    return {
        "model": model,
        "revision": revision,
        "prompt": prompt.name,
        "prompt_sha256": prompt.sha256,
        "looks": looks_of(settings, prompt),
        "when": how.when,
        "audit": how.audit if how.when == "uncertain" else None,
        "cut": CUT_VERSION,
        "seeds": SEEDS,
        "retry_temperature": RETRY_TEMPERATURE,
        "top_tokens": TOP_TOKENS,
        "max_tokens": MAX_TOKENS,
        "rule": RULE_VERSION,
    }


def fitted(policy: Policy, judge: Mapping[str, Any] | None) -> Policy:
    """The policy for runs with this judge, which `identify` gave: what was fitted to another is left out."""
    if judge is None:
        return policy.for_judge(None)
    return policy.for_judge(judge["model"], judge["revision"], judge["prompt_sha256"])


def left_out(policy: Policy, judge: Mapping[str, Any] | None) -> list[str]:
    """What to tell a person whose policy was fitted to another judge than this one, which `identify` gave."""
    known = policy.judge
    if known is None or judge is None or fitted(policy, judge).judge:
        return []
    there, here = (known.model, known.revision), (judge["model"], judge["revision"])
    asked = _named(*here) if here != there else f"that judge with another prompt, {judge['prompt']}"
    return [
        f"policy {policy.name}: how it hears a judge was fitted to {_named(*there)}, and you ask {asked}: that section "
        "is left out, so quality and regime are the tools' alone; lrrg calibrate fits one to your judge"
    ]


def _named(model: str, revision: str | None) -> str:
    return f"{model} ({revision or 'revision unknown'})"


def under_way(settings: Settings) -> int:
    """Images that wait for the judge while others are measured: twice as many as its servers take at once.

    A server decodes a batch in step and gives its replies in bursts; films must be ready to take their places.
    """
    return 2 * len(settings.judge.urls) * settings.client.concurrency


def prompt_of(settings: Settings, model: str) -> Prompt:
    """The prompt a model is given: the one that is set, else the one it was trained on or that large models get."""
    usual = "quality_judge_compact.v1" if model.startswith(COMPACT) else "quality_judge.v1"
    return load_prompt(settings.judge.prompt or usual)


def cut_of(prompt: Prompt) -> Cut:
    """How pictures are cut for a judge that is given this prompt."""
    return Cut(prompt.front["overview_px"], prompt.front["crop_px"])


def looks_of(settings: Settings, prompt: Prompt) -> int:
    """How many more looks the judge may ask for.

    Raises:
        SettingsError: more than the prompt tells it how to ask for, or the prompt is no judge's.
    """
    if "looks" not in prompt.front:
        raise SettingsError(f"judge.prompt: {prompt.name} is no prompt of a judge; it does not say how films are cut")
    most, chosen = prompt.front["looks"], settings.judge.looks
    if chosen is not None and chosen > most:
        raise SettingsError(f"judge.looks: {prompt.name} allows {most} more looks, not {chosen}")
    return most if chosen is None else chosen


@asynccontextmanager
async def open_agent(policy: Policy, settings: Settings, ask: Ask) -> AsyncIterator[Agent]:
    """The agent of a run, connected to its judge where `settings` name one.

    Raises:
        JudgeUnavailable: no server is up, or one serves another model.
    """
    if not settings.judge.urls:
        yield Agent(graph.build(partial(ask, work=read), policy.for_judge(None)))
        return
    async with _client(settings) as client:
        prompt, how = prompt_of(settings, client.identity.model), settings.judge
        policy = policy.for_judge(*client.identity, prompt.sha256)
        eyes = Eyes(ask, cut_of(prompt), at_once=how.when == "all")
        bench = Bench(client, prompt, looks_of(settings, prompt), eyes.look)
        judging = Judging(bench, Sending(how.when, how.audit), eyes.remeasure)
        yield Agent(graph.build(eyes.measure, policy, judging), eyes)


def _client(settings: Settings) -> Client:
    return Client(settings.judge.urls, settings.judge.model, Limits(**settings.client.model_dump()))
