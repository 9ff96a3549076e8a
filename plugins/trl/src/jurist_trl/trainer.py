"""What every trainer of this plugin is."""

from __future__ import annotations

import os
from collections.abc import Sequence

from jurist.contracts import Trainer
from jurist.train_jobs import JobOutline, TrainJob
from jurist_trl.installation import installation_faults
from jurist_trl.settings import TrainingOptions


class TRLTrainer(Trainer):
    """A trainer that stands on TRL."""

    options: TrainingOptions

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
