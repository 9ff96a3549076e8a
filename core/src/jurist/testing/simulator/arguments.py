"""The settings of a simulator as arguments of a command, both ways."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from jurist.testing.simulator.faults import Faults
from jurist.testing.simulator.latency import Latency
from jurist.testing.simulator.settings import Settings


def settings_parser() -> argparse.ArgumentParser:
    """A parser that knows every setting."""
    parser = argparse.ArgumentParser(
        prog="python -m jurist.testing.simulator",
        description="Serve a simulated provider on 127.0.0.1. The first line printed is its URL.",
    )
    shapes = parser.add_mutually_exclusive_group()
    shapes.add_argument("--latency", type=float, metavar="SECONDS")
    shapes.add_argument("--latency-uniform", type=float, nargs=2, metavar=("LOW", "HIGH"))
    shapes.add_argument("--latency-lognormal", type=float, nargs=2, metavar=("MEDIAN", "SIGMA"))
    for each in fields(Faults):
        if isinstance(each.default, bool):
            parser.add_argument(_option(each.name), action="store_true")
        else:
            unit = "SECONDS" if each.name in ("retry_after", "stall_seconds") else "SHARE"
            parser.add_argument(_option(each.name), type=_number, default=each.default, metavar=unit)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--requests-per-minute", type=float)
    parser.add_argument("--capacity", type=int)
    parser.add_argument("--batch-seconds", type=float, default=1.0)
    parser.add_argument("--hold-batches", action="store_true", help="until POST /simulator/release")
    parser.add_argument("--served-model", metavar="NAME")
    parser.add_argument("--key", action="append", dest="keys", help="a good key; without one, all are good")
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
