"""A hook whose name lacks its last letter."""

from collections.abc import Iterator

from jurist import Component, hookimpl


@hookimpl
def jurist_judge() -> Iterator[Component]:
    """A hook whose name lacks its last letter."""
    yield Component("unheard", "jurist_misspelt_hook.judge:Unheard", "Never seen.")
