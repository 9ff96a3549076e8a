"""PPO on TRL's GRPOTrainer: it samples, buffers and saves; losses, rewards and values are ours.

Overridden: rollouts (`_generate_and_score_completions`), the loss (`_compute_loss`), and what a second
network needs (`create_optimizer`, `_clip_grad_norm`, `_save_checkpoint`). Relied on: `_generate`,
`_prepare_inputs`, and the fused head that gives log-probabilities. tests/test_trl_contract.py checks
the signature of each.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from trl import GRPOTrainer
from trl.trainer.utils import pad

from jurist.errors import TrainingError, UsageError
from jurist_trl import ppo_math
from jurist_trl._session import TOO_FAST, QuietTrainer
from jurist_trl._value_model import ValueModel, position_ids
from jurist_trl.ppo import PPOOptions
from jurist_trl.reward_source import RetriedReward

STATE = "ppo_state.json"

Batch = dict[str, Tensor]


class PPOTrainer(QuietTrainer, GRPOTrainer):  # type: ignore[misc]
    """PPO with a value model of its own, generalised advantages and KL in the reward.

    ``stopped`` makes the error to raise when training cannot go on, of its cause and what to try.
    """

    def __init__(
        self,
        *,
        options: PPOOptions,
        value_model: ValueModel,
        reward: RetriedReward,
        stopped: Callable[[str, str], TrainingError],
        **arguments: Any,
    ) -> None:
        super().__init__(reward_funcs=[reward.__call__], **arguments)
        if self.is_deepspeed_enabled or self.is_fsdp_enabled:
            raise UsageError(
                "trl-ppo trains two networks, which DeepSpeed and FSDP cannot do here",
                provided_by="jurist-trl (trl-ppo)",
                hint="start the processes with torchrun instead; for a large model, set the option lora",
            )
        self.options = options
        self.kl_coef = options.kl_coef
        self.value_model = self.accelerator.prepare_model(value_model)
        self.reward = reward
        self.stopped = stopped
        self._takes_positions = "position_ids" in signature(type(self._base_policy).forward).parameters

    # --- a rollout -------------------------------------------------------------------------------

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Batch:
        """Sample a response to each prompt, and work out what each token was worth."""
        prompts = [row["prompt"] for row in inputs]
        try:
            prompt_tokens, response_tokens, _, completions, *_ = self._generate(prompts)
        except RuntimeError as error:
            if "probability tensor" not in str(error):  # what torch says when it cannot sample
                raise
            raise self.stopped("the policy's probabilities are not finite numbers", TOO_FAST) from error
        batch = self._padded(prompt_tokens, response_tokens)
        with torch.no_grad():
            batch |= self._measured(batch)
        scores = self._scores(prompts, [completion[-1]["content"] for completion in completions])
        ended = [ids[-1] in self.eos_token_ids for ids in response_tokens]
        batch["ended"] = torch.tensor(ended, device=scores.device)
        self._add_targets(batch, scores)
        return batch

    def _padded(self, prompts: list[list[int]], responses: list[list[int]]) -> Batch:
        """Token ids and masks: prompts padded on the left, responses on the right.

        Masks follow lengths and not token ids, so a padding token that is the end token does no harm.
        """
        columns: Batch = {}
        for name, rows, side in (("prompt", prompts, "left"), ("completion", responses, "right")):
            ids = [torch.tensor(row, device=self.accelerator.device) for row in rows]
            columns[f"{name}_ids"] = pad(ids, self._tokenizer.pad_token_id, side)
            columns[f"{name}_mask"] = pad([torch.ones_like(row) for row in ids], 0, side)
        return columns

    def _measured(self, batch: Batch) -> Batch:
        """Log-probabilities under policy and reference, and values, before any update on this batch."""
        parts: list[Batch] = []
        size = self.args.per_device_train_batch_size
        for start in range(0, len(batch["prompt_ids"]), size):
            part = {name: column[start : start + size] for name, column in batch.items()}
            logps, _ = self._logps(self.model, part)
            with self._reference() as reference:
                reference_logps, _ = self._logps(reference, part)
            values = self._values(part)
            parts.append({"old_logps": logps, "reference_logps": reference_logps, "old_values": values})
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _scores(self, prompts: list[Any], texts: list[str]) -> Tensor:
        """One score per response, NaN where none could be had."""
        rewards = self.reward(prompts, texts)
        if all(value is None for value in rewards.values):
            cause = f"no reward for any of {len(texts)} responses: {rewards.error}"
            raise self.stopped(cause, "make the rewards work and run again: training continues")
        values = [float("nan") if value is None else value for value in rewards.values]
        return torch.tensor(values, device=self.accelerator.device)

    def _add_targets(self, batch: Batch, scores: Tensor) -> None:
        """Advantages, returns, and the mask of the tokens that count."""
        options, kept = self.options, ~scores.isnan()
        mask = batch["completion_mask"] * kept[:, None]
        shaped = scores.where(kept, 0.0)  # a number is needed here; the mask keeps these rows out of it all
        if options.reward_clip is not None:
            shaped = shaped.clamp(-options.reward_clip, options.reward_clip)
        shaped = shaped - options.missing_eos_penalty * ~batch["ended"]
        kl = ppo_math.kl_estimate(batch["old_logps"], batch.pop("reference_logps"), options.kl_estimator)
        rewards = ppo_math.token_rewards(shaped, kl, mask, self.kl_coef)
        scaled = (
            ppo_math.whiten(rewards, mask, shift_mean=False, reduce=self._sum)
            if options.whiten_rewards
            else rewards
        )
        advantages, returns = ppo_math.gae(
            scaled, batch["old_values"], mask, options.gamma, options.gae_lambda
        )
        self._record_rollout(batch, scores, rewards, kl, mask, returns)
        if options.kl_target is not None:
            self._adapt_kl_coef(options.kl_target)
        if options.whiten_advantages:
            advantages = ppo_math.whiten(advantages, mask, reduce=self._sum)
        tokens = self._sum(mask.sum().float()) / self.accelerator.num_processes
        batch |= {"advantages": advantages, "returns": returns, "mask": mask, "tokens": tokens}

    def _adapt_kl_coef(self, target: float) -> None:
        samples = self.options.batch_size * self.accelerator.num_processes
        kl = self._metrics["train"]["kl"][-1]
        self.kl_coef = ppo_math.adapted_kl_coef(self.kl_coef, kl, target, self.options.kl_horizon, samples)

    # --- the loss --------------------------------------------------------------------------------

    def _compute_loss(self, model: Any, inputs: Batch) -> Tensor:
        """The policy and value losses of one forward pass, as its share of an optimizer step."""
        options, mask = self.options, inputs["mask"]
        logps, entropy = self._logps(model, inputs)
        policy, clipped = ppo_math.policy_loss(
            logps, inputs["old_logps"], inputs["advantages"], options.clip_range
        )
        value, value_clipped = ppo_math.value_loss(
            self._values(inputs), inputs["old_values"], inputs["returns"], options.clip_range_value
        )
        if options.entropy_coef:
            policy = policy - options.entropy_coef * entropy
        resting = self.state.global_step < options.value_warmup_rollouts * options.steps_per_rollout
        per_token = value + (0.0 if resting else 1.0) * policy
        # a mean over the tokens of an optimizer step, so that it does not depend on how it is split up
        loss: Tensor = (per_token * mask).sum() / (inputs["tokens"] / options.mini_batches).clamp(min=1)
        with torch.no_grad():
            self._record(
                mask,
                policy_loss=policy,
                value_loss=value,
                entropy=entropy,
                clip_fraction=clipped,
                value_clip_fraction=value_clipped,
                ratio=torch.exp(logps - inputs["old_logps"]),
            )
        return loss

    def _logps(self, model: Any, batch: Batch) -> tuple[Tensor, Any]:
        """Log-probabilities of the response tokens at the sampling temperature, and entropies."""
        ids, attention = _joined(batch)
        width = batch["completion_ids"].shape[1]
        labels = ids.masked_fill(attention == 0, -100)
        labels[:, :-width] = -100
        positions = {"position_ids": position_ids(attention)} if self._takes_positions else {}
        with self.accelerator.autocast():
            output = model(
                input_ids=ids, attention_mask=attention, labels=labels, fused_lm_head=True, **positions
            )
        entropy = None if output.entropy is None else output.entropy[:, -width:]
        return output.log_probs[:, -width:], entropy

    def _values(self, batch: Batch) -> Tensor:
        """What the value model expects of each response token, seen just before it is written."""
        with self.accelerator.autocast():
            values: Tensor = self.value_model(*_joined(batch))
        return values[:, -batch["completion_ids"].shape[1] - 1 : -1]

    @contextmanager
    def _reference(self) -> Iterator[Any]:
        """The policy as it was before training: a frozen copy, or the policy without its adapters."""
        if self.ref_model is not None:
            yield self.ref_model
        else:
            with self.accelerator.unwrap_model(self.model).disable_adapter():
                yield self.model

    @property
    def _base_policy(self) -> Any:
        policy = self.accelerator.unwrap_model(self.model)
        return policy.get_base_model() if hasattr(policy, "get_base_model") else policy

    # --- metrics ---------------------------------------------------------------------------------

    def _record(self, mask: Tensor, **per_token: Tensor) -> None:
        """Log the mean over tokens of each of ``per_token``."""
        for name, values in per_token.items():
            total, count = self._sum(torch.stack([(values * mask).sum(), mask.sum().float()])).tolist()
            self._metrics["train"][name].append(total / max(count, 1.0))

    def _record_rollout(
        self, batch: Batch, scores: Tensor, rewards: Tensor, kl: Tensor, mask: Tensor, returns: Tensor
    ) -> None:
        """Log what a rollout was like; dropped responses count in ``dropped`` alone."""
        kept = mask.any(dim=1)
        of_response = {
            "raw_reward": scores[kept],
            "reward": rewards[kept].sum(dim=1),
            "kl": (kl * mask)[kept].sum(dim=1),
            "length": mask[kept].sum(dim=1).float(),
            "eos_rate": batch["ended"][kept].float(),
        }
        logged = self._metrics["train"]
        for name, values in of_response.items():
            total, count = self._sum(torch.stack([values.sum(), kept.sum().float()])).tolist()
            logged[name].append(total / max(count, 1.0))
        logged["dropped"].append(self._sum((~kept).sum()).item())
        logged["explained_variance"].append(
            ppo_math.explained_variance(batch["old_values"], returns, mask).item()
        )
        logged["kl_coef"].append(self.kl_coef)

    def _sum(self, values: Tensor) -> Tensor:
        """The sum over processes."""
        total: Tensor = self.accelerator.reduce(values, "sum")
        return total

    # --- two networks ----------------------------------------------------------------------------

    def create_optimizer(self, model: Any = None) -> Any:
        """One optimizer with a group of its own for the value model, so that both resume together."""
        if self.optimizer is None:
            optimizer = super().create_optimizer(model)
            parameters = [p for p in self.value_model.parameters() if p.requires_grad]
            rate = self.options.value_learning_rate or self.options.learning_rate
            optimizer.add_param_group({"params": parameters, "lr": rate, "weight_decay": 0.0})
            # Trainer clears the policy's gradients only
            optimizer.register_step_post_hook(lambda *_: self.value_model.zero_grad())
        return self.optimizer

    def _clip_grad_norm(self, model: Any) -> Any:
        """Clip each network's gradients on their own."""
        norm = super()._clip_grad_norm(model)
        value_norm = torch.nn.utils.clip_grad_norm_(self.value_model.parameters(), self.args.max_grad_norm)
        self._metrics["train"]["value_grad_norm"].append(value_norm.item())
        return norm

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        if self.accelerator.is_main_process:
            self.accelerator.unwrap_model(self.value_model).save(folder)
            (folder / STATE).write_text(json.dumps({"kl_coef": self.kl_coef}), encoding="utf-8")

    def restore(self, checkpoint: Path) -> None:
        """Take the value model and the KL coefficient from a checkpoint, before training resumes."""
        try:
            self.accelerator.unwrap_model(self.value_model).restore(checkpoint)
            self.kl_coef = float(json.loads((checkpoint / STATE).read_text(encoding="utf-8"))["kl_coef"])
        except (OSError, ValueError, SafetensorError) as error:
            raise TrainingError(
                f"the checkpoint {checkpoint} cannot be continued from",
                provided_by="jurist-trl (trl-ppo)",
                cause=error,
                hint="remove that folder to continue from the one before",
            ) from error


def _joined(batch: Batch) -> tuple[Tensor, Tensor]:
    """Prompts and responses as one batch of token ids, and its attention mask."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    return ids, torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
