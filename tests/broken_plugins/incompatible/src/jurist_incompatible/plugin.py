"""Would work, were its requirement met."""

from collections.abc import Iterator

from jurist import Component, hookimpl


@hookimpl
def jurist_judges() -> Iterator[Component]:
    """Would work, were its requirement met."""
    yield Component("tomorrow", "jurist_incompatible.judge:Tomorrow", "Never seen.")
