"""What every trainer of this plugin is."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from jurist.contracts import Trainer
from jurist.train_jobs import Artifact, JobOutline, TrainJob, TrainProgress
from jurist_trl.options import TrainingOptions
from jurist_trl.training.installation import installation_faults

Progress = Callable[[TrainProgress], None]


class TRLTrainer(Trainer):
    """A trainer that stands on TRL; ``name`` is what recipes call it."""

    name: ClassVar[str]
    options: TrainingOptions

    @classmethod
    def provided_by(cls) -> str:
        """What errors of this trainer say of where they come from."""
        return f"jurist-trl ({cls.name})"

    def train(self, job: TrainJob, progress: Progress) -> Artifact:
        """Train to the end; continues from the last checkpoint of the job's folder."""
        from jurist_trl.training.failures import stopping

        with stopping(job):
            return self._train(job, progress)

    @abstractmethod
    def _train(self, job: TrainJob, progress: Progress) -> Artifact:
        """Train to the end. What is heavy is imported here, so that checking a recipe loads none of it."""

    def faults(self, outline: JobOutline) -> Sequence[str]:
        """What of the installation and of the options speaks against a job."""
        return tuple(installation_faults(self.options, outline.processes))

    def outline(self, job: TrainJob) -> JobOutline:
        """The outline of a job, in one of the processes that train it."""
        return JobOutline(
            reward_models=len(job.reward_models),
            held_out=job.held_out is not None,
            mixed=job.mixed is not None,
            scored=self.score is not None,
            measured=self.measure is not None,
            processes=int(os.environ.get("WORLD_SIZE", "1")),
        )
