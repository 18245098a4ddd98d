"""The agent's graph: how its nodes are wired, and how one image runs through it."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langsmith import tracing_context

from .nodes import Measure, Measuring, Triage, verdict
from .policy import Policy
from .state import ImageRef, Reading, State, Verdict


class Judge(Protocol):
    """A node that settles an uncertain film, whatever it takes, and hands it on to `verdict`."""

    async def __call__(self, state: State) -> dict[str, Any]:
        """What to put into the state."""
        ...


def build(measure: Measure, policy: Policy, judge: Judge | None = None) -> CompiledStateGraph:
    """Wire the agent: measure, triage, then a judge for uncertain films where there is one, then the verdict.

    No checkpointer: the verdict's row is the checkpoint, and one image takes a fraction of a second.
    """
    doubtful = "judge" if judge else "verdict"
    graph = StateGraph(State)
    graph.add_node("measure", Measuring(measure), destinations=("triage", "verdict"))
    graph.add_node("triage", Triage(policy, doubtful), destinations=tuple({doubtful: None, "verdict": None}))
    graph.add_node("verdict", verdict)
    graph.add_edge(START, "measure")
    graph.add_edge("verdict", END)
    if judge:
        graph.add_node("judge", judge)
        graph.add_edge("judge", "verdict")
    return graph.compile()


async def decide(graph: CompiledStateGraph, image: ImageRef, reading: Reading | None = None) -> Verdict:
    """Run one image through the graph; a stored `reading` spares opening the file."""
    with tracing_context(enabled=False):
        state = await graph.ainvoke(_start(image, reading))
    return state["verdict"]


async def steps(graph: CompiledStateGraph, image: ImageRef) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield every node's name and what it put into the state, as it happens."""
    with tracing_context(enabled=False):
        async for update in graph.astream(_start(image, None), stream_mode="updates"):
            for node, written in dict(update).items():
                yield node, written or {}


def mermaid(graph: CompiledStateGraph) -> str:
    """Draw the graph as mermaid text, from its own wiring."""
    return graph.get_graph().draw_mermaid()


def _start(image: ImageRef, reading: Reading | None) -> State:
    return State(image=image) if reading is None else State(image=image, reading=reading)
