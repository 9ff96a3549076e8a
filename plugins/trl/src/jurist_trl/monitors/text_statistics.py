"""What responses look like as texts: how much they repeat themselves, and each other."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# Chinese characters and kana have no spaces between words, so each counts as one; so does a punctuation mark
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+|[^\w\s]")

PHRASE_WORDS = 5


def words(text: str) -> list[str]:
    """The words and punctuation marks of ``text``, in lower case."""
    return _WORD.findall(text.lower())


class Phrase(NamedTuple):
    """Consecutive words, and the share of responses that have them at least once."""

    text: str
    share: float


def commonest_phrase(responses: Sequence[Sequence[str]], n: int = PHRASE_WORDS) -> Phrase:
    """The ``n`` consecutive words that most of ``responses``, given as words, have in common.

    Each response counts once for a phrase. One of fewer than ``n`` words is a phrase as a whole, so that
    a policy that answers "ok." to everything has one, too. Empty responses have none.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for response in responses:
        counts.update(set(_ngrams(response, n) or ([tuple(response)] if response else [])))
    phrase, count = max(counts.items(), key=lambda item: (item[1], item[0]), default=((), 0))
    return Phrase(" ".join(phrase), count / len(responses))


def distinct(responses: Iterable[Sequence[str]], n: int = 2) -> float:
    """Different n-grams of all responses per n-gram, from 0 (all alike) to 1 (Li et al. 2016, 1510.03055).

    It also falls as responses grow longer; 1 where there are none.
    """
    found = [ngram for response in responses for ngram in _ngrams(response, n)]
    return len(set(found)) / len(found) if found else 1.0


def repetition(responses: Iterable[Sequence[str]], n: int = 4) -> float:
    """The share of n-grams that their own response had before, a mean over responses with any.

    1 - distinct / all of each response: seq-rep-4 of Welleck et al. 2019 (1908.04319).
    """
    shares = [1 - distinct([response], n) for response in responses if len(response) >= n]
    return statistics.fmean(shares) if shares else 0.0


def length_correlation(responses: Sequence[Sequence[str]], rewards: Sequence[float | None]) -> float | None:
    """Pearson's correlation of rewards with lengths in words; None where either does not vary.

    Singhal et al. 2023 (2310.03716) found most of what PPO gains in reward to be length.
    """
    scored = [(len(r), reward) for r, reward in zip(responses, rewards, strict=True) if reward is not None]
    lengths, given = [length for length, _ in scored], [reward for _, reward in scored]
    if len(set(lengths)) < 2 or len(set(given)) < 2:
        return None
    return statistics.correlation(lengths, given)


def _ngrams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[i:] for i in range(n)), strict=False))
