"""The loss of direct preference optimisation with soft labels, against arithmetic and against TRL's own."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from jurist.train_jobs import TrainJob
from jurist_trl.supervised.dpo import DPOOptions

# what `old_names` lets TRL do in a training; these tests call its methods by themselves
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")


class Double:
    """A trainer in double precision whose policy is not its reference, and its first pairs as a batch."""

    def __init__(self, policy: Path, preferences: Path, output: Path, probabilities: list[float]) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        from jurist.files.training_data import PreferenceRow
        from jurist_trl.supervised.dpo_trainer import _trainer
        from jurist_trl.supervised.preferences import split_pairs
        from jurist_trl.tokens import load_tokenizer

        self.tokenizer = load_tokenizer(policy)
        self.rows = [json.loads(line) for line in preferences.read_text().splitlines()[: len(probabilities)]]
        examples = [
            PreferenceRow.model_validate({**row, "probability": p})
            for row, p in zip(self.rows, probabilities, strict=True)
        ]
        limits: dict[str, Any] = {"max_length": 99, "eval_fraction": 0, "seed": 0, "provided_by": ""}
        pairs = split_pairs(self.tokenizer, examples, **limits)
        options = DPOOptions(batch_size=len(probabilities), beta=0.3)
        job = TrainJob(model=policy, data=preferences, output=output)
        self.trainer = _trainer(job, options, self.tokenizer, pairs)
        self.trainer.model.double()
        self.trainer.ref_model.double()
        torch.manual_seed(1)
        for parameter in self.trainer.model.parameters():
            parameter.data.add_(0.05 * torch.randn_like(parameter))
        self.reference = AutoModelForCausalLM.from_pretrained(policy).double()
        self.policy = AutoModelForCausalLM.from_pretrained(policy).double()
        self.policy.load_state_dict(self.trainer.model.state_dict())
        self.batch = self.trainer.data_collator([self.trainer.train_dataset[i] for i in range(len(examples))])
        self.batch["probability"] = self.batch["probability"].double()

    def loss(self) -> Any:
        self.trainer.model.train()
        return self.trainer._compute_loss(self.trainer.model, self.batch, False)


@pytest.mark.parametrize("probabilities", [[0.9, 0.5, 1.0, 0.2], [1.0] * 4, [0.5] * 4])
def test_loss_and_gradient_are_the_formula(
    policy: Path, preferences: Path, tmp_path: Path, probabilities: list[float], log_probability: Any
) -> None:
    import torch

    double = Double(policy, preferences, tmp_path, probabilities)
    loss = double.loss()
    loss.backward()

    expected = torch.zeros((), dtype=torch.float64)
    for row, p in zip(double.rows, probabilities, strict=True):
        ratio = {}
        for side in ("chosen", "rejected"):
            with torch.no_grad():
                reference = log_probability(double.reference, double.tokenizer, row, side)
            ratio[side] = log_probability(double.policy, double.tokenizer, row, side) - reference
        z = 0.3 * (ratio["chosen"] - ratio["rejected"])
        assert abs(z.item()) > 0.01
        expected = expected - p * torch.sigmoid(z).log() - (1 - p) * torch.sigmoid(-z).log()
    expected = expected / len(probabilities)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    gradients = dict(double.policy.named_parameters())
    largest = 0.0
    for name, parameter in double.trainer.model.named_parameters():
        assert (parameter.grad - gradients[name].grad).abs().max().item() <= 1e-6
        largest = max(largest, parameter.grad.abs().max().item())
    assert largest > 1e-3


def test_of_sure_labels_the_loss_is_that_of_trl(policy: Path, preferences: Path, tmp_path: Path) -> None:
    from trl import DPOTrainer

    double = Double(policy, preferences, tmp_path, [1.0] * 4)
    batch = {name: column for name, column in double.batch.items() if name != "probability"}
    double.trainer.precompute_ref_logps = False
    plain = DPOTrainer._compute_loss(double.trainer, double.trainer.model, batch, False)
    assert plain.item() != pytest.approx(math.log(2), abs=1e-3)
    double.trainer.precompute_ref_logps = True
    assert double.loss().item() == plain.item()


def test_swapping_the_responses_and_their_probabilities_changes_nothing(
    policy: Path, preferences: Path, tmp_path: Path
) -> None:
    double = Double(policy, preferences, tmp_path, [0.5, 0.9, 0.0, 1.0])
    before = double.loss().item()
    for name in ("input_ids", "attention_mask", "completion_mask"):
        double.batch[name] = double.batch[name].roll(4, dims=0)  # the rejected responses first
    assert double.loss().item() != pytest.approx(before, abs=1e-2)
    double.batch["probability"] = 1 - double.batch["probability"]
    assert double.loss().item() == pytest.approx(before, abs=1e-6)
