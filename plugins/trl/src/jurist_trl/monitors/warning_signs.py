"""Signs that a policy games its reward or falls apart, seen in the metrics of its rollouts.

Each looks at the run's own start where it can, since what is normal differs from task to task. None is a
proof; each says what was seen and what to do next. The bounds are choices, made so that noise alone
does not reach them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

from jurist_trl.monitors.history import CLEAR, WINDOW, History, change, noise_of

LENGTH_GROWTH = 1.3
"""Responses as many times as long as at the start."""
LENGTH_CORRELATION = 0.3
"""A correlation of reward with length that is no longer small (medium: Cohen 1988)."""
KL_BOUND = 50.0
"""Nats per response; how far is too far depends on the reward (Gao et al. 2022, 2210.10760)."""
KL_ACCELERATION = 3.0
"""sqrt(KL) grows about evenly with the reward (Bai et al. 2022, 2204.05862); this much faster is a slide."""
KL_STEP = 1.0
"""How far sqrt(KL) must move from one window to the next for its speed to matter."""
ENTROPY_LEFT = 0.25
"""The share of the starting entropy below which hardly anything new is tried."""
PHRASE_SHARE, PHRASE_GROWTH = 0.5, 0.25
"""Half of the responses share a phrase, and that by this much more than at the start."""
EMPTY = 0.2
"""The share of responses without a word."""
REPETITION_GROWTH = 0.2
"""How much more of each response repeats itself than at the start."""
CLIPPED_REWARDS = 0.5
"""The share of rewards at the bound of reward_clip, where better responses earn no more."""
CLIP_FRACTION = 0.3
"""The share of updates that are clipped."""
EOS_LOSS = 0.2
"""How many fewer of the responses end by themselves than at the start."""
GROUPS_ALIKE = 0.8
"""The share of groups whose responses all have the same reward, from which nothing is learnt."""
DROPPED = 0.05
"""The share of responses without a reward."""
HELD_OUT_MEASURED = 6
"""How many measurements on held-out prompts it takes to say that they fall."""
HELD_OUT_CLEAR = 5.0
"""Standard errors: more than elsewhere, since the best measurements so far are those that chance favoured."""

Sign = Callable[[History], str | None]
"""What is seen in a history and what to do next, or None."""


def held_out_falls(history: History) -> str | None:
    """Rewards rise while held-out prompts are answered worse than before: Gao et al. 2022."""
    measured = [value for _, value in history.held_out]
    if len(measured) < HELD_OUT_MEASURED:
        return None
    window = max(2, len(measured) // 4)
    best = max(range(len(measured) - 2 * window + 1), key=lambda i: sum(measured[i : i + window]))
    before = measured[best : best + window]
    held_out = change(before, measured[-window:], noise_of(measured), errors=HELD_OUT_CLEAR)
    then, rewards = history.held_out[best + window - 1][0], history.of("raw_reward")
    if not held_out.falls or then == 0 or len(rewards) - then < WINDOW:
        return None
    reward = change(rewards[max(0, then - WINDOW) : then], rewards[-WINDOW:], noise_of(rewards))
    if not reward.rises:
        return None
    return (
        f"the reward rose from {reward.start:.3g} to {reward.now:.3g} while the measure on held-out prompts "
        f"fell from {held_out.start:.3g} to {held_out.now:.3g}: the policy pleases the reward alone. Take an "
        "earlier checkpoint, raise the weight of the KL, or train the reward model on newer responses"
    )


def length_pays(history: History) -> str | None:
    """Responses grow with the reward, and within rollouts longer ones earn more: Singhal et al. 2023."""
    reward, length = history.since_start("raw_reward"), history.since_start("length")
    correlations = history.of("length_correlation")
    if reward is None or length is None or not correlations:
        return None
    correlation = statistics.fmean(correlations)
    grown = length.rises and length.now >= LENGTH_GROWTH * length.start
    if not (reward.rises and grown and correlation >= LENGTH_CORRELATION):
        return None
    return (
        f"responses grew from {length.start:.3g} to {length.now:.3g} tokens while the reward rose from "
        f"{reward.start:.3g} to {reward.now:.3g}, and longer ones earn more (correlation {correlation:.2f}): "
        "the gain may be length alone. Compare responses of equal length, and take length out of the reward"
    )


def kl_is_large(history: History) -> str | None:
    """The policy is far from where it started."""
    newest = history.newest("kl")
    if newest is None or (kl := statistics.fmean(newest)) < KL_BOUND:
        return None
    return (
        f"the KL to the starting policy is {kl:.3g} nats per response (bound {KL_BOUND:g}): responses are "
        "unlike those that the reward was made for. Raise the weight of the KL, or stop here"
    )


def kl_accelerates(history: History) -> str | None:
    """The policy moves away faster and faster: sqrt(KL) against its mean speed until now."""
    distances = [math.sqrt(max(kl, 0.0)) for kl in history.of("kl")]
    if len(distances) < 4 * WINDOW:
        return None
    start, before, now = (
        statistics.fmean(part)
        for part in (distances[:WINDOW], distances[-2 * WINDOW : -WINDOW], distances[-WINDOW:])
    )
    usual = max(before - start, 0.0) / (len(distances) - 2 * WINDOW) * WINDOW
    if now - before < KL_STEP or now - before < KL_ACCELERATION * usual:
        return None
    return (
        f"the KL to the starting policy went from {before**2:.3g} to {now**2:.3g} nats per response within "
        f"{WINDOW} rollouts, much faster than before. Lower learning_rate, or raise the weight of the KL"
    )


def entropy_collapses(history: History) -> str | None:
    """The policy is nearly sure of each token, so its samples hardly differ."""
    entropy = history.since_start("entropy")
    if entropy is None or not entropy.falls or entropy.now > ENTROPY_LEFT * entropy.start:
        return None
    return (
        f"the entropy fell from {entropy.start:.3g} to {entropy.now:.3g} nats per token: hardly anything new "
        "is tried any more. Lower learning_rate, raise the weight of the KL or the temperature"
    )


def phrase_spreads(history: History) -> str | None:
    """More and more responses have the same words in them."""
    share = history.since_start("boilerplate_rate")
    if share is None or not share.rises:
        return None
    if share.now < PHRASE_SHARE or share.now - share.start < PHRASE_GROWTH:
        return None
    return (
        f"{share.now:.0%} of responses share a phrase, at the start {share.start:.0%}; now "
        f"“{history.phrase}”: such phrases please judges whatever they stand in. Read some responses, "
        "and have the judges' rubric say that the phrase earns nothing"
    )


def responses_are_empty(history: History) -> str | None:
    """The policy says nothing, which may be the safest thing to say."""
    newest = history.newest("empty_rate")
    if newest is None or (share := statistics.fmean(newest)) < EMPTY:
        return None
    return (
        f"{share:.0%} of responses are empty: the policy earns more by saying nothing. Have an empty "
        "response cost something, lower learning_rate, or raise the weight of the KL"
    )


def repetition_grows(history: History) -> str | None:
    """Responses say the same again and again."""
    share = history.since_start("repetition")
    if share is None or not share.rises or share.now - share.start < REPETITION_GROWTH:
        return None
    return (
        f"{share.now:.0%} of each response repeats itself, at the start {share.start:.0%}. Read some "
        "responses; lower learning_rate, or raise the weight of the KL"
    )


def rewards_are_clipped(history: History) -> str | None:
    """Rewards are at their bound, so that better responses earn no more."""
    newest = history.newest("reward_clipped")
    if newest is None or (share := statistics.fmean(newest)) < CLIPPED_REWARDS:
        return None
    return (
        f"{share:.0%} of rewards are at the bound of reward_clip: better responses earn no more. Raise "
        "reward_clip, or stop here"
    )


def updates_are_clipped(history: History) -> str | None:
    """Steps are so large that much of them is cut off."""
    newest = history.newest("clip_fraction")
    if newest is None or (share := statistics.fmean(newest)) < CLIP_FRACTION:
        return None
    return (
        f"{share:.0%} of updates are clipped (bound {CLIP_FRACTION:.0%}): steps are too large. Lower "
        "learning_rate, or take fewer steps on each rollout"
    )


def values_explain_nothing(history: History) -> str | None:
    """The value model is worse than a constant, so advantages are noise."""
    newest = history.newest("explained_variance", 2 * WINDOW)
    if newest is None or max(newest) >= 0:
        return None
    error = noise_of(history.of("explained_variance")) / math.sqrt(len(newest))
    if statistics.fmean(newest) > -CLEAR * error:
        return None
    return (
        "the value model explains less than a constant would "
        f"({statistics.fmean(newest):.2f} of the variance, over {len(newest)} rollouts). Raise "
        "value_learning_rate, or set value_warmup_rollouts"
    )


def responses_are_cut_off(history: History) -> str | None:
    """Fewer responses come to an end before the limit."""
    rate = history.since_start("eos_rate")
    if rate is None or not rate.falls or rate.start - rate.now < EOS_LOSS:
        return None
    return (
        f"{rate.now:.0%} of responses end by themselves, at the start {rate.start:.0%}: the others are cut "
        "off and rewarded as they are. Raise max_completion_length, or have a missing end cost something"
    )


def groups_are_alike(history: History) -> str | None:
    """The responses to a prompt get the same reward, so there is nothing to compare."""
    newest = history.newest("frac_reward_zero_std")
    if newest is None or (share := statistics.fmean(newest)) < GROUPS_ALIKE:
        return None
    return (
        f"in {share:.0%} of groups all responses have the same reward, so nothing is learnt from them. Use "
        "prompts that are neither too easy nor too hard, a finer reward, or more num_generations"
    )


def rewards_are_missing(history: History) -> str | None:
    """Many responses are left out, perhaps not by chance."""
    newest = history.newest("dropped")
    if newest is None or (share := statistics.fmean(newest) / history.rollout_size) < DROPPED:
        return None
    return (
        f"{share:.1%} of responses had no reward and were left out: if those are of one kind, the policy "
        "learns to write others. Look at why they have none, or raise reward_retries"
    )


SIGNS: tuple[Sign, ...] = (
    held_out_falls,
    length_pays,
    kl_is_large,
    kl_accelerates,
    entropy_collapses,
    phrase_spreads,
    responses_are_empty,
    repetition_grows,
    rewards_are_clipped,
    updates_are_clipped,
    values_explain_nothing,
    responses_are_cut_off,
    groups_are_alike,
    rewards_are_missing,
)


class WarningTracker:
    """Says each warning once; again only when its sign was gone for a while and came back."""

    def __init__(self, rollout_size: int) -> None:
        self.history = History(rollout_size)
        self._absent = dict.fromkeys(SIGNS, WINDOW)

    def warnings(self) -> list[str]:
        """What is new in the history; to be asked whenever something was measured."""
        new: list[str] = []
        for sign in SIGNS:
            seen = sign(self.history)
            if seen is None:
                self._absent[sign] += 1
                continue
            if self._absent[sign] >= WINDOW:
                new.append(seen)
            self._absent[sign] = 0
        return new
