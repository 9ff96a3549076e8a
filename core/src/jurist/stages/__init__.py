"""The stages a recipe is made of."""

from jurist.stages.base import Stage, StageContext
from jurist.stages.best_of import BestOfStage
from jurist.stages.compare import CompareStage
from jurist.stages.evaluate import EvaluateStage
from jurist.stages.revise import ReviseStage
from jurist.stages.train import TrainStage
from jurist.stages.validate import ValidateStage

STAGES: dict[str, type[Stage]] = {
    "revise": ReviseStage,
    "best_of": BestOfStage,
    "compare": CompareStage,
    "validate": ValidateStage,
    "train": TrainStage,
    "evaluate": EvaluateStage,
}

__all__ = ["STAGES", "Stage", "StageContext"]
