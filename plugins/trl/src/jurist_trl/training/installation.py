"""What of an installation speaks against a training; this is asked where a recipe is checked."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec

from jurist.near_names import near_miss
from jurist_trl.options import TrainingOptions
from jurist_trl.training.publishing import unreachable

_UNLISTED = {"azure_ml", "flyte"}
"""Trackers that Transformers has, but may leave out of its list of those installed."""


def installation_faults(options: TrainingOptions, processes: int) -> Iterator[str]:
    """What is missing for these options, or is of another version than was tested."""
    yield from _versions()
    yield from _trackers(options)
    yield from _sharding(options, processes)
    if options.lora is not None and find_spec("peft") is None:
        yield "lora needs the package peft: pip install 'jurist-trl[lora]'"
    if options.push_to_hub is not None:
        yield from unreachable(options.push_to_hub)


def _versions() -> Iterator[str]:
    """Packages that are not installed, or in a version outside the range that this plugin was tested with."""
    from packaging.requirements import Requirement

    for line in _requirements():
        required = Requirement(line)
        if required.marker is not None:  # an optional package is looked for where it is needed
            continue
        tested = f"{required.name}{required.specifier}"
        try:
            installed = version(required.name)
        except PackageNotFoundError:
            yield f"{required.name} is not installed: pip install '{tested}'"
            continue
        if not required.specifier.contains(installed, prereleases=True):
            yield f"{required.name} {installed} is installed, tested is another: pip install '{tested}'"


def _requirements() -> list[str]:
    """What this plugin needs; nothing where it runs from its source files, without metadata."""
    try:
        return requires("jurist-trl") or []
    except PackageNotFoundError:
        return []


def _trackers(options: TrainingOptions) -> Iterator[str]:
    if not options.report_to:
        return
    from transformers.integrations import INTEGRATION_TO_CALLBACK, get_available_reporting_integrations

    installed = {*get_available_reporting_integrations(), *_UNLISTED}
    for name in options.report_to:
        if name not in INTEGRATION_TO_CALLBACK:
            yield f"report_to: unknown tracker '{name}'{near_miss(name, INTEGRATION_TO_CALLBACK)}"
        elif name not in installed:
            yield f"report_to: '{name}' is not installed: pip install {name}"


def _sharding(options: TrainingOptions, processes: int) -> Iterator[str]:
    if options.fsdp is None:
        return
    import torch

    if processes == 1:
        yield "fsdp: there is one process, and it shards a model over several: set 'processes:' of the stage"
    if not torch.cuda.is_available():  # Accelerate would quietly train without it
        yield "fsdp: there is no GPU: leave it out, several processes on CPUs share the work without it"
