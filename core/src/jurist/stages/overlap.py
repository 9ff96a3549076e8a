"""Overlap: prompts that are measured on after they were trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jurist.recipe import resolve_path
from jurist.stages.base import Stage
from jurist.stages.evaluate import EvaluateStage
from jurist.stages.train import TrainStage

_TRAINED_ON = ("revise", "best_of", "compare")
"""Kinds of stages whose prompts are trained on by the stages that read what they make."""


def overlaps(stages: Sequence[Stage]) -> Iterator[tuple[str, str]]:
    """Each stage that measures on prompts which are trained on before it, and a line about that.

    Prompts are held against each other where they are of the same file.
    """
    for number, stage in enumerate(stages):
        if not isinstance(stage, EvaluateStage):
            continue
        before = stages[:number]
        if not any(isinstance(each, TrainStage) for each in before):
            continue
        used = [each for each in before if _trains_on_its_prompts(each) and _file(each) == _file(stage)]
        own = {prompt.id for prompt in stage.prompts()} if used else set()
        both = own & {prompt.id for each in used for prompt in each.prompts()}
        if both:
            names = ", ".join(f"'{each.name}'" for each in used)
            yield (
                stage.name,
                f"{len(both):,} of its {len(own):,} prompts are trained on as well ({names}), "
                "so it says little of others; give it a file or a part of its own",
            )


def _trains_on_its_prompts(stage: Stage) -> bool:
    if isinstance(stage, TrainStage):
        return stage.consumes() == "prompts"
    return stage.settings.stage in _TRAINED_ON and getattr(stage.settings, "pairs", None) is None


def _file(stage: Stage) -> object:
    source = stage.prompt_source()
    return None if source is None else resolve_path(source.path).resolve()
