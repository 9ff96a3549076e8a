"""Offers a judge that another distribution offers too."""

from collections.abc import Iterator

from jurist import Component, hookimpl


@hookimpl
def jurist_judges() -> Iterator[Component]:
    """Offers a judge that another distribution offers too."""
    yield Component("twin", "jurist_duplicate_one.judge:Twin", "Offered twice.")
    yield Component("only_one", "jurist_duplicate_one.judge:Twin", "Offered once.")
