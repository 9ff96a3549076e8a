"""One training of ppo.py, in a process of its own: settings come as JSON, what was measured is printed.

The method ``trl-1.12-ppo`` runs in an environment that has TRL and no Jurist, so it imports none of it.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from memory import peak_mb

Settings = dict[str, Any]
KL = 0.05
GENERATIONS = 8


def jurist_ppo(settings: Settings) -> None:
    """Ours, as a recipe runs it."""
    from jurist.train_jobs import TrainJob
    from jurist_trl.ppo.component import PPO
    from jurist_trl.ppo.options import PPOOptions

    options = PPOOptions(
        rollouts=settings["rollouts"],
        batch_size=settings["rollout"],
        ppo_epochs=settings["epochs"],
        learning_rate=settings["learning_rate"],
        lr_scheduler="constant",
        kl_coef=KL,
        missing_eos_penalty=1.0,
        max_completion_length=settings["length"],
        save_steps=10**6,
    )
    job = TrainJob(
        model=Path(settings["policy"]),
        data=Path(settings["prompts"]),
        output=Path(settings["output"]),
        reward_models=(Path(settings["reward_model"]),),
        seed=settings["seed"],
    )
    PPO(options).train(job, lambda _: None)


def grouped(settings: Settings) -> None:
    """TRL's GRPO or RLOO as TRL documents them, with the same reward model."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
    from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

    from jurist_trl.reward_model import RewardModel

    rewards = RewardModel(Path(settings["reward_model"]), batch_size=settings["rollout"])

    def reward(prompts: list[Any], completions: list[Any], **_: Any) -> list[float]:
        return rewards.score(prompts, [completion[-1]["content"] for completion in completions])

    trainer_class, config_class = {"grpo": (GRPOTrainer, GRPOConfig), "rloo": (RLOOTrainer, RLOOConfig)}[
        settings["method"]
    ]
    set_seed(settings["seed"])
    cpu = settings["device"] == "cpu"
    trainer = trainer_class(
        model=AutoModelForCausalLM.from_pretrained(settings["policy"], dtype="float32"),
        reward_funcs=reward,
        args=config_class(
            output_dir=settings["output"],
            seed=settings["seed"],
            per_device_train_batch_size=settings["rollout"],
            num_generations=GENERATIONS,
            num_iterations=settings["epochs"],
            max_steps=settings["rollouts"],
            max_completion_length=settings["length"],
            learning_rate=settings["learning_rate"],
            lr_scheduler_type="constant",
            beta=KL,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=cpu,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(_prompts(settings)),
        processing_class=AutoTokenizer.from_pretrained(settings["policy"]),
    )
    trainer.train()
    trainer.save_model(str(Path(settings["output"]) / "model"))


def peer_ppo(settings: Settings) -> None:
    """The last PPO that TRL had (1.12.0)."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, set_seed
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(settings["policy"], padding_side="left")
    set_seed(settings["seed"])

    def scorer() -> Any:
        model = AutoModelForSequenceClassification.from_pretrained(settings["reward_model"], dtype="float32")
        head = torch.nn.Linear(
            model.config.hidden_size, 1
        )  # with the shift that Jurist keeps in the configuration
        head.weight.data.copy_(model.score.weight.data)
        head.bias.data.fill_(-getattr(model.config, "jurist_reward_mean", 0.0))
        model.score = head
        return model

    def policy() -> Any:
        return AutoModelForCausalLM.from_pretrained(settings["policy"], dtype="float32")

    def tokenized(row: dict[str, Any]) -> dict[str, Any]:
        encoded = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=True)
        return {"input_ids": encoded["input_ids"]}

    data = Dataset.from_list(_prompts(settings)).map(tokenized, remove_columns=["prompt"])
    cpu = settings["device"] == "cpu"
    trainer = PPOTrainer(
        args=PPOConfig(
            output_dir=settings["output"],
            seed=settings["seed"],
            per_device_train_batch_size=settings["rollout"],
            gradient_accumulation_steps=1,
            num_mini_batches=1,
            num_ppo_epochs=settings["epochs"],
            total_episodes=settings["rollouts"] * settings["rollout"],
            local_rollout_forward_batch_size=settings["rollout"],
            response_length=settings["length"],
            stop_token="eos",
            missing_eos_penalty=1.0,
            temperature=1.0,
            kl_coef=KL,
            learning_rate=settings["learning_rate"],
            lr_scheduler_type="constant",
            num_sample_generations=0,
            gradient_checkpointing=False,
            bf16=False,
            use_cpu=cpu,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        processing_class=tokenizer,
        model=policy(),
        ref_model=policy(),
        reward_model=scorer(),
        value_model=scorer(),
        train_dataset=data,
        eval_dataset=data.select(range(settings["rollout"])),
    )
    trainer.train()
    trainer.model.policy.save_pretrained(Path(settings["output"]) / "model")


def _prompts(settings: Settings) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(settings["prompts"]).open(encoding="utf-8")]


IMPORTS = {
    "jurist-ppo": ["jurist_trl.ppo.run", "jurist_trl.reward_model"],
    "grpo": ["trl.trainer.grpo_trainer", "jurist_trl.reward_model"],
    "rloo": ["trl.trainer.rloo_trainer", "jurist_trl.reward_model"],
    "trl-1.12-ppo": ["trl.experimental.ppo"],
}
METHODS = {"jurist-ppo": jurist_ppo, "grpo": grouped, "rloo": grouped, "trl-1.12-ppo": peer_ppo}


def main() -> None:
    """Train, and print rate and peak memory."""
    settings = json.loads(sys.argv[1])
    import torch

    torch.set_num_threads(1)
    for module in IMPORTS[settings["method"]]:  # what it takes to import is no part of training
        importlib.import_module(module)
    clock = time.process_time if settings["device"] == "cpu" else time.perf_counter
    began = clock()
    METHODS[settings["method"]](settings)
    seconds = clock() - began
    samples = settings["rollouts"] * settings["rollout"]
    peak = peak_mb()
    if settings["device"] == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    print(json.dumps({"seconds": seconds, "rate": samples / seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
