"""How well differences of scores agree with soft labels: loss, accuracy, calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn.functional import logsigmoid

BINS = 10


def soft_preference_loss(
    differences: torch.Tensor, probabilities: torch.Tensor, margins: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean cross-entropy of a Bradley-Terry model with soft labels, and with margins if there are some.

    -(p log s(d - m) + (1 - p) log s(-d - m)) with d = r_chosen - r_rejected: what the loss with a margin
    (Llama 2, arXiv 2307.09288, section 3.2.2, equation 2) is on average when the chosen response is better
    with probability p and the other one with 1 - p. Swapping the responses leaves it as it is. Without a
    margin its derivative in d is s(d) - p.

    Args:
        differences: d, shape (batch,).
        probabilities: p = P(chosen is better), shape (batch,).
        margins: m >= 0, how far apart the scores should be at least, shape (batch,); 0 when None.
    """
    if margins is None:
        margins = torch.zeros_like(differences)
    chosen, rejected = logsigmoid(differences - margins), logsigmoid(-differences - margins)
    return -(probabilities * chosen + (1 - probabilities) * rejected).mean()


def agreement(differences: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """``eval_accuracy``, ``eval_loss``, ``eval_brier`` and ``eval_calibration_error`` of held-out pairs.

    Accuracy is how often the likelier response scores higher: equal scores count half, and labels of 1/2
    not at all (it is missing if there are no others). The Brier score is the mean of (s(d) - p)². The
    expected calibration error is the mean over all pairs of the gap in their bin of :func:`calibration`
    (Guo et al. 2017, arXiv 1706.04599, equation 3).

    Args:
        differences: d = r_chosen - r_rejected, shape (pairs,).
        labels: p = P(chosen is better), shape (pairs,).
    """
    gaps = sum(row.pairs * abs(row.label - row.confidence) for row in calibration(differences, labels))
    metrics = {
        "eval_loss": soft_preference_loss(differences, labels).item(),
        "eval_brier": (torch.sigmoid(differences) - labels).square().mean().item(),
        "eval_calibration_error": gaps / len(labels),
    }
    decided = labels != 0.5
    if decided.any():
        sides = torch.sign(differences) * torch.sign(labels - 0.5)
        metrics["eval_accuracy"] = ((sides + 1) / 2)[decided].mean().item()
    return metrics


class CalibrationBin(NamedTuple):
    """Pairs of about the same confidence: their number, mean confidence, and mean label."""

    above: float
    pairs: int
    confidence: float
    label: float


def calibration(differences: torch.Tensor, labels: torch.Tensor) -> list[CalibrationBin]:
    """The bins of confidence from 1/2 to 1, each 1/20 wide, that have pairs.

    The confidence of a pair is that in the response with the higher score, s(|d|); its label is P(that
    response is better). Which response is called the chosen one plays no part.
    """
    confidences = torch.sigmoid(differences.abs()).double()
    sided = torch.where(differences >= 0, labels, 1 - labels).double()
    numbers = ((confidences - 0.5) * 2 * BINS).long().clamp(max=BINS - 1)
    table = []
    for number in range(BINS):
        inside = numbers == number
        if inside.any():
            mean = [column[inside].mean().item() for column in (confidences, sided)]
            table.append(CalibrationBin(0.5 + number / (2 * BINS), int(inside.sum()), *mean))
    return table


def write_calibration(path: Path, differences: torch.Tensor, labels: torch.Tensor) -> None:
    """Write the bins of :func:`calibration` as JSON."""
    table = [row._asdict() for row in calibration(differences, labels)]
    path.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
