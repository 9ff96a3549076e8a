"""Training a labeler: the loop, and what is made of its best weights."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.functional import logsigmoid

from jurist.errors import TrainingError, UsageError
from jurist.files.folders import replacing
from jurist.files.training_data import PreferenceRow, read_training_data
from jurist.fingerprint import file_digest
from jurist.records import content_id
from jurist.train_jobs import Artifact, TrainJob, TrainProgress
from jurist.training.metrics_log import MetricsLog
from jurist_classifier._checkpoints import Checkpoints, State
from jurist_classifier._models import Texts, device_of, load_base, margins, readings
from jurist_classifier.agreement import accuracy, decided, longer
from jurist_classifier.batches import batches_of_epoch
from jurist_classifier.calibration import calibration_error, fit_temperature, loss
from jurist_classifier.card import card
from jurist_classifier.encoding import Encoder
from jurist_classifier.facts import Facts
from jurist_classifier.heads import HEADS, Head
from jurist_classifier.pairs import PROVIDED_BY, Pair, split_by_prompt
from jurist_classifier.trainer import ClassifierOptions

Progress = Callable[[TrainProgress], None]


class Examples(NamedTuple):
    """Preferences as the model reads them; ``shortened`` counts those of which something was cut off."""

    rows: list[PreferenceRow]
    texts: list[Texts]
    shortened: int

    @property
    def probabilities(self) -> list[float]:
        """P(chosen is better) of each."""
        return [row.probability for row in self.rows]

    @classmethod
    def of(cls, rows: list[PreferenceRow], head: Head, encoder: Encoder) -> Examples:
        """The token ids of each pair's two texts."""
        whole = [
            [encoder.encode(text) for text in head.texts(Pair(row.prompt, row.chosen, row.rejected))]
            for row in rows
        ]
        texts = [(encoder.shortened(first), encoder.shortened(second)) for first, second in whole]
        shortened = sum(max(map(len, pair)) > encoder.max_length for pair in whole)
        return cls(rows, texts, shortened)


