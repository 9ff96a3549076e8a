"""Sampling with vLLM, through TRL."""

from __future__ import annotations

from typing import Any

from jurist_trl.rollouts.rewarded import RewardedOptions


def vllm_arguments(options: RewardedOptions) -> dict[str, Any]:
    """The arguments of TRL's configurations that follow from the options ``use_vllm`` and ``vllm_…``."""
    if not options.use_vllm:
        return {}
    server = options.vllm_server_base_url
    return {
        "use_vllm": True,
        "vllm_mode": "colocate" if server is None else "server",
        "vllm_server_base_url": server,
        "vllm_gpu_memory_utilization": options.vllm_gpu_memory_utilization,
    }
