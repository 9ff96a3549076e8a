"""The settings of a simulator as arguments of a command, both ways."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from jurist.testing.simulator.faults import Faults
from jurist.testing.simulator.latency import Latency
from jurist.testing.simulator.settings import Settings

_FAULTS = {
    "rate_limited": "429, at once",
    "server_error": "500",
    "overloaded": "529",
    "reset": "the connection is reset before anything is sent",
    "stall": "no answer, until --stall-seconds are over",
    "truncated": "the connection closes in the middle of the answer",
    "not_json": "200, with an HTML page",
    "garbage": "a well-formed answer of words that mean nothing",
    "refusal": "the model refuses",
    "batch_expired": "a request in a batch expires",
    "batch_errored": "a request in a batch fails",
    "retry_after": "what 429 has in the header Retry-After, or none; default 1",
    "retry_after_date": "write Retry-After as an HTTP date",
    "insufficient_quota": "429 means an account without credit, which no waiting mends",
    "stall_seconds": "when a stalled connection is closed; default 60",
}
"""What each fault is, in a few words; ``Faults`` says more."""


def settings_parser() -> argparse.ArgumentParser:
    """A parser that knows every setting."""
    parser = argparse.ArgumentParser(
        prog="python -m jurist.testing.simulator",
        description="Serve a simulated provider on 127.0.0.1. The first line printed is its URL. Of two "
        'responses it prefers the one that has "(good)" in it; where both or none have it, it says a tie. '
        "Prompts that hold no pair of responses it repeats. A SHARE of requests goes from 0 to 1.",
    )
    shapes = parser.add_mutually_exclusive_group()
    shapes.add_argument("--latency", type=float, metavar="SECONDS", help="of each answer; default 0")
    shapes.add_argument(
        "--latency-uniform", type=float, nargs=2, metavar=("LOW", "HIGH"), help="drawn between two numbers"
    )
    shapes.add_argument(
        "--latency-lognormal", type=float, nargs=2, metavar=("MEDIAN", "SIGMA"), help="drawn with a long tail"
    )
    for each in fields(Faults):
        option, text = _option(each.name), _FAULTS[each.name]
        if isinstance(each.default, bool):
            parser.add_argument(option, action="store_true", help=text)
        else:
            unit = "SECONDS" if each.name in ("retry_after", "stall_seconds") else "SHARE"
            parser.add_argument(option, type=_number, default=each.default, metavar=unit, help=text)
    parser.add_argument("--seed", type=int, default=0, help="of latencies and faults; default 0")
    parser.add_argument(
        "--requests-per-minute",
        type=float,
        metavar="NUMBER",
        help="more generations get 429; by default none do",
    )
    parser.add_argument(
        "--capacity", type=int, metavar="NUMBER", help="the most generations served at once; more get 429"
    )
    parser.add_argument(
        "--batch-seconds",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="how long a batch takes; default 1",
    )
    parser.add_argument("--hold-batches", action="store_true", help="until POST /simulator/release")
    parser.add_argument(
        "--served-model", metavar="NAME", help="named in answers; default the one asked for, with a date"
    )
    parser.add_argument(
        "--key",
        action="append",
        dest="keys",
        help="a good key; by default every key is, but a request that has none gets 401 all the same",
    )
    parser.add_argument("--keep-last", type=int, default=0, help="requests that /simulator/stats shows")
    return parser


def read_settings(given: argparse.Namespace) -> Settings:
    """The settings that were given on a command line."""
    latency = Latency.constant(given.latency or 0)
    if given.latency_uniform:
        latency = Latency.uniform(*given.latency_uniform)
    if given.latency_lognormal:
        latency = Latency.lognormal(*given.latency_lognormal)
    return Settings(
        latency=latency,
        faults=Faults(**{each.name: getattr(given, each.name) for each in fields(Faults)}),
        seed=given.seed,
        requests_per_minute=given.requests_per_minute,
        capacity=given.capacity,
        batch_seconds=given.batch_seconds,
        hold_batches=given.hold_batches,
        served_model=given.served_model,
        keys=frozenset(given.keys) if given.keys else None,
        keep_last=given.keep_last,
    )


def write_settings(settings: Settings) -> list[str]:
    """The arguments that give these settings."""
    told: dict[str, Any] = {each.name: getattr(settings.faults, each.name) for each in fields(Faults)}
    for each in fields(Settings):
        if each.name not in ("latency", "faults", "keys"):
            told[each.name] = getattr(settings, each.name)
    if told["retry_after"] is None:
        told["retry_after"] = "none"
    arguments = [*_latency(settings.latency)]
    for name, value in told.items():
        if value is True:
            arguments.append(_option(name))
        elif value is not None and value is not False:
            arguments.append(f"{_option(name)}={value}")
    return [*arguments, *(f"--key={key}" for key in sorted(settings.keys or ()))]


def _latency(latency: Latency) -> list[str]:
    if latency.shape == "constant":
        return [f"--latency={latency.first!r}"]
    return [f"--latency-{latency.shape}", repr(latency.first), repr(latency.second)]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _number(text: str) -> float | None:
    """A number; none, which leaves the header Retry-After out, is one too."""
    return None if text == "none" else float(text)
