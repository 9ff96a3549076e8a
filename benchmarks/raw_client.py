"""What plain aiohttp reaches: the same bodies, no engine, no parsing, no ledger."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import Any

import aiohttp
from memory import peak_mb
from workload import CLIENT_CORE, KEY


def measure(url: str, concurrency: int, calls: int) -> dict[str, Any]:
    """Calls per second and CPU of a child process on the client's core."""
    arguments = [sys.executable, __file__, url, str(concurrency), str(calls)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


async def _calls(url: str, concurrency: int, calls: int) -> dict[str, Any]:
    message = {"role": "user", "content": "How do I store a battery over the winter? " * 40}
    body = json.dumps({"model": "simulated", "messages": [message], "max_tokens": 64}).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    left = iter(range(calls))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:

        async def worker() -> None:
            for _ in left:
                async with session.post(f"{url}/chat/completions", data=body) as response:
                    json.loads(await response.read())

        started, cpu = time.time(), time.process_time()
        await asyncio.gather(*(worker() for _ in range(concurrency)))
        return {
            "wall": time.time() - started,
            "cpu": time.process_time() - cpu,
            "rss_mb": peak_mb(),
        }


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CLIENT_CORE})
    print(json.dumps(asyncio.run(_calls(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
