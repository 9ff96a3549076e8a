"""Jurist: training language models on feedback from AI.

What an author of plugins and an embedding program need, by name. The engine, the stages and
:func:`jurist.run.run` are in their modules.
"""

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.component import Component
from jurist.constitution import Constitution, Principle
from jurist.contracts import (
    Aggregator,
    BatchChatModel,
    BatchState,
    ChatModel,
    Critic,
    Generator,
    Judge,
    LearntAggregator,
    Reviser,
    Scorer,
    Trainer,
)
from jurist.engine.limits import Limits
from jurist.errors import JuristError, ProviderError, UsageError
from jurist.hookspecs import hookimpl
from jurist.judges.of_judges import JudgeOfJudges, JudgeReference
from jurist.options import LocalPath, Operational, Options
from jurist.prices import Price
from jurist.recipe import Recipe
from jurist.records import (
    Abstention,
    Comparison,
    Critique,
    Decision,
    Failure,
    Finding,
    Judgment,
    Message,
    Preference,
    Prompt,
    Response,
    Score,
    Trajectory,
    Usage,
)
from jurist.train_jobs import Artifact, JobOutline, Samples, ScoreResponses, TrainJob, TrainProgress

__all__ = [
    "Abstention",
    "Aggregator",
    "Artifact",
    "BatchChatModel",
    "BatchState",
    "ChatModel",
    "ChatReply",
    "ChatRequest",
    "Comparison",
    "Component",
    "Constitution",
    "Critic",
    "Critique",
    "Decision",
    "Failure",
    "Finding",
    "Generator",
    "JobOutline",
    "Judge",
    "JudgeOfJudges",
    "JudgeReference",
    "Judgment",
    "JuristError",
    "LearntAggregator",
    "Limits",
    "LocalPath",
    "Message",
    "Operational",
    "Options",
    "Preference",
    "Price",
    "Principle",
    "Prompt",
    "ProviderError",
    "Recipe",
    "Response",
    "Reviser",
    "Samples",
    "Sampling",
    "Score",
    "ScoreResponses",
    "Scorer",
    "TrainJob",
    "TrainProgress",
    "Trainer",
    "Trajectory",
    "Usage",
    "UsageError",
    "hookimpl",
]
