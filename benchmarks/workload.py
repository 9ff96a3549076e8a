"""The work of the benchmark: pairs whose better response is known, labelled in a child process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from memory import peak_mb

CLIENT_CORE, SERVER_CORE = 0, 1
KEY = "sk-planted-0123456789abcdef"
LATENCY = 0.2

_MODELS = {"openai": "simulated", "litellm": "hosted_vllm/simulated", "anthropic": "claude-haiku-4-5"}
_CLIENTS = {"openai": "aiohttp", "litellm": "litellm", "anthropic": "anthropic"}
"""What the plugins import with their first call."""
_GOOD = "(good) Keep it cool and dry, at about half charge, and away from metal. "
_BAD = "Anywhere will do, really; a battery is a battery, whatever people may say. "


def write_pairs(path: Path, rows: int) -> Path:
    """``rows`` pairs of about 1.5 KB; the response that says "(good)" is the better one, by turns A and B."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            answers = f"Answer {number}. {_GOOD * 8}", f"Answer {number}. {_BAD * 8}"
            first, second = answers if number % 2 else answers[::-1]
            prompt = f"Question {number}: how do I store a battery over the winter?"
            file.write(json.dumps({"prompt": prompt, "response_a": first, "response_b": second}) + "\n")
    return path


@dataclass(frozen=True)
class Job:
    """One labelling: both orders, written verdicts, ledger on."""

    pairs: Path
    folder: Path
    url: str
    use: str = "openai"
    concurrency: int = 64
    max_usd: float | None = None
    batch: bool = False

    def recipe(self) -> dict[str, Any]:
        """The recipe that a child process carries out."""
        judge: dict[str, Any] = {
            "use": self.use,
            "name": "judge",
            "model": _MODELS[self.use],
            "api_key": "${BENCHMARK_KEY}",
            "labels": "verdict",
            "price": {"input": 0.25, "output": 2.0, "batch": 0.5},
            "limits": {"concurrency": self.concurrency, "attempts": 12},
            ("api_base" if self.use == "litellm" else "base_url"): self.url,
        }
        if self.use == "litellm":
            del judge["price"]["batch"]
        if self.batch:
            del judge["limits"]["concurrency"]
            judge["batch"] = {"wait": 0.5, "poll": 0.5}
        stage = {"stage": "compare", "pairs": str(self.pairs), "principles": "none", "judges": [judge]}
        return {"name": "labeling", "stages": [stage]}


def start(job: Job) -> subprocess.Popen[str]:
    """A child process that carries out ``job``, on a core of its own."""
    settings = {
        "recipe": job.recipe(),
        "use": job.use,
        "folder": str(job.folder),
        "max_usd": job.max_usd,
    }
    return subprocess.Popen(
        [sys.executable, __file__, json.dumps(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BENCHMARK_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )


def label(job: Job) -> dict[str, Any]:
    """What the child process measured of itself, and what it printed."""
    out, err = (child := start(job)).communicate()
    if child.returncode:
        raise SystemExit(f"the client failed:\n{out}\n{err}")
    return {**json.loads(out.splitlines()[-1]), "printed": out + err}


def kill(child: subprocess.Popen[str]) -> None:
    """End a child process as a power cut would."""
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()


def labels(folder: Path) -> tuple[int, int]:
    """How many preferences a run wrote, and how many of them are wrong."""
    rows = [
        json.loads(line) for line in (folder / "stages/01-compare/preferences.jsonl").open(encoding="utf-8")
    ]
    return len(rows), sum("(good)" not in row["chosen"][0]["content"] for row in rows)


def _carry_out(settings: Mapping[str, Any]) -> dict[str, Any]:
    began = time.time()
    from jurist import Recipe
    from jurist.errors import BudgetStop
    from jurist.run import run
    from jurist_registry.registry import Registry

    # The report is a work of its own, after the labelling.
    registry = Registry.discover(disabled=("review",))
    recipe, folder = Recipe.of(settings["recipe"]), Path(settings["folder"])
    # Imports count for nobody: neither for plain aiohttp nor for other tools.
    import_module(_CLIENTS[settings["use"]])
    imported, cpu = time.time(), time.process_time()
    stopped, summary = False, {}
    try:
        summary = run(recipe, folder, registry, max_usd=settings["max_usd"]).stages[0].summary
    except BudgetStop:
        stopped = True
    state = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return {
        "began": began,
        "imports": imported - began,
        "wall": time.time() - imported,
        "cpu": time.process_time() - cpu,
        "rss_mb": peak_mb(),
        "usd": sum(total["usd"] for total in state["totals"].values()),
        "stopped": stopped,
        "decisions": summary.get("decisions", {}),
        "judges": summary.get("judges", {}),
        "given_up": summary.get("given_up", 0),
    }


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CLIENT_CORE})
    print(json.dumps(_carry_out(json.loads(sys.argv[1]))))
