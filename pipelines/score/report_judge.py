"""The LLM metric: a locally served model counts what a report gets clinically wrong against its reference."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ...agent.client import Client
from ...agent.faults import JudgeReplyError
from ...agent.server import Limits, checked
from ...benchmark.model_metrics import MOST_ERRORS, Pair, value_metric
from ...prompts import load
from ..errors import ModelMetricError
from .model_metrics import Found

METRIC = "judge_errors"
PROMPT = "report_judge.v1"
SEEDS = (0, 1, 2)
Count = Annotated[int, Field(ge=0, le=MOST_ERRORS)]


class ReportErrors(BaseModel):
    """Clinically significant errors by kind; the six kinds that radiologists counted in ReXVal (Yu et al., 2023)."""

    model_config = ConfigDict(extra="forbid")

    false_finding: Count
    missing_finding: Count
    wrong_location: Count
    wrong_severity: Count
    false_comparison: Count
    missing_comparison: Count


@dataclass(frozen=True)
class ReportJudge:
    """Asks a served language model about every pair once, at temperature 0.

    Attributes:
        url: of an OpenAI-compatible server on this machine or on an allowed host.
        model: name under which it is served.
        limits: of the client.
    """

    url: str
    model: str
    limits: Limits

    def __post_init__(self) -> None:
        """Check the URL before any work.

        Raises:
            RefusedURL: code `refused-url`.
        """
        checked(self.url, self.limits.allow_hosts)

    def __call__(self, pairs: Collection[Pair]) -> Found:
        """Errors of every pair.

        Raises:
            JudgeUnavailable: the server cannot be reached, stays overloaded, or serves another model.
            ModelMetricError: a pair got no valid reply; no other pair is scored either.
        """
        values = asyncio.run(self._count_all(pairs))
        signature = f"{self.model}@{PROMPT}#{load(PROMPT).sha256[:12]}"
        return Found([value_metric(METRIC, values)], {"llm-judge": signature}, [METRIC])

    async def _count_all(self, pairs: Collection[Pair]) -> dict[Pair, float]:
        values: dict[Pair, float] = {}
        waiting = iter(sorted(set(pairs)))

        async def work(client: Client) -> None:
            for pair in waiting:
                values[pair] = await self._count(client, pair)

        async with Client(self.url, self.model, self.limits) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self.limits.concurrency):
                        group.create_task(work(client))
            except ExceptionGroup as faults:
                raise faults.exceptions[0] from None
        return values

    async def _count(self, client: Client, pair: Pair) -> float:
        prompt = load(PROMPT)
        messages = [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.fill({"candidate": pair[0], "reference": pair[1]})},
        ]
        try:
            found = await client.ask(messages, ReportErrors, max_tokens=128, seeds=SEEDS)
        except JudgeReplyError as error:
            raise ModelMetricError(error.code, f"{self.model} on a pair of reports: {error}") from error
        return float(sum(found.model_dump().values()))
