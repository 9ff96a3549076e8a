"""Monitors: numbers by hand, each warning on a series that has its pattern, silence on noise."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import correlation
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from jurist.train_jobs import TrainJob, TrainProgress
from jurist_trl.groups.component import GRPO
from jurist_trl.monitors.history import History, noise_of
from jurist_trl.monitors.text_statistics import (
    commonest_phrase,
    distinct,
    length_correlation,
    repetition,
    words,
)
from jurist_trl.monitors.warning_signs import WarningTracker


def test_words_are_words_marks_and_chinese_characters() -> None:
    assert words("I'm Ünal, 你好吗!") == ["i", "'", "m", "ünal", ",", "你", "好", "吗", "!"]


def test_the_commonest_phrase_counts_each_response_once() -> None:
    texts = ["a b c a b c a b c", "x a b c", "y z", "b c d"]
    phrase = commonest_phrase([words(text) for text in texts], 3)
    assert (phrase.text, phrase.share) == ("a b c", 0.5)
    assert commonest_phrase([words("ok."), words("OK."), words("no")], 3).share == pytest.approx(2 / 3)
    assert commonest_phrase([[], [], words("a b c")], 3) == ("a b c", pytest.approx(1 / 3))
    assert commonest_phrase([[], []], 3) == ("", 0.0)


def test_repetition_and_distinct_by_hand() -> None:
    responses = [words("a b a b a b"), words("a b c")]
    assert distinct(responses, 2) == pytest.approx(3 / 7)  # ab ba ab ba ab, ab bc: 3 of 7
    assert repetition(responses, 4) == pytest.approx(1 / 3)  # abab baba abab; the other is too short
    assert repetition(responses, 2) == pytest.approx((3 / 5 + 0) / 2)
    assert (distinct([["a"]], 2), repetition([["a"]], 4)) == (1.0, 0.0)


def test_length_correlation_leaves_out_what_has_no_reward() -> None:
    responses = [["a"] * n for n in (1, 2, 3, 9)]
    assert length_correlation(responses, [1.0, 3.0, 2.0, None]) == pytest.approx(0.5)
    assert length_correlation(responses, [1.0, 1.0, 1.0, 1.0]) is None
    assert length_correlation(responses, [1.0, None, None, None]) is None


def test_noise_is_what_is_left_beside_a_trend() -> None:
    source = random.Random(0)
    values = [0.05 * t + source.gauss(0, 2.0) for t in range(2000)]
    assert noise_of(values) == pytest.approx(2.0, rel=0.05)


def healthy(t: int, source: random.Random) -> dict[str, float]:
    """A rollout of a run that goes well: the reward rises, all else stays or moves a little."""

    def around(mean: float, deviation: float) -> float:
        return mean + source.gauss(0, deviation)

    return {
        "raw_reward": around(0.02 * t, 0.2),
        "kl": abs(around(0.1 * t, 0.5)),
        "length": around(100 + 0.1 * t, 8),
        "length_correlation": around(0.4, 0.1),
        "entropy": around(1.5 - 0.005 * t, 0.1),
        "empty_rate": 0.02 * (t % 3),
        "boilerplate_rate": around(0.2, 0.06),
        "repetition": around(0.1, 0.03),
        "eos_rate": around(0.9, 0.04),
        "reward_clipped": abs(around(0.05, 0.03)),
        "explained_variance": around(0.0, 0.2),
        "frac_reward_zero_std": abs(around(0.2, 0.1)),
        "dropped": abs(around(1, 1)),
        "clip_fraction": abs(around(0.1, 0.05)),
        "held_out_metric": around(min(0.02 * t, 0.5), 0.1),
    }


def after(t: int, slope: float) -> float:
    """0 until the 20th rollout, then rising."""
    return slope * max(0, t - 20)


Pattern = Callable[[int, dict[str, float]], dict[str, float]]

PATTERNS: dict[str, Pattern] = {
    "while the measure on held-out prompts fell from": lambda t, m: {
        "held_out_metric": m["held_out_metric"] - after(t, 0.06)
    },
    "responses grew from": lambda t, m: {"length": m["length"] + after(t, 4)},
    "nats per response (bound 50)": lambda t, m: {"kl": m["kl"] + after(t, 2)},
    "much faster than before": lambda t, m: {"kl": m["kl"] + after(t, 1) ** 2 / 4},
    "the entropy fell from": lambda t, m: {"entropy": max(m["entropy"] - after(t, 0.06), 0.02)},
    "of responses share a phrase": lambda t, m: {
        "boilerplate_rate": min(m["boilerplate_rate"] + after(t, 0.02), 1)
    },
    "of responses are empty": lambda t, m: {"empty_rate": min(m["empty_rate"] + after(t, 0.02), 1)},
    "of each response repeats itself": lambda t, m: {"repetition": m["repetition"] + after(t, 0.01)},
    "are at the bound of reward_clip": lambda t, m: {"reward_clipped": m["reward_clipped"] + after(t, 0.02)},
    "of updates are clipped": lambda t, m: {"clip_fraction": m["clip_fraction"] + after(t, 0.01)},
    "less than a constant would": lambda t, m: {
        "explained_variance": m["explained_variance"] - after(t, 0.03)
    },
    "of responses end by themselves": lambda t, m: {"eos_rate": max(m["eos_rate"] - after(t, 0.015), 0)},
    "all responses have the same reward": lambda t, m: {
        "frac_reward_zero_std": min(m["frac_reward_zero_std"] + after(t, 0.02), 1)
    },
    "had no reward": lambda t, m: {"dropped": m["dropped"] + after(t, 0.2)},
}


def warned(rollouts: int, pattern: Pattern | None = None, seed: int = 0) -> list[tuple[int, str]]:
    """What was warned of in so many rollouts, and after which."""
    source, tracker = random.Random(seed), WarningTracker(64)
    found: list[tuple[int, str]] = []
    for t in range(rollouts):
        metrics = healthy(t, source)
        metrics |= pattern(t, metrics) if pattern else {}
        tracker.history.add(metrics)
        found += [(t, text) for text in tracker.warnings()]
    return found


@pytest.mark.parametrize("said", PATTERNS)
@pytest.mark.parametrize("seed", [1, 2])
def test_each_pattern_is_warned_of_once_it_is_there(said: str, seed: int) -> None:
    found = [(t, text) for t, text in warned(60, PATTERNS[said], seed) if said in text]
    assert len(found) == 1
    assert found[0][0] > 20


def test_noise_is_no_reason_to_warn() -> None:
    """60 runs of 80 rollouts each, with none of the patterns."""
    assert [text for seed in range(60) for _, text in warned(80, seed=seed)] == []


def test_growth_in_length_that_does_not_pay_is_no_length_warning() -> None:
    def grows(t: int, m: dict[str, float]) -> dict[str, float]:
        return {"length": m["length"] + after(t, 4), "length_correlation": m["length_correlation"] - 0.4}

    assert warned(60, grows) == []


def test_a_warning_comes_again_only_when_its_sign_was_gone_for_a_while() -> None:
    def at_bound(*spans: range) -> Pattern:
        return lambda t, m: {"reward_clipped": float(any(t in span for span in spans))}

    assert [t for t, _ in warned(60, at_bound(range(10, 30)))] == [12]
    again = warned(60, at_bound(range(10, 30), range(45, 60)))
    assert [t for t, _ in again] == [12, 47]
    assert [t for t, _ in warned(60, at_bound(range(10, 30), range(33, 60)))] == [12]


def test_the_clip_fraction_of_a_rollout_is_that_of_all_its_steps() -> None:
    history = History(8)
    for _ in range(2):
        history.add({"raw_reward": 1.0, "clip_fraction": 0.0})
        history.add({"clip_fraction": 0.2})
        history.add({"clip_fraction": 0.4})
    history.add({"raw_reward": 1.0, "clip_fraction": 0.0})
    assert list(history.of("clip_fraction")) == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize("rewards", [[1.0, -3.0, None, 0.5], [None] * 4])
def test_what_is_measured_is_added_to_the_metrics_of_a_rollout(
    tmp_path: Path, rewards: list[float | None]
) -> None:
    from jurist_trl.monitors.callback import Monitors

    trainer = SimpleNamespace(
        args=SimpleNamespace(generation_batch_size=4),
        last_responses=["a b c d e", "A b c d e f a b c d e f", "x", "y z"],
        last_rewards=rewards,
    )
    monitors = Monitors(
        trainer, TrainJob(model=tmp_path, data=tmp_path, output=tmp_path), print, reward_clip=1.0
    )
    state = SimpleNamespace(is_world_process_zero=True, global_step=1, max_steps=9)
    logs: dict[str, Any] = {"loss": 0.1, "raw_reward": 0.2, "reward_std": None}
    monitors.on_log(None, state, None, logs)
    assert logs["empty_rate"] == 0
    assert logs["boilerplate_rate"] == 0.5
    assert logs["distinct_2"] == pytest.approx(7 / 16)  # ab bc cd de, and ef fa beside, and yz; of 4 + 11 + 1
    assert logs["repetition"] == pytest.approx((0 + 3 / 9) / 2)
    if rewards[0] is None:
        assert not {"reward_clipped", "length_correlation"} & set(logs)
    else:
        assert logs["reward_clipped"] == pytest.approx(2 / 3)
        assert logs["length_correlation"] == pytest.approx(correlation([5, 12, 2], [1.0, -3.0, 0.5]))
    step: dict[str, Any] = {"loss": 0.1}
    monitors.on_log(None, state, None, step)
    assert step == {"loss": 0.1}


def test_a_policy_that_says_nothing_is_not_called_varied(tmp_path: Path) -> None:
    from jurist_trl.monitors.callback import Monitors

    trainer = SimpleNamespace(
        args=SimpleNamespace(generation_batch_size=2), last_responses=["", " "], last_rewards=[1.0, 1.0]
    )
    job = TrainJob(model=tmp_path, data=tmp_path, output=tmp_path)
    logs: dict[str, Any] = {"raw_reward": 0.2}
    state = SimpleNamespace(is_world_process_zero=True, global_step=1, max_steps=9)
    Monitors(trainer, job, print).on_log(None, state, None, logs)
    assert logs["empty_rate"] == 1
    assert logs["boilerplate_rate"] == 0
    assert not {"distinct_2", "repetition"} & set(logs)


def test_measuring_a_rollout_takes_milliseconds() -> None:
    source = random.Random(0)
    texts = [" ".join(str(source.randrange(5000)) for _ in range(256)) for _ in range(64)]
    start = time.process_time()
    responses = [words(text) for text in texts]
    commonest_phrase(responses), distinct(responses), repetition(responses)
    spent = time.process_time() - start
    assert spent < 0.5


@pytest.fixture
def words_please(reward_functions: ModuleType) -> str:
    """A reward that pays for each word, as a judge that likes long answers does."""

    def lengths(prompts: Any, completions: list[str]) -> list[float | None]:
        return [float(len(text.split())) for text in completions]

    def brevity(prompts: Any, completions: list[str]) -> list[float | None]:
        return [-float(len(text.split())) for text in completions]

    vars(reward_functions).update(lengths=lengths, brevity=brevity)
    return f"{reward_functions.__name__}:lengths"


GROWING = {"rollouts": 16, "batch_size": 16, "max_completion_length": 64, "lr_scheduler": "constant"}


@pytest.mark.slow
def test_a_reward_for_length_is_found_out_and_told_once_though_the_run_is_resumed(
    policy: Path,
    prompts: Path,
    tmp_path: Path,
    words_please: str,
    train_group: Any,
    metrics_of: Any,
    kill_at: Any,
) -> None:
    job = TrainJob(model=policy, data=prompts, output=tmp_path, held_out=prompts, seed=2)
    settings = {**GROWING, "learning_rate": 3e-4, "reward": words_please, "beta": 0.0, "save_steps": 2}
    settings |= {"metric": words_please.replace("lengths", "brevity"), "eval_steps": 2}
    told: list[TrainProgress] = []
    kill = kill_at(13)

    def tell(progress: TrainProgress) -> None:
        told.append(progress)
        kill(progress)

    with pytest.raises(Exception, match="at step 13"):
        train_group(GRPO, job, tell, **settings)
    train_group(GRPO, job, told.append, **settings)
    warnings = [p.warning for p in told if p.warning is not None]
    assert sum("while the measure on held-out prompts fell from" in warning for warning in warnings) == 1
    found = [p for p in told if p.warning is not None and "responses grew from" in p.warning]
    assert len(found) == 1
    assert 10 <= found[0].step <= 13
    assert found[0].total == 16
    lines = metrics_of(tmp_path)
    assert [line["step"] for line in lines] == list(range(17))  # before training, too
    assert all(line["length_correlation"] > 0.99 for line in lines[1:])


@pytest.mark.slow
def test_a_healthy_run_is_left_alone(
    policy: Path, prompts: Path, tmp_path: Path, train_group: Any, metrics_of: Any
) -> None:
    job = TrainJob(model=policy, data=prompts, output=tmp_path, seed=2)
    settings = {"rollouts": 24, "batch_size": 16, "max_completion_length": 24, "lr_scheduler": "constant"}
    told: list[TrainProgress] = []
    train_group(GRPO, job, told.append, learning_rate=1e-4, **settings)
    rewards = [line["raw_reward"] for line in metrics_of(tmp_path)]
    assert sum(rewards[-5:]) > 3 * sum(rewards[:5])
    assert [p.warning for p in told if p.warning is not None] == []


def test_ppo_is_watched_too(ppo_job: TrainJob, train_ppo: Any, metrics_of: Any, words_please: str) -> None:
    told: list[TrainProgress] = []
    train_ppo(ppo_job, told.append, rollouts=5, reward=words_please, reward_clip=1.0)
    lines = metrics_of(ppo_job.output)
    assert all(0 < line["boilerplate_rate"] <= 1 and 0 < line["distinct_2"] <= 1 for line in lines)
    (warning,) = [p.warning for p in told if p.warning is not None]
    assert "of rewards are at the bound of reward_clip" in warning
