"""Confusion: how often each worker gives each verdict where each label is right.

Dawid & Skene (1979), "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied
Statistics 28.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from jurist.records import Record

Vote = tuple[str, str, str]
"""The names of a task, of a worker, and of its verdict on the task."""

_ITERATIONS = 1000
_TOLERANCE = 1e-9


class Confusion(Record):
    """``marginals``: the share of each label. ``rates``: of each worker, by right label, of each verdict."""

    marginals: dict[str, float]
    rates: dict[str, dict[str, dict[str, float]]]


def confusion_by_labels(votes: Sequence[Vote], labels: Mapping[str, str]) -> Confusion:
    """Of tasks whose right labels are known: the shares that were counted (eq. 2.3 and 2.4).

    Each verdict counts as given once more than it was, so that what was never seen is not impossible.
    """
    kinds = sorted({*labels.values(), *(verdict for _, _, verdict in votes)})
    seen = Counter((worker, labels[task], verdict) for task, worker, verdict in votes)
    given = Counter((worker, labels[task]) for task, worker, _ in votes)

    def rate(worker: str, label: str, verdict: str) -> float:
        return (seen[worker, label, verdict] + 1) / (given[worker, label] + len(kinds))

    return Confusion(
        marginals={label: count / len(labels) for label, count in sorted(Counter(labels.values()).items())},
        rates=_table({worker for _, worker, _ in votes}, set(labels.values()), kinds, rate),
    )


def confusion_by_votes(votes: Sequence[Vote]) -> Confusion:
    """Of tasks whose labels nobody knows: by EM (eq. 2.3 to 2.5) from each task's majority on.

    The estimates are crowd-kit's. To the rates one verdict of each kind is added, as with known labels.
    """
    # Slow to import, and nothing else needs them.
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    frame = pd.DataFrame(votes, columns=["task", "worker", "label"])
    with warnings.catch_warnings():
        # crowd-kit 1.4.2 uses keywords that pandas 4 will not have; hence "pandas<4" in pyproject.toml.
        warnings.filterwarnings("ignore", message=r"The (inplace|copy) keyword")
        fitted = DawidSkene(n_iter=_ITERATIONS, tol=_TOLERANCE).fit(frame)
    marginals = {str(label): float(share) for label, share in fitted.priors_.items()}
    estimated = {place: dict(row) for place, row in fitted.errors_.iterrows()}
    given = Counter(worker for _, worker, _ in votes)

    def rate(worker: str, label: str, verdict: str) -> float:
        count = marginals[label] * given[worker]
        share = float(estimated.get((worker, verdict), {}).get(label, 0))
        return (share * count + 1) / (count + len(marginals))

    return Confusion(marginals=marginals, rates=_table(given, marginals, marginals, rate))


def _table(
    workers: Iterable[str],
    labels: Iterable[str],
    verdicts: Iterable[str],
    rate: Callable[[str, str, str], float],
) -> dict[str, dict[str, dict[str, float]]]:
    return {
        worker: {
            label: {verdict: rate(worker, label, verdict) for verdict in sorted(verdicts)}
            for label in sorted(labels)
        }
        for worker in sorted(workers)
    }
