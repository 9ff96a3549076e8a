"""Hooks of jurist-demo."""

from __future__ import annotations

from collections.abc import Iterator

from jurist import Component, hookimpl


@hookimpl
def jurist_critics() -> Iterator[Component]:
    """The rule-based critic."""
    yield Component("demo-rules", "jurist_demo.critic:RuleCritic", "Rules for the demo's five principles")


@hookimpl
def jurist_judges() -> Iterator[Component]:
    """The jury of three."""
    yield Component("demo-strict", "jurist_demo.judges:StrictJudge", "Rules; cares about privacy and harm")
    yield Component(
        "demo-friendly", "jurist_demo.judges:FriendlyJudge", "Rules; cares about kindness and help"
    )
    yield Component("demo-brief", "jurist_demo.judges:BriefJudge", "Rules; cares about brevity")


@hookimpl
def jurist_scorers() -> Iterator[Component]:
    """The oracle."""
    yield Component("demo-oracle", "jurist_demo.oracle:Oracle", "The demo world's ground truth; never trains")
