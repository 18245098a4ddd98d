"""The agent's graph: how its nodes are wired, and how one image runs through it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langsmith import tracing_context

from .judge import Asking, Bench, Inspecting
from .nodes import Measure, Measuring, Sending, Triage, verdict
from .policy import Policy
from .reconcile import Reconciling, Remeasure
from .state import ImageRef, Reading, State, Verdict

Graph = CompiledStateGraph
"""The agent, wired."""


@dataclass(frozen=True)
class Judging:
    """A judge and how it is used.

    Attributes:
        bench: the model, what it is told, and how it looks at films.
        sending: which films it sees.
        remeasure: settles disputes with the tools.
    """

    bench: Bench
    sending: Sending
    remeasure: Remeasure


def build(measure: Measure, policy: Policy, judging: Judging | None = None) -> Graph:
    """Wire the agent: measure, triage, the judge's loop where there is one, then the verdict.

    No checkpointer: the verdict's row is the checkpoint, and one image takes a fraction of a second.
    """
    graph = StateGraph(State)
    graph.add_node("measure", Measuring(measure), destinations=("triage", "verdict"))
    graph.add_node(
        "triage",
        Triage(policy, judging.sending if judging else None),
        destinations=("judge", "verdict") if judging else ("verdict",),
    )
    if judging:
        graph.add_node("judge", Asking(judging.bench), destinations=("inspect", "reconcile", "verdict"))
        graph.add_node("inspect", Inspecting(judging.bench.look), destinations=("judge", "verdict"))
        graph.add_node("reconcile", Reconciling(policy, judging.remeasure), destinations=("verdict",))
    graph.add_node("verdict", verdict)
    graph.add_edge(START, "measure")
    graph.add_edge("verdict", END)
    return graph.compile()


async def decide(graph: Graph, image: ImageRef, reading: Reading | None = None) -> Verdict:
    """Run one image through the graph; a stored `reading` spares opening the file."""
    with tracing_context(enabled=False):
        state = await graph.ainvoke(_start(image, reading))
    return state["verdict"]


async def steps(graph: Graph, image: ImageRef) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Yield every node's name and what it put into the state, as it happens."""
    with tracing_context(enabled=False):
        async for update in graph.astream(_start(image, None), stream_mode="updates"):
            for node, written in dict(update).items():
                yield node, written or {}


def mermaid(graph: Graph) -> str:
    """Draw the graph as mermaid text, from its own wiring."""
    return graph.get_graph().draw_mermaid()


def _start(image: ImageRef, reading: Reading | None) -> State:
    return State(image=image) if reading is None else State(image=image, reading=reading)
