"""Gives a name instead of a component."""

from jurist import hookimpl


@hookimpl
def jurist_judges() -> list[str]:
    """Gives a name instead of a component."""
    return ["strict"]
