"""``python -m jurist_demo``: run the demo's recipe, write its report, and say what came of it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COLUMNS = {
    "violation": "demo-oracle.violation",
    "good": "demo-oracle.good",
    "malformed": "demo-oracle.malformed",
    "over-refusal": "demo-oracle.over_refusal",
    "KL": "kl",
}
CAVEAT = (
    "This shows that the pipeline works, on real trainers and sampled text, in a closed world of templates;\n"
    "the base model was taught beforehand to criticise and revise. It does not show that Constitutional AI\n"
    "works."
)


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
        print(table(evaluation(out)), CAVEAT, sep="\n\n")  # noqa: T201
        code = _jurist("report", str(out))
    return code


def _jurist(*arguments: str) -> int:
    """Run the ``jurist`` command that is installed beside this Python."""
    command = Path(sys.executable).with_name("jurist")
    return subprocess.run([str(command), *arguments], check=False).returncode


def evaluation(run: Path) -> dict[str, Any]:
    """What the last stage of a run measured of each policy."""
    last = sorted((run / "stages").iterdir())[-1]
    policies: dict[str, Any] = json.loads((last / "summary.json").read_text(encoding="utf-8"))["policies"]
    return policies


def table(policies: dict[str, Any]) -> str:
    """One line per policy, each metric as its mean with the 95% interval."""
    rows = [["", *COLUMNS]]
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
