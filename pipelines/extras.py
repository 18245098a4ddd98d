"""Libraries that only some verbs need: what to install is said before any work."""

from importlib.util import find_spec

from .errors import SettingsError


def require(module: str, extra: str) -> None:
    """See that a module of an optional extra is there.

    Raises:
        SettingsError: it is not; the message says what to install.
    """
    if find_spec(module) is None:
        raise SettingsError(f"{module} is not installed: pip install 'lrrg[{extra}]'")