def preference_loss(margins: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """Mean of -(p log s(d) + (1 - p) log s(-d)); its derivative in d is s(d) - p.

    Args:
        margins: d, shape (pairs,).
        probabilities: p = P(chosen is better), shape (pairs,).
    """
    return -(probabilities * logsigmoid(margins) + (1 - probabilities) * logsigmoid(-margins)).mean()


def learning_rate_share(step: int, total: int, warmup: float) -> float:
    """The share of the learning rate at a step from 1 to ``total``: up for ``warmup``, then down to 0."""
    rising = warmup * total if warmup < 1 else warmup
    return min(step / max(rising, 1.0), (total - step + 1) / max(total - rising, 1.0), 1.0)


def train_labeler(job: TrainJob, options: ClassifierOptions, progress: Progress) -> Artifact:
    """Train a labeler from ``job.model`` on the preferences in ``job.data``."""
    rows = read_training_data(job.data, PreferenceRow)
    split = split_by_prompt(rows, options.calibration_fraction, options.test_fraction, job.seed)
    if not decided(split.test):
        raise UsageError("every label that is held out to measure on is a tie", provided_by=PROVIDED_BY)
    device, head = device_of(options.device), HEADS[options.head]
    with torch.random.fork_rng(devices=[]):  # whoever trains in a process of theirs keeps their random state
        torch.manual_seed(job.seed)  # the head is new, so it is drawn here
        model, encoder = load_base(_name(job.model), head, options.max_length)
        train, calibration, test = (Examples.of(part, head, encoder) for part in split)
        training = _Training(job, options, model.to(device), encoder, train, calibration)
        try:
            state = training.run(progress)
        except torch.OutOfMemoryError as error:
            raise training.stopped("out of memory", "lower batch_size or max_length") from error
    facts = training.facts(state, test)
    folder = job.output / "model"
    with replacing(folder) as partial:
        model.save_pretrained(partial)
        encoder.tokenizer.save_pretrained(partial)
        facts.save(partial)
        (partial / "README.md").write_text(card(facts), encoding="utf-8")
    return Artifact(kind="labeler", path=folder, metrics=facts.metrics())


class _Training:
    """One training. Everything random in a step follows from the seed and the step's number."""

    def __init__(
        self,
        job: TrainJob,
        options: ClassifierOptions,
        model: Any,
        encoder: Encoder,
        train: Examples,
        calibration: Examples,
    ) -> None:
        self._job = job
        self._options = options
        self._model = model
        self._encoder = encoder
        self._head = HEADS[options.head]
        self._train = train
        self._calibration = calibration
        self._lengths = [len(first) + len(second) for first, second in train.texts]
        self._steps_of_epoch = math.ceil(len(train.texts) / options.batch_size)
        self._total = max(1, math.ceil(options.epochs * self._steps_of_epoch))
        self._optimizer = torch.optim.AdamW(_groups(model, options.weight_decay), lr=options.learning_rate)
        self._checkpoints = Checkpoints(job.output / "checkpoints")
        self._batches: tuple[int, list[list[int]]] = (-1, [])

    def run(self, progress: Progress) -> State:
        """Take steps until patience or steps are used up; the model then has the best weights."""
        state = self._checkpoints.restore(self._model, self._optimizer)
        log = MetricsLog(self._job.output / "metrics.jsonl", state.step)
        if self._is_done(state):
            progress(TrainProgress(step=state.step, total=state.step))
        while not self._is_done(state):
            started = time.monotonic()
            state.step += 1
            metrics = self._step(state.step)
            looks = state.step % self._options.eval_steps == 0 or state.step == self._total
            if looks:
                metrics |= self._look(state)
            state.seconds += time.monotonic() - started
            log.append(state.step, metrics)
            total = state.step if self._is_done(state) else self._total
            progress(TrainProgress(step=state.step, total=total, metrics=metrics))
            if looks:
                self._checkpoints.save(state, self._model, self._optimizer)
        self._checkpoints.restore_best(self._model)
        self._model.eval()
        return state

    def _is_done(self, state: State) -> bool:
        return state.step >= self._total or state.looks_since_best >= self._options.patience

    def _step(self, step: int) -> dict[str, float]:
        """One optimizer step."""
        torch.manual_seed(int(content_id(self._job.seed, step), 16) >> 1)  # dropout, the same after a resume
        rate = learning_rate_share(step, self._total, self._options.warmup) * self._options.learning_rate
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        chosen = self._batch(step)
        self._model.train()
        self._optimizer.zero_grad()
        device = self._model.device
        with torch.autocast(device.type, torch.bfloat16, enabled=_computes_in_bfloat16(device)):
            texts = [self._train.texts[number][side] for side in (0, 1) for number in chosen]
            first, second = readings(self._model, self._head, texts, self._encoder.pad).chunk(2)
        probabilities = torch.tensor([self._train.rows[number].probability for number in chosen])
        value = preference_loss(first - second, probabilities.to(device))
        value.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._options.max_grad_norm)
        metrics = {"loss": value.item(), "grad_norm": norm.item(), "learning_rate": rate}
        if not all(map(math.isfinite, metrics.values())):
            cause = f"loss or gradient is not a finite number at step {step}"
            raise self.stopped(cause, "lower learning_rate, and train anew in another output folder")
        self._optimizer.step()
        return metrics

    def _batch(self, step: int) -> list[int]:
        epoch, at = divmod(step - 1, self._steps_of_epoch)
        if self._batches[0] != epoch:
            batches = batches_of_epoch(self._lengths, self._options.batch_size, self._job.seed, epoch)
            self._batches = (epoch, batches)
        return self._batches[1][at]

    def _look(self, state: State) -> dict[str, float]:
        """Measure on the calibration part, and keep the weights where they are the best so far."""
        found = self.margins(self._calibration)
        probabilities = self._calibration.probabilities
        value = loss(found, probabilities)
        if value < state.best_loss or state.best_step == 0:
            state.best_step, state.best_loss, state.looks_since_best = state.step, value, 0
            self._checkpoints.save_best(self._model)
        else:
            state.looks_since_best += 1
        metrics = {"eval_loss": value}
        if decided(self._calibration.rows):
            metrics["eval_accuracy"] = accuracy(found, probabilities).mean
        return metrics

    def margins(self, examples: Examples) -> list[float]:
        """The model's margin of each pair, above 0 where it prefers the chosen response."""
        self._model.eval()
        size = self._options.batch_size
        return margins(self._model, self._head, examples.texts, self._encoder.pad, size)

    def facts(self, state: State, test: Examples) -> Facts:
        """Calibrate, and measure on the part that nothing was chosen by."""
        temperature = fit_temperature(self.margins(self._calibration), self._calibration.probabilities)
        started = time.monotonic()
        found, probabilities = self.margins(test), test.probabilities
        seconds = time.monotonic() - started
        scaled = [margin / temperature for margin in found]
        return Facts(
            head=self._options.head,
            max_length=self._encoder.max_length,
            temperature=temperature,
            accuracy=accuracy(found, probabilities),
            longest=accuracy(longer(test.rows), probabilities),
            loss=loss(scaled, probabilities),
            calibration_error_before=calibration_error(found, probabilities),
            calibration_error=calibration_error(scaled, probabilities),
            base=_name(self._job.model),
            data=file_digest(self._job.data),
            seed=self._job.seed,
            train_pairs=len(self._train.rows),
            calibration_pairs=len(self._calibration.rows),
            test_pairs=len(test.rows),
            shortened=self._train.shortened + self._calibration.shortened + test.shortened,
            steps=state.step,
            best_step=state.best_step,
            seconds=state.seconds,
            peak_memory_mb=_peak_memory_mb(self._model.device),
            pairs_per_second=len(found) / seconds,
        )

    def stopped(self, cause: str, hint: str) -> TrainingError:
        """The error of a training that cannot go on; names what can be gone back to."""
        last = self._checkpoints.last
        kept = f"the last good checkpoint is {last}" if last else "no checkpoint was saved yet"
        return TrainingError(f"training stopped: {cause}; {kept}", provided_by=PROVIDED_BY, hint=hint)


def _groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases and the scales of norms do not."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _computes_in_bfloat16(device: torch.device) -> bool:
    return device.type == "cuda" and bool(torch.cuda.is_bf16_supported())


def _peak_memory_mb(device: torch.device) -> float:
    """The most memory this process has used, on the accelerator if it trained on one; in MB."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _name(model: Path) -> str:
    """A folder, or an id on the hub."""
    folder = model.expanduser()
    return str(folder) if folder.is_dir() else model.as_posix()
