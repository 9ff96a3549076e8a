"""The card of a labeler: README.md in its folder, for whoever finds it there."""

from __future__ import annotations

from jurist.intervals import Estimate
from jurist_classifier.facts import Facts

_HEADS = {
    "bradley_terry": "Bradley-Terry: a score for each response, P(A is better) = σ((s(A) − s(B)) / T). "
    "It is a reward model with one label.",
    "cross_encoder": "Cross-encoder: reads both responses at once, in both orders, and averages.",
}

_CARD = """\
# A labeler

Says which of two responses to a prompt people would prefer, and how probably. Made by
jurist-classifier.

| | |
|---|---|
| head | {head} |
| started from | `{base}` |
| learnt from | {train} pairs, seed {seed}; file with SHA-256 `{data}` |
| stopped early and calibrated by | {calibration} pairs |
| measured on | {test} pairs that played no part in making it |
| longest text | {max_length} tokens; of {shortened} pairs the prompt's beginning was cut off |

## How good it is

| on the {test} pairs | |
|---|---|
| accuracy | {accuracy} |
| accuracy of preferring the longer response | {longest} |
| cross-entropy | {loss:.3f} nats (a coin: 0.693) |
| calibration error before temperature scaling | {before:.3f} |
| calibration error with T = {temperature:.3g} | {after:.3f} |

{verdict} Intervals are of 95%. It knows what the people who labelled these pairs preferred, in texts
like these; measure it again before it judges others.

## What it cost

{seconds:.0f} seconds for {steps} optimizer steps (the best was {best}), {memory:.0f} MB at most. It labels
{speed:.0f} pairs a second on the same machine.

## How to use it

As a judge, in a recipe: `judges: [{{use: classifier, model: THIS_FOLDER}}]`. From Python:

```python
from pathlib import Path
from jurist.records import Message
from jurist_classifier.labeler import Labeler
from jurist_classifier.pairs import Pair

user, one, other = (Message(role=r, content=c) for r, c in
                    (("user", "Hi!"), ("assistant", "Hello."), ("assistant", "Go away.")))
print(Labeler.load(Path("THIS_FOLDER")).probabilities([Pair((user,), (one,), (other,))]))
```

Plain Transformers loads it with `AutoModelForSequenceClassification`; temperature and head are in
`labeler.json`.
"""


def card(facts: Facts) -> str:
    """The text of README.md."""
    better = facts.accuracy.low > 0.5
    return _CARD.format(
        head=_HEADS[facts.head],
        base=facts.base,
        train=facts.train_pairs,
        seed=facts.seed,
        data=facts.data,
        calibration=facts.calibration_pairs,
        test=facts.test_pairs,
        max_length=facts.max_length,
        shortened=facts.shortened,
        accuracy=_text(facts.accuracy),
        longest=_text(facts.longest),
        loss=facts.loss,
        before=facts.calibration_error_before,
        temperature=facts.temperature,
        after=facts.calibration_error,
        verdict="It is better than chance." if better else "**It is not shown to be better than chance.**",
        seconds=facts.seconds,
        steps=facts.steps,
        best=facts.best_step,
        memory=facts.peak_memory_mb,
        speed=facts.pairs_per_second,
    )


def _text(found: Estimate) -> str:
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"
