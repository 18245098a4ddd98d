"""What speaks against a film: contributions to low quality beyond those of a usual one."""

from collections.abc import Mapping

from ...agent.policy import Policy


def beyond_usual(contributions: Mapping[str, float], policy: Policy, domain: str) -> dict[str, float]:
    """Log-odds each measure adds beyond what it adds at z = 0; terms that start above 0 add a constant to every film.

    Args:
        contributions: log-odds by measure, as the policy gives them.
        policy: the policy.
        domain: intensity domain of the film.
    """
    usual: dict[str, float] = {}
    for term in policy.terms:
        if term.domain == domain:
            usual[term.measure] = usual.get(term.measure, 0.0) + term.add(0.0)
    return {name: value - usual[name] for name, value in contributions.items()}
