"""The public surface of the package, pinned."""

from __future__ import annotations

import jurist


def test_every_public_name_is_there_and_sorted() -> None:
    assert all(hasattr(jurist, name) for name in jurist.__all__)
    assert jurist.__all__ == sorted(jurist.__all__)


def test_nothing_else_is_public_but_submodules() -> None:
    extra = {name for name, value in vars(jurist).items() if not name.startswith("_")} - set(jurist.__all__)
    assert all(type(vars(jurist)[name]).__name__ == "module" for name in extra), extra
