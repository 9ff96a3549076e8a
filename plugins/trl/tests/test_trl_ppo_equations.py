"""The equations of PPO, against brute force and published values."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from jurist_trl.ppo import equations  # noqa: E402

WIDTH = 5


def numbers(low: float, high: float) -> Any:
    cell = st.floats(low, high, allow_nan=False, width=32)
    return st.lists(st.lists(cell, min_size=WIDTH, max_size=WIDTH), min_size=3, max_size=3)


lengths = st.lists(st.integers(1, WIDTH), min_size=3, max_size=3)


def as_mask(sizes: list[int]) -> Any:
    return torch.tensor([[1.0] * n + [0.0] * (WIDTH - n) for n in sizes], dtype=torch.float64)


def tensor(rows: Any) -> Any:
    return torch.tensor(rows, dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(numbers(-3, 3), numbers(-3, 3), lengths, st.floats(0.5, 1), st.floats(0, 1))
def test_gae_is_the_discounted_sum_of_td_errors(
    rewards: Any, values: Any, sizes: list[int], gamma: float, lam: float
) -> None:
    advantages, returns = equations.gae(tensor(rewards), tensor(values), as_mask(sizes), gamma, lam)
    for row, n in enumerate(sizes):
        v = [*values[row][:n], 0.0]
        delta = [rewards[row][t] + gamma * v[t + 1] - v[t] for t in range(n)]
        for t in range(WIDTH):
            expected = sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, n)) if t < n else 0.0
            assert advantages[row, t].item() == pytest.approx(expected, abs=1e-6)
            assert returns[row, t].item() == pytest.approx(expected + (v[t] if t < n else 0.0), abs=1e-6)


def test_gae_with_lambda_one_makes_returns_the_sum_of_what_follows() -> None:
    rewards = tensor([[0.0, -1.0, 0.5, 2.0, 9.0]])
    _, returns = equations.gae(rewards, torch.randn(1, 5, dtype=torch.float64), as_mask([4]), 1.0, 1.0)
    assert returns[0].tolist() == pytest.approx([1.5, 1.5, 2.5, 2.0, 0.0], abs=1e-9)


def test_whitening_gives_the_published_values() -> None:
    values = torch.tensor([[1.2, 1.3, 1.4], [1.5, 1.6, 1.7], [1.8, 1.9, 2.0]], dtype=torch.float64)
    kept = equations.whiten(values, torch.ones_like(values), shift_mean=False)
    published = [[0.0508, 0.4381, 0.8254], [1.2127, 1.6000, 1.9873], [2.3746, 2.7619, 3.1492]]
    assert torch.allclose(kept, tensor(published), atol=5e-5)
    shifted = equations.whiten(values, torch.ones_like(values))
    assert torch.allclose(shifted, kept - 1.6, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(numbers(-50, 50), lengths)
def test_whitening_looks_at_the_mask_alone(values: Any, sizes: list[int]) -> None:
    mask = as_mask(sizes)
    whitened = equations.whiten(tensor(values), mask)
    inside = whitened[mask.bool()]
    poisoned = tensor(values).where(mask.bool(), tensor(1e3))
    assert torch.allclose(whitened, equations.whiten(poisoned, mask), atol=1e-9)
    assert inside.mean().item() == pytest.approx(0, abs=1e-6)
    spread = tensor(values)[mask.bool()].std(unbiased=False).item()
    if spread > 0.1:
        assert inside.std(unbiased=False).item() == pytest.approx(1, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(numbers(-4, 0), numbers(-4, 0), numbers(-2, 2))
def test_policy_loss_is_the_clipped_surrogate(logps: Any, old: Any, advantages: Any) -> None:
    loss, clipped = equations.policy_loss(tensor(logps), tensor(old), tensor(advantages), 0.2)
    for i in range(3):
        for t in range(WIDTH):
            ratio, a = math.exp(logps[i][t] - old[i][t]), advantages[i][t]
            bounded = min(max(ratio, 0.8), 1.2)
            assert loss[i, t].item() == pytest.approx(-min(ratio * a, bounded * a), abs=1e-6)
            assert clipped[i, t].item() == float(bounded * a < ratio * a)


def test_no_gradient_where_the_ratio_left_the_range_in_the_advantages_direction() -> None:
    logps = tensor([[1.0, -1.0, 1.0, -1.0]]).requires_grad_()
    loss, _ = equations.policy_loss(logps, torch.zeros_like(logps), tensor([[1.0, 1.0, -1.0, -1.0]]), 0.2)
    loss.sum().backward()
    assert [g == 0 for g in logps.grad[0].tolist()] == [True, False, False, True]


@settings(max_examples=40, deadline=None)
@given(numbers(-3, 3), numbers(-3, 3), numbers(-3, 3))
def test_value_loss_is_the_worse_of_plain_and_clipped(values: Any, old: Any, returns: Any) -> None:
    loss, clipped = equations.value_loss(tensor(values), tensor(old), tensor(returns), 0.2)
    for i in range(3):
        for t in range(WIDTH):
            v, r = values[i][t], returns[i][t]
            near = min(max(v, old[i][t] - 0.2), old[i][t] + 0.2)
            assert loss[i, t].item() == pytest.approx(max((v - r) ** 2, (near - r) ** 2) / 2, abs=1e-6)
            if abs((near - r) ** 2 - (v - r) ** 2) > 1e-9:
                assert clipped[i, t].item() == float((near - r) ** 2 > (v - r) ** 2)


def test_kl_estimators_against_the_exact_divergence() -> None:
    """k1 and k3 average to KL(p || q) exactly when weighted by p; k2 is near it for near p and q."""
    p, q = tensor([0.5, 0.3, 0.2]), tensor([0.4, 0.4, 0.2])
    exact = (p * (p / q).log()).sum().item()
    mean = {
        name: (p * equations.kl_estimate(p.log(), q.log(), name)).sum().item() for name in ("k1", "k2", "k3")
    }
    assert mean["k1"] == pytest.approx(exact, abs=1e-9)
    assert mean["k3"] == pytest.approx(exact, abs=1e-9)
    assert mean["k2"] == pytest.approx(exact, rel=0.1)
    x = tensor([-2.0, 0.0, 3.0])
    assert equations.kl_estimate(x, torch.zeros(3), "k1").tolist() == [-2.0, 0.0, 3.0]
    assert equations.kl_estimate(x, torch.zeros(3), "k2").tolist() == [2.0, 0.0, 4.5]
    assert equations.kl_estimate(x, torch.zeros(3), "k3").tolist() == pytest.approx(
        [math.exp(2) - 3, 0.0, math.exp(-3) + 2]
    )


def test_the_score_lands_on_the_last_token_and_kl_on_each() -> None:
    kl = tensor([[0.1, 0.2, 0.3], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5]])
    mask = tensor([[1, 1, 0], [1, 1, 1], [0, 0, 0]])
    rewards = equations.token_rewards(tensor([5.0, -1.0, 7.0]), kl, mask, 0.5)
    expected = [[-0.05, 4.9, 0.0], [-0.5, -0.5, -1.5], [0.0, 0.0, 0.0]]
    assert torch.allclose(rewards, tensor(expected))


def test_explained_variance() -> None:
    returns, mask = tensor([[1.0, 2.0, 3.0, 99.0]]), tensor([[1, 1, 1, 0]])
    assert equations.explained_variance(returns, returns, mask).item() == pytest.approx(1)
    assert equations.explained_variance(torch.zeros_like(returns), returns, mask).item() == pytest.approx(0)
    assert equations.explained_variance(-returns, returns, mask).item() == pytest.approx(-3)


def test_the_adaptive_coefficient_moves_towards_the_target_and_not_too_fast() -> None:
    adapted = equations.adapted_kl_coef
    assert adapted(0.15, 6.0, 6.0, 10_000, 512) == 0.15
    assert adapted(0.15, 6.6, 6.0, 10_000, 512) == pytest.approx(0.15 * (1 + 0.1 * 0.0512))
    assert adapted(0.15, 600.0, 6.0, 10_000, 512) == pytest.approx(0.15 * (1 + 0.2 * 0.0512))
    assert adapted(0.15, 0.0, 6.0, 10_000, 512) == pytest.approx(0.15 * (1 - 0.2 * 0.0512))
    # more samples than the horizon, which could turn the sign of it, count as the horizon
    assert adapted(0.15, 0.0, 6.0, 100, 1024) == adapted(0.15, 0.0, 6.0, 100, 100) == pytest.approx(0.12)


def test_what_no_token_and_no_response_was_measured_on_has_no_mean() -> None:
    from jurist_trl.ppo.metrics import StepMeans, response_means

    means = StepMeans(lambda total: total)
    means.add(tensor([[0.0, 0.0]]), ratio=tensor([[5.0, 5.0]]))
    means.add(tensor([[1.0, 0.0]]), ptx_loss=tensor([[2.0, 9.0]]))
    assert means.take() == {"ptx_loss": 2.0}
    means.add(tensor([[1.0, 1.0]]), ratio=tensor([[0.0, 1.0]]))
    assert means.take() == {"ratio": 0.5}
    kept = torch.tensor([False, False])
    assert response_means(kept, lambda total: total, kl=tensor([1.0, 2.0])) == {}


@settings(max_examples=40, deadline=None)
@given(numbers(-4, 0), numbers(-4, 0), numbers(-2, 2), st.floats(1.5, 4))
def test_the_dual_clip_bounds_the_loss_of_negative_advantages(
    logps: Any, old: Any, advantages: Any, dual: float
) -> None:
    loss, clipped = equations.policy_loss(tensor(logps), tensor(old), tensor(advantages), 0.2, dual)
    for i in range(3):
        for t in range(WIDTH):
            ratio, a = math.exp(logps[i][t] - old[i][t]), advantages[i][t]
            surrogate = min(ratio * a, min(max(ratio, 0.8), 1.2) * a)
            objective = max(surrogate, dual * a) if a < 0 else surrogate
            assert loss[i, t].item() == pytest.approx(-objective, abs=1e-6)
            if abs(objective - ratio * a) > 1e-9:
                assert clipped[i, t].item() == 1.0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=6), min_size=1, max_size=5))
def test_moments_of_batches_are_those_of_all_numbers(batches: list[list[float]]) -> None:
    moments, seen = equations.Moments(), []
    for batch in batches:
        values, mask = tensor([*batch, 1e6]), torch.tensor([True] * len(batch) + [False])
        moments = equations.updated_moments(moments, values, mask, lambda total: total)
        seen += batch
    assert moments.seen == len(seen)
    assert moments.mean == pytest.approx(sum(seen) / len(seen), abs=1e-6)
    variance = torch.tensor(seen, dtype=torch.float64).var(unbiased=False).item()
    assert moments.deviation == pytest.approx(math.sqrt(variance + 1e-8), abs=1e-6)


def test_moments_do_not_change_when_nothing_was_seen() -> None:
    before = equations.Moments(3.0, 1.0, 2.0)
    values, none = tensor([5.0]), torch.tensor([False])
    assert equations.updated_moments(before, values, none, lambda total: total) == before


def over_two_processes(function: Any, rows: Any) -> list[Any]:
    """Run ``function`` on the first and the other rows, each time summing over both, as processes would."""
    halves = (slice(0, 1), slice(1, None))
    calls: list[list[Any]] = [[], []]

    def recorded(own: int, known: list[Any]) -> Any:
        def reduce(value: Any) -> Any:
            calls[own].append(value)
            step = len(calls[own]) - 1
            return known[step] if step < len(known) else value

        return reduce

    known: list[Any] = []
    for _ in range(5):  # one more sum is known each time
        calls = [[], []]
        results = [function(*(x[half] for x in rows), recorded(i, known)) for i, half in enumerate(halves)]
        known = [a + b for a, b in zip(*calls, strict=True)][: len(known) + 1]
    return results


def test_statistics_are_of_all_processes() -> None:
    torch.manual_seed(0)
    values, returns = torch.randn(2, 3, WIDTH, dtype=torch.float64)
    mask = as_mask([2, 5, 3])

    def whiten(x: Any, mask: Any, reduce: Any) -> Any:
        return equations.whiten(x, mask, reduce=reduce)

    parts = over_two_processes(whiten, (values, mask))
    assert torch.allclose(torch.cat(parts), equations.whiten(values, mask), atol=1e-12)

    explained = equations.explained_variance(values, returns, mask).item()
    parts = over_two_processes(equations.explained_variance, (values, returns, mask))
    assert [part.item() for part in parts] == pytest.approx([explained] * 2)

    def moments(x: Any, mask: Any, reduce: Any) -> Any:
        return equations.updated_moments(equations.Moments(), x, mask, reduce)

    column = (values[:, 0], torch.tensor([True, True, False]))
    whole = equations.updated_moments(equations.Moments(), *column, lambda total: total)
    assert over_two_processes(moments, column) == [pytest.approx(whole), pytest.approx(whole)]
