"""Jurist: training language models on feedback from AI."""

from jurist.component import Component
from jurist.hookspecs import hookimpl

__all__ = ["Component", "hookimpl"]
