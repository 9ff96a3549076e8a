"""A simulated provider: a real HTTP server on this machine that speaks OpenAI's and Anthropic's protocols.

It answers, is slow, fails and counts as it is told, so that a client can be tested without a key::

    from jurist.testing.simulator import Faults, Latency, Simulator

    with Simulator(latency=Latency.constant(0.2), faults=Faults(garbage=0.05), seed=0) as server:
        client = AsyncOpenAI(base_url=server.url, api_key="any")
        ...
    assert server.counters.answered == 100

``Simulator`` runs in a thread; ``SimulatorProcess`` in a process of its own, and so does
``python -m jurist.testing.simulator``. Words count as tokens.

Needs the extra ``jurist-core[testing]``.
"""

try:
    import aiohttp as _aiohttp  # noqa: F401
    import orjson as _orjson  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"jurist.testing.simulator needs {error.name}, which is not installed; "
        "try: pip install 'jurist-core[testing]'"
    ) from error

from jurist.testing.simulator.answers import judge_by_marker
from jurist.testing.simulator.asked import Asked
from jurist.testing.simulator.counters import Counters
from jurist.testing.simulator.faults import Faults
from jurist.testing.simulator.latency import Latency
from jurist.testing.simulator.process import SimulatorProcess
from jurist.testing.simulator.server import Simulator

__all__ = [
    "Asked",
    "Counters",
    "Faults",
    "Latency",
    "Simulator",
    "SimulatorProcess",
    "judge_by_marker",
]
