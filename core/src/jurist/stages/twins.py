"""Twins: judges that differ in nothing but their names, and so have one opinion between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from jurist.artifacts import Artifacts
from jurist.constitution import Constitution
from jurist.selection import ComponentSource
from jurist.stages.base import Stage
from jurist.stages.judging import JudgingStage


def twins(
    stages: Sequence[Stage],
    handed: Sequence[Artifacts],
    source: ComponentSource,
    constitution: Constitution,
) -> Iterator[tuple[str, str]]:
    """Each stage with judges that ask the same, and a line about them; ``handed`` is what stages are handed.

    Their calls are equal, so they are made once, and a reply counts as a vote of each.
    """
    for stage, artifacts in zip(stages, handed, strict=True):
        if not isinstance(stage, JudgingStage):
            continue
        same: dict[str, list[str]] = defaultdict(list)
        for judge, version in stage.versions_known(artifacts, source, constitution).items():
            same[version].append(f"'{judge}'")
        for version, judges in same.items():
            if version and len(judges) > 1:
                yield (
                    stage.name,
                    f"judges {', '.join(judges[:-1])} and {judges[-1]} ask the same: their votes are one "
                    "opinion; give them other settings, or 'repeat' one of them",
                )
