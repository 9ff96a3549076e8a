"""Imports a module that does not exist."""

from collections.abc import Iterator

import not_there_at_all

from jurist import Component, hookimpl

VERSION = not_there_at_all.VERSION


@hookimpl
def jurist_judges() -> Iterator[Component]:
    """Imports a module that does not exist."""
    yield Component("lost", "jurist_import_error.judge:Lost", "Never seen.")
