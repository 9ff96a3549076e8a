"""Tiny models, tokenizers and datasets, made on the spot."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.contracts import Trainer
from jurist.train_jobs import Artifact, ScoreResponses, TrainJob, TrainProgress

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

WORDS = ["red", "green", "blue", "one", "two", "three", "yes", "no", "good", "bad", "what", "is", "the"]
WORDS += ["say", "colour", "number", "please", "maybe"]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {{ m.content }}{% if m.role == 'assistant' %}<eos>{% endif %} "
    "{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build_tokenizer(*, pad: str | None = "<pad>", template: str | None = TEMPLATE) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<unk>", "<user>", "<assistant>", "<system>"]
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<eos>",
        unk_token="<unk>",
        pad_token=pad,
        additional_special_tokens=["<user>", "<assistant>", "<system>"],
    )
    fast.chat_template = template
    return fast


@pytest.fixture(scope="session")
def make_policy(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Build a 2-layer Llama with a word tokenizer and save it; returns its folder."""

    def make(*, seed: int = 0, **tokenizer_options: Any) -> Path:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        tokenizer = build_tokenizer(**tokenizer_options)
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
            initializer_range=0.08,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
        folder = tmp_path_factory.mktemp("policy")
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def policy(make_policy: Callable[..., Path]) -> Path:
    return make_policy()


def turns(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def write_rows() -> Callable[[Path, list[dict[str, Any]]], Path]:
    """Write rows as JSON lines; gives the path again."""
    return write_lines


@pytest.fixture(scope="session")
def revisions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {
            "prompt": turns("user", f"say {WORDS[i % 6]} please"),
            "completion": turns("assistant", f"{WORDS[i % 6]} good"),
        }
        for i in range(24)
    ]
    return write_lines(tmp_path_factory.mktemp("data") / "revisions.jsonl", rows)


@pytest.fixture(scope="session")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Responses with 'good' in them are better than those with 'bad'; the judges are 90% sure."""
    rows = [
        {
            "prompt": turns("user", f"what is the {WORDS[i % 6]} {WORDS[i % 8]} {WORDS[i % 10]}"),
            "chosen": turns("assistant", f"good {WORDS[i % 5]}" + " maybe" * (i % 3)),
            "rejected": turns("assistant", f"bad {WORDS[i % 7]}"),
            "probability": 0.9,
            "aggregator": "majority",
        }
        for i in range(96)
    ]
    return write_lines(tmp_path_factory.mktemp("data") / "preferences.jsonl", rows)


@pytest.fixture(scope="session")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [{"prompt": turns("user", f"say {word} please")} for word in WORDS[:12]]
    return write_lines(tmp_path_factory.mktemp("data") / "prompts.jsonl", rows)


@pytest.fixture
def weights() -> Callable[[Path], dict[str, Any]]:
    """Read the tensors of a checkpoint folder."""

    def read(folder: Path) -> dict[str, Any]:
        from safetensors.torch import load_file

        return dict(load_file(folder / "model.safetensors"))

    return read


class Killed(Exception):
    """Stands for a crash in the middle of training."""


@pytest.fixture
def kill_at() -> Callable[[int], Callable[[Any], None]]:
    """A progress callback that crashes the training after a step's metrics are logged."""

    def at(step: int) -> Callable[[Any], None]:
        def progress(seen: Any) -> None:
            if seen.step == step:
                raise Killed(f"at step {step}")

        return progress

    return at


