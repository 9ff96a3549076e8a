"""Names a class that its module lacks."""

from collections.abc import Iterator

from jurist import Component, hookimpl


@hookimpl
def jurist_judges() -> Iterator[Component]:
    """Names a class that its module lacks."""
    yield Component("absent", "jurist_missing_class.judge:Absent", "Fails when it is used.")
