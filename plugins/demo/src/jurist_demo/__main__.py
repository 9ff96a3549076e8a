"""``python -m jurist_demo``: run the demo's recipe, write its report, and say what came of it."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from jurist.run_files import RunFiles

COLUMNS = {
    "violation": "demo-oracle.violation",
    "good": "demo-oracle.good",
    "malformed": "demo-oracle.malformed",
    "over-refusal": "demo-oracle.over_refusal",
    "KL": "kl",
}


def main() -> int:
    """The command line of the demo; the exit code is that of ``jurist run``."""
    parser = argparse.ArgumentParser(prog="python -m jurist_demo", description=__doc__)
    parser.add_argument("recipe", nargs="?", default="demo", choices=["demo", "reward-hacking"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the folder of the run (default: runs/RECIPE)")
    arguments = parser.parse_args()
    out: Path = arguments.out or Path("runs", arguments.recipe)
    recipe = f"package:jurist_demo/recipes/{arguments.recipe}.yaml"
    code = _jurist("run", recipe, "--set", f"seed={arguments.seed}", "--out", str(out))
    if code == 0:
        note = RunFiles.read(out).recipe["note"]
        print("", table(evaluation(out)), note, f"report: {out / 'report.html'}", sep="\n\n")  # noqa: T201
    return code


def _jurist(*arguments: str) -> int:
    """Run the ``jurist`` command that is installed beside this Python."""
    command = Path(sys.executable).with_name("jurist")
    # Ctrl-C reaches the command too, which ends in good order; this process waits for that.
    signal.signal(signal.SIGINT, lambda *_: None)
    return subprocess.run([str(command), *arguments], check=False).returncode


def evaluation(run: Path) -> dict[str, Any]:
    """What the last stage of a run measured of each policy."""
    policies: dict[str, Any] = RunFiles.read(run).stages()[-1].summary()["policies"]
    return policies


def table(policies: dict[str, Any]) -> str:
    """One line per policy, each metric as its mean with the 95% interval; KL in nats per answer."""
    reference = next(policy for policy, metrics in policies.items() if "kl" not in metrics)
    rows = [["", *(f"KL to {reference}" if name == "KL" else name for name in COLUMNS)]]
    for policy, metrics in policies.items():
        rows.append([policy, *(_cell(metrics.get(name)) for name in COLUMNS.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _cell(estimate: dict[str, Any] | None) -> str:
    if estimate is None:
        return "-"
    return f"{estimate['mean']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


if __name__ == "__main__":
    sys.exit(main())
