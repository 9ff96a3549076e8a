"""PPO on TRL's GRPOTrainer: it samples, buffers and saves; losses, rewards and values are ours.

Overridden: rollouts (`_generate_and_score_completions`), the loss (`_compute_loss`), and what a second
network needs (`create_optimizer`, `_clip_grad_norm`, `_save_checkpoint`). Relied on: `_generate`,
`_prepare_inputs`, and the fused head that gives log-probabilities. tests/test_trl_contract.py checks
the signature of each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_scheduler
from trl import GRPOTrainer

from jurist.errors import TrainingError
from jurist_trl.ppo import equations
from jurist_trl.ppo.batches import Batch, joined, micro_batches, padded
from jurist_trl.ppo.component import PPO
from jurist_trl.ppo.metrics import StepMeans, response_means
from jurist_trl.ppo.mixed_conversations import MixedConversations
from jurist_trl.ppo.options import PPOOptions
from jurist_trl.ppo.reward_shaping import RewardShaping
from jurist_trl.ppo.value_model import ValueModel
from jurist_trl.rollouts.policy import PolicyTrainer
from jurist_trl.rollouts.sampling import sample

STATE = "ppo_state.json"


class PPOTrainer(PolicyTrainer, GRPOTrainer):  # type: ignore[misc]
    """PPO with a value model of its own, generalised advantages and KL in the reward."""

    def __init__(
        self,
        *,
        options: PPOOptions,
        value_model: ValueModel,
        mixed: MixedConversations | None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.options = options
        self.value_model = self.accelerator.prepare_model(value_model)
        self.shaping = RewardShaping(options, self._sum)
        self.mixed = mixed
        self._step_means = StepMeans(self._sum)
        self._too_far = False  # from the policy that sampled, so that this rollout teaches it no more

    # --- a rollout -------------------------------------------------------------------------------

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Batch:
        """Sample a response to each prompt, and work out what each token was worth."""
        prompts = [row["prompt"] for row in inputs]
        prompt_ids, response_ids, self.last_responses = sample(self, prompts)
        self.last_prompts = prompts
        self._too_far = False
        device = self.accelerator.device
        batch = padded(prompt_ids, response_ids, self._tokenizer.pad_token_id, device)
        with torch.no_grad():
            batch |= self._measured(batch)
        scores = self._scores(prompts)
        ended = [ids[-1] in self.eos_token_ids for ids in response_ids]
        batch["ended"] = torch.tensor(ended, device=device)
        self._add_targets(batch, scores)
        return batch

    def _measured(self, batch: Batch) -> Batch:
        """Log-probabilities under policy and reference, and values, before any update on this batch."""
        parts: list[Batch] = []
        for part in micro_batches(batch, self.args.per_device_train_batch_size):
            logps, _ = self._logps(self.model, part)
            with self._reference() as reference:
                reference_logps, _ = self._logps(reference, part)
            values = self._values(part)
            parts.append({"old_logps": logps, "reference_logps": reference_logps, "old_values": values})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _scores(self, prompts: list[Any]) -> Tensor:
        """One score per response, NaN where none could be had."""
        rewards = self.reward(prompts, self.last_responses)
        self.last_rewards = rewards.values
        scores = self._numbers(rewards.values)
        if not self._sum((~scores.isnan()).sum()):
            cause = f"no reward for any of {len(scores)} responses: {rewards.error}"
            raise self.stopped(cause, "make the rewards work and run again: training continues")
        if len(rewards.parts) > 1:
            for name, part in rewards.parts.items():
                given = self._numbers(part)
                self._log_all(response_means(~given.isnan(), self._sum, **{f"raw_{name}": given}))
        return scores

    def _add_targets(self, batch: Batch, scores: Tensor) -> None:
        """Advantages, returns, and the mask of the tokens that count; logs what the rollout was like."""
        options, kept, values = self.options, ~scores.isnan(), batch["old_values"]
        mask = batch["completion_mask"] * kept[:, None]
        kl = equations.kl_estimate(batch["old_logps"], batch.pop("reference_logps"), options.kl_estimator)
        shaped = self.shaping.of_responses(scores, kept, batch["ended"])
        rewards = equations.token_rewards(shaped, kl, mask, self.shaping.kl_coef)
        scaled = rewards
        if options.whiten_rewards:
            scaled = equations.whiten(rewards, mask, shift_mean=False, reduce=self._sum)
        advantages, returns = equations.gae(scaled, values, mask, options.gamma, options.gae_lambda)
        means = response_means(
            kept,
            self._sum,
            raw_reward=scores,
            reward=rewards.sum(dim=1),
            kl=(kl * mask).sum(dim=1),
            length=mask.sum(dim=1),
            eos_rate=batch["ended"],
        )
        self._log_all(means)
        self._log_all({"dropped": self._sum((~kept).sum()).item(), "kl_coef": self.shaping.kl_coef})
        explained = equations.explained_variance(values, returns, mask, self._sum)
        self._log_all({"explained_variance": explained.item()})
        self.shaping.adapt(means["kl"], options.batch_size * self.accelerator.num_processes)
        if options.whiten_advantages:
            advantages = equations.whiten(advantages, mask, reduce=self._sum)
        tokens = self._sum(mask.sum().float()) / self.accelerator.num_processes
        batch |= {"advantages": advantages, "returns": returns, "mask": mask, "tokens": tokens}

    # --- the loss --------------------------------------------------------------------------------

    def _compute_loss(self, model: Any, inputs: Batch) -> Tensor:
        """The policy and value losses of one forward pass, as its share of an optimizer step."""
        options, mask, resting = self.options, inputs["mask"], self._policy_rests
        with torch.set_grad_enabled(not resting):
            logps, entropy = self._logps(model, inputs, entropies=True)
        policy, clipped = equations.policy_loss(
            logps, inputs["old_logps"], inputs["advantages"], options.clip_range, options.dual_clip
        )
        last = self.accelerator.sync_gradients  # the last forward pass of an optimizer step
        with nullcontext() if last else self.accelerator.no_sync(self.value_model):
            values = self._values(inputs)
        value, value_clipped = equations.value_loss(
            values, inputs["old_values"], inputs["returns"], options.clip_range_value
        )
        self._step_means.add(
            mask,
            policy_loss=policy,
            value_loss=value,
            entropy=entropy,
            clip_fraction=clipped,
            value_clip_fraction=value_clipped,
            ratio=torch.exp(logps - inputs["old_logps"]),
            approx_kl=equations.kl_estimate(inputs["old_logps"], logps, "k3"),
        )
        if options.entropy_coef:
            policy = policy - options.entropy_coef * entropy
        per_token = value if resting else value + policy
        # by the mean number of tokens in the rollout's steps: how a step is split up makes no difference
        loss: Tensor = (per_token * mask).sum() / (inputs["tokens"] / options.mini_batches).clamp(min=1)
        if self.mixed is not None and not resting:
            loss = loss + options.ptx_coef * self._mixed_loss(model, self.mixed)
        return loss

    def _mixed_loss(self, model: Any, mixed: MixedConversations) -> Tensor:
        """The language-model loss of one forward pass on the conversations of this optimizer step."""
        options, processes = self.options, self.accelerator.num_processes
        accumulation = options.gradient_accumulation_steps
        per_step = options.micro_batch * accumulation * processes
        first = self.state.global_step * per_step
        part = self.accelerator.process_index * accumulation + self._step % accumulation
        with self.accelerator.autocast():  # not of the fused head, which has a temperature
            losses, mask = mixed.losses(model, first + part * options.micro_batch, options.micro_batch)
        self._step_means.add(mask, ptx_loss=losses)
        return losses.sum() / (mixed.tokens(first, per_step) / processes)

    @property
    def _policy_rests(self) -> bool:
        """Whether only the value model learns in this optimizer step."""
        warmup = self.options.value_warmup_rollouts * self.options.steps_per_rollout
        return self._too_far or self.state.global_step < warmup

    def _logps(self, model: Any, batch: Batch, *, entropies: bool = False) -> tuple[Tensor, Any]:
        """Log-probabilities of the response tokens at the sampling temperature, and entropies if wanted."""
        width = batch["completion_ids"].shape[1]
        logps, entropy, _ = self._get_per_token_logps_and_entropies(
            model, *joined(batch), width, compute_entropy=entropies
        )
        return logps, entropy

    def _values(self, batch: Batch) -> Tensor:
        """What the value model expects of each response token, seen just before it is written."""
        with self.accelerator.autocast():
            values: Tensor = self.value_model(*joined(batch))
        return values[:, -batch["completion_ids"].shape[1] - 1 : -1]

    @contextmanager
    def _reference(self) -> Iterator[Any]:
        """The policy as it was before training: a frozen copy, or the policy without its adapters."""
        if self.ref_model is not None:
            yield self.ref_model
        else:
            with self.accelerator.unwrap_model(self.model).disable_adapter():
                yield self.model

    def _sum(self, values: Tensor) -> Tensor:
        """The sum over processes."""
        total: Tensor = self.accelerator.reduce(values, "sum")
        return total

    # --- two networks ----------------------------------------------------------------------------

    def create_optimizer(self, model: Any = None) -> Any:
        """One optimizer with groups of its own for the value model, so that both resume together."""
        if self.optimizer is None:
            optimizer = super().create_optimizer(model)
            rate = self.options.value_learning_rate or self.options.learning_rate
            named = {name: p for name, p in self.value_model.named_parameters() if p.requires_grad}
            decays = set(self.get_decay_parameter_names(self.value_model))  # all but biases and norms
            for decay, with_decay in ((self.args.weight_decay, True), (0.0, False)):
                parameters = [p for name, p in named.items() if (name in decays) == with_decay]
                optimizer.add_param_group({"params": parameters, "lr": rate, "weight_decay": decay})
            # Trainer clears the policy's gradients only
            optimizer.register_step_post_hook(lambda *_: self.value_model.zero_grad())
            if self.options.value_lr_scheduler is not None:  # Trainer leaves a scheduler that is there alone
                self.lr_scheduler = self._schedules(optimizer, self.options.value_lr_scheduler)
        return self.optimizer

    def _schedules(self, optimizer: Any, value: str) -> LambdaLR:
        """A scheduler by which the value model's learning rate changes in a way of its own."""
        steps = self.args.get_warmup_steps(self.args.max_steps), self.args.max_steps
        of_policy, of_value = (
            get_scheduler(name, optimizer, *steps).lr_lambdas[0]
            for name in (self.args.lr_scheduler_type, value)
        )
        groups = len(optimizer.param_groups)
        return LambdaLR(optimizer, [of_policy] * (groups - 2) + [of_value] * 2)

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip each network's gradients on their own; a policy that went too far takes no step."""
        means, limit = self._step_means.take(), self.options.kl_stop
        self._log_all(means)
        if limit is not None:
            if means.get("approx_kl", 0.0) > limit:
                self._too_far = True
                model.zero_grad()  # without gradients, an optimizer leaves weights and its state alone
            self._log_all({"kl_stopped": float(self._too_far)})
        norm = super()._clip_grad_norm(model)
        value_norm = torch.nn.utils.clip_grad_norm_(self.value_model.parameters(), self.args.max_grad_norm)
        self._log_all({"value_grad_norm": value_norm.item()})
        return norm

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if self.accelerator.is_main_process:
            self.accelerator.unwrap_model(self.value_model).save(folder)
            (folder / STATE).write_text(json.dumps(self.shaping.state()), encoding="utf-8")

    def restore(self, checkpoint: Path) -> None:
        """Take the value model and what was adapted from a checkpoint, before training resumes."""
        try:
            self.accelerator.unwrap_model(self.value_model).restore(checkpoint)
            self.shaping.restore(json.loads((checkpoint / STATE).read_text(encoding="utf-8")))
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise TrainingError(
                f"the checkpoint {checkpoint} cannot be continued from",
                provided_by=PPO.provided_by(),
                cause=error,
                hint="remove that folder to continue from the one before",
            ) from error