@pytest.fixture
def reward_functions() -> Iterator[ModuleType]:
    """Reward functions, importable by name as a user's are."""
    module = ModuleType("reward_functions_of_a_test")

    def goods(prompts: Any, completions: list[str]) -> list[float | None]:
        return [float(text.split().count("good")) for text in completions]

    async def goods_async(prompts: Any, completions: list[str]) -> list[float | None]:
        return goods(prompts, completions)

    def asked_for_red(prompts: Any, completions: list[str]) -> list[float | None]:
        return [2.0 * ("red" in p[0]["content"] or "one" in p[0]["content"]) for p in prompts]

    vars(module).update(asked_for_red=asked_for_red, goods=goods, goods_async=goods_async)
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.fixture(scope="session")
def reward_model(policy: Path, preferences: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from jurist_trl.supervised.reward import Reward, RewardOptions

    job = TrainJob(model=policy, data=preferences, output=tmp_path_factory.mktemp("reward"))
    options = RewardOptions(batch_size=8, learning_rate=3e-3, epochs=2)
    return Reward(options).train(job, lambda _: None).path


@pytest.fixture(scope="session")
def train_reward() -> Callable[..., Artifact]:
    """Train a reward model until it is sure, unless options say otherwise."""
    from jurist_trl.supervised.reward import Reward, RewardOptions

    sure = {"batch_size": 8, "learning_rate": 3e-3, "epochs": 3, "save_steps": 2, "eval_fraction": 0.25}

    def train(
        job: TrainJob, progress: Callable[[TrainProgress], None] = lambda _: None, **options: Any
    ) -> Artifact:
        return Reward(RewardOptions(**{**sure, **options})).train(job, progress)

    return train


@pytest.fixture(scope="session")
def trained_reward(
    train_reward: Callable[..., Artifact],
    policy: Path,
    preferences: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Artifact:
    return train_reward(TrainJob(model=policy, data=preferences, output=tmp_path_factory.mktemp("reward")))


@pytest.fixture(scope="session")
def score_texts() -> Callable[[Path, list[dict[str, Any]], str], list[float]]:
    """The scores of a reward model's folder for one side of preferences."""

    def scores(folder: Path, rows: list[dict[str, Any]], side: str) -> list[float]:
        from jurist_trl.reward_model import RewardModel

        texts = [row[side][0]["content"] for row in rows]
        return RewardModel(folder).score([row["prompt"] for row in rows], texts)

    return scores


@pytest.fixture(scope="session")
def log_probability() -> Callable[[Any, Any, dict[str, Any], str], Any]:
    """Sum of the log-probabilities of a response's tokens, end token included, one after the other."""
    import torch

    def of(model: Any, tokenizer: Any, row: dict[str, Any], side: str) -> Any:
        prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"]
        whole = tokenizer.apply_chat_template(row["prompt"] + row[side])["input_ids"]
        assert whole[: len(prompt)] == prompt
        assert whole[-1] == tokenizer.eos_token_id
        logits = model(input_ids=torch.tensor([whole])).logits[0]
        total = torch.zeros((), dtype=logits.dtype)
        for place in range(len(prompt), len(whole)):
            total = total + logits[place - 1].log_softmax(-1)[whole[place]]
        return total

    return of


@pytest.fixture
def ppo_job(policy: Path, prompts: Path, tmp_path: Path) -> TrainJob:
    return TrainJob(model=policy, data=prompts, output=tmp_path, seed=2)


@pytest.fixture
def train_ppo(reward_functions: ModuleType) -> Callable[..., Artifact]:
    """Train by PPO, fast unless options say otherwise; ``measure`` is what core would set."""
    from jurist_trl.ppo.component import PPO
    from jurist_trl.ppo.options import PPOOptions

    fast = {
        "rollouts": 2,
        "batch_size": 8,
        "ppo_epochs": 1,
        "max_completion_length": 6,
        "learning_rate": 3e-3,
        "reward": f"{reward_functions.__name__}:goods",
    }

    def train(
        job: TrainJob,
        progress: Callable[[TrainProgress], None] = lambda _: None,
        measure: ScoreResponses | None = None,
        **options: Any,
    ) -> Artifact:
        ppo = PPO(PPOOptions(**{**fast, **options}))
        ppo.measure = measure
        return ppo.train(job, progress)

    return train


def keeping(base: type[Any], made: list[Any]) -> type[Any]:
    """The trainer ``base``, which keeps its rollouts and puts itself into ``made``."""

    class Kept(base):  # type: ignore[misc]
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.rollouts: list[dict[str, Any]] = []
            made.append(self)

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            batch = super()._generate_and_score_completions(inputs)
            self.rollouts.append({**batch, "texts": self.last_responses, "rewards": self.last_rewards})
            return batch

    return Kept


@pytest.fixture
def ppo_trainers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The PPOTrainers that are made, each with its rollouts, to look into after training."""
    from jurist_trl.ppo import run as ppo_run

    made: list[Any] = []
    monkeypatch.setattr(ppo_run, "PPOTrainer", keeping(ppo_run.PPOTrainer, made))
    return made


@pytest.fixture
def metrics_of() -> Callable[[Path], list[dict[str, float]]]:
    """Read the metrics log in the folder of a job."""

    def read(output: Path) -> list[dict[str, float]]:
        return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]

    return read


@pytest.fixture
def train_group(reward_functions: ModuleType) -> Callable[..., Artifact]:
    """Train by GRPO or RLOO, fast unless options say otherwise."""
    fast = {
        "rollouts": 2,
        "batch_size": 8,
        "num_generations": 4,
        "max_completion_length": 6,
        "learning_rate": 3e-3,
        "reward": f"{reward_functions.__name__}:goods",
    }

    def train(method: type[Trainer], job: TrainJob, told: Any = lambda _: None, **options: Any) -> Artifact:
        return method(method.Options(**{**fast, **options})).train(job, told)

    return train


@pytest.fixture
def group_trainers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """TRL's trainers that GRPO and RLOO make, each with its rollouts, to look into after training."""
    from jurist_trl.groups import run as group_run

    made: list[Any] = []
    for name in ("GroupRelativeTrainer", "LeaveOneOutTrainer"):
        monkeypatch.setattr(group_run, name, keeping(getattr(group_run, name), made))
    return made
