"""Sampling with vLLM, through TRL."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from jurist.errors import UsageError
from jurist_trl.rollouts.rewarded import RewardedOptions


def vllm_arguments(options: RewardedOptions) -> dict[str, Any]:
    """The arguments of TRL's configurations that follow from the options ``use_vllm`` and ``vllm_…``.

    Raises:
        UsageError: vLLM is to be used, and is not installed.
    """
    if not options.use_vllm:
        return {}
    if find_spec("vllm") is None:
        raise UsageError(
            "option use_vllm needs the package vllm",
            provided_by="jurist-trl",
            hint="pip install 'trl[vllm]', which has the version that TRL works with",
        )
    server = options.vllm_server_base_url
    return {
        "use_vllm": True,
        "vllm_mode": "colocate" if server is None else "server",
        "vllm_server_base_url": server,
        "vllm_gpu_memory_utilization": options.vllm_gpu_memory_utilization,
    }
