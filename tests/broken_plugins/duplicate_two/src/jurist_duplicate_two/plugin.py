"""Offers a judge that another distribution offers too."""

from collections.abc import Iterator

from jurist import Component, hookimpl


@hookimpl
def jurist_judges() -> Iterator[Component]:
    """Offers a judge that another distribution offers too."""
    yield Component("twin", "jurist_duplicate_two.judge:Twin", "Offered twice.")
    yield Component("only_two", "jurist_duplicate_two.judge:Twin", "Offered once.")
