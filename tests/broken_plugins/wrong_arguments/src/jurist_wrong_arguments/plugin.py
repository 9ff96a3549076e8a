"""Takes an argument that nobody gives."""

from collections.abc import Iterator

from jurist import Component, hookimpl


@hookimpl
def jurist_judges(settings: object) -> Iterator[Component]:
    """Takes an argument that nobody gives."""
    yield Component(str(settings), "jurist_wrong_arguments.judge:Never", "Never seen.")
