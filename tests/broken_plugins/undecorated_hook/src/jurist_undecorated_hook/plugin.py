"""A hook without its decorator."""

from collections.abc import Iterator

from jurist import Component


def jurist_judges() -> Iterator[Component]:
    """Lacks the decorator."""
    yield Component("plain", "jurist_undecorated_hook.judge:Plain", "Never seen.")
