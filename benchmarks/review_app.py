"""The review app on a large run: how fast its pages are, how long its index takes, and how much memory.

    python benchmarks/review_app.py [--rows 100000] [--keep FOLDER]

The run is made on the spot: comparisons of three judges in both orders, with texts of words that are as
frequent as in a natural language (Zipf), so that a search can be for a rare word or for one that is
everywhere.
The server and this client share two cores. Times are of whole answers, from the client's side.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from jurist.recipe import Recipe
from jurist.records import Comparison, Decision, Judgment, Prompt, Response
from jurist.stage_records import Judged
from jurist.stages.compare import preference_of

JUDGES = ("strict", "lenient", "terse")
REPEATS = 15


class Words:
    """Texts of made-up words with Zipf's frequencies."""

    def __init__(self, seed: int, vocabulary: int = 30_000) -> None:
        self._draw = random.Random(seed)
        letters = "abcdefghiklmnoprstuvw"
        self.words = [
            "".join(self._draw.choices(letters, k=self._draw.randint(2, 9))) for _ in range(vocabulary)
        ]
        self._weights = list(itertools.accumulate(1 / rank for rank in range(1, vocabulary + 1)))

    def text(self, least: int, most: int) -> str:
        """A text of so many words."""
        number = self._draw.randint(least, most)
        return " ".join(self._draw.choices(self.words, cum_weights=self._weights, k=number))


def judged(words: Words, draw: random.Random, number: int) -> Judged:
    """A comparison of three judges, each asked in both orders."""
    outcomes = []
    lean = draw.choice((0.15, 0.5, 0.85))
    for judge in JUDGES:
        parts = tuple(
            Judgment(source=judge, preference=preference, order=order, rationale=words.text(10, 40))
            for order in ("ab", "ba")
            for preference in (min(1.0, max(0.0, draw.gauss(lean, 0.2))),)
        )
        mean = statistics.fmean(part.preference for part in parts)
        outcomes.append(Judgment(source=judge, preference=mean, order="both", parts=parts))
    probability = statistics.fmean(outcome.preference for outcome in outcomes)
    tags = (draw.choice(("en", "zh", "de")), draw.choice(("fact", "harm", "writing")))
    return Judged(
        comparison=Comparison(
            prompt=Prompt.of(f"{number} {words.text(8, 40)}", tags=tags),
            response_a=Response(text=words.text(40, 160)),
            response_b=Response(text=words.text(40, 160)),
        ),
        outcomes=tuple(outcomes),
        decision=Decision(status="decided", probability=probability, aggregator="majority"),
    )


def write_run(folder: Path, rows: int) -> Words:
    """A finished run with one stage that compared ``rows`` pairs."""
    words, draw = Words(1), random.Random(2)
    stage = folder / "stages" / "01-compare"
    stage.mkdir(parents=True)
    recipe = {
        "name": "large",
        "prompts": "prompts.jsonl",
        "policy": {"use": "hf", "model": "m"},
        "stages": [{"stage": "compare", "judges": list(JUDGES)}],
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(Recipe.of(recipe).model_dump(mode="json")))
    state = {"name": "large", "status": "done", "stages": [{"name": "compare", "folder": "01-compare"}]}
    (folder / "run.json").write_text(json.dumps(state))
    (stage / "summary.json").write_text("{}")
    with (
        (stage / "judgments.jsonl").open("w") as judgments,
        (stage / "preferences.jsonl").open("w") as labels,
    ):
        for number in range(rows):
            row = judged(words, draw, number)
            judgments.write(row.to_json() + "\n")
            if (label := preference_of(row)) is not None:
                labels.write(label.to_json() + "\n")
    return words


class Client:
    """One connection to the server, let in by its cookie."""

    def __init__(self, address: str) -> None:
        parts = urllib.parse.urlsplit(address)
        token = urllib.parse.parse_qs(parts.query)["token"][0]
        self._headers = {"Cookie": f"jurist_review_{parts.port}={token}"}
        self._connection = http.client.HTTPConnection("127.0.0.1", parts.port or 0, timeout=60)

    def get(self, path: str) -> str:
        """A page."""
        self._connection.request("GET", path, headers=self._headers)
        return self._connection.getresponse().read().decode()

    def post(self, path: str, fields: dict[str, str]) -> int:
        """Post a form; returns the status."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", path, urllib.parse.urlencode(fields), {**self._headers, **kind})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


def timed(name: str, limit: float | None, ask: Callable[[], object]) -> None:
    """Print how long something takes: the first time, in the median, and at most."""
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        ask()
        taken.append(1000 * (time.perf_counter() - began))
    bound = f"   (must be under {limit:.0f})" if limit else ""
    median = statistics.median(taken)
    print(f"{name:<44} first {taken[0]:7.1f} ms  median {median:7.1f}  most {max(taken):7.1f}{bound}")


def vote(client: Client) -> None:
    """Vote on the next comparison."""
    page = client.get("/review")
    fields = dict(
        re.findall(r'name="(item|reviewer|seen|request)" value="([^"]*)"', page.split("</form>")[0])
    )
    assert client.post("/review", {**fields, "do": "tie", "note": "", "tab": str(uuid.uuid4())}) == 303


class Server:
    """``jurist review`` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        program = "from jurist_registry.main import main; main()"
        command = [sys.executable, "-c", program, "review", str(folder), "--no-open"]
        self._began = time.perf_counter()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.client = Client(next(line.strip() for line in self._process.stdout if "http://" in line))

    def ready(self) -> None:
        """Wait until there is something to vote on, and print how long that took."""
        slowest = 0.0
        while "done <progress" not in self.client.get("/review"):
            asked = time.perf_counter()
            self.client.get("/browse")
            slowest = max(slowest, time.perf_counter() - asked)
            time.sleep(0.2)
        taken = time.perf_counter() - self._began
        print(f"vote page after {taken:.1f} s; until then the slowest page took {slowest:.2f} s")

    def end(self) -> None:
        """Print what memory it holds, and the most that it held, and end it."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        held = {name: int(number) / 1024 for name, number in re.findall(r"(VmRSS|VmHWM):\s+(\d+)", status)}
        print(f"memory: {held['VmRSS']:.0f} MB, at most {held['VmHWM']:.0f}   (must be under 200)")
        self._process.send_signal(signal.SIGINT)
        self._process.communicate()


def questions(words: Words) -> dict[str, dict[str, str]]:
    """Searches and filters, cheap ones and dear ones."""
    frequent, rare = words.words[0], words.words[20_000]
    return {
        "search: a rare word": {"q": rare},
        "search: the most frequent word": {"q": frequent},
        "search: three frequent words": {"q": " ".join(words.words[:3])},
        "search: a phrase": {"q": f'"{frequent} {words.words[1]}"'},
        "search: the beginning of a word": {"q": f"{rare[:3]}*"},
        "search: nothing": {"q": "zzzzzz"},
        "search with four filters": {
            **{"q": frequent, "tag": "zh", "stratum": "contested"},
            **{"judge": "terse", "said": "against the jury"},
        },
        "a judge against the jury": {"judge": "strict", "said": "against the jury"},
        "a tag and a stratum": {"tag": "harm", "stratum": "unanimous"},
        "a stage": {"stage": "compare"},
    }


def measure(folder: Path, rows: int, words: Words) -> None:
    """Start the server, ask it everything, and start it again."""
    server = Server(folder)
    server.ready()
    get = server.client.get
    timed("vote page", 300, lambda: get("/review"))
    timed("vote and next page", None, lambda: vote(server.client))
    timed("first page of the list", 300, lambda: get("/browse"))
    timed("last page of the list", 300, lambda: get(f"/browse?before={rows + 1}"))
    timed("one comparison", 300, lambda: get(f"/item/{rows // 2}"))
    timed("live view", None, lambda: get("/live"))
    for name, query in questions(words).items():
        timed(name, 500, partial(get, f"/browse?{urllib.parse.urlencode(query)}"))
    began = time.perf_counter()
    assert server.client.post("/export", {"": ""}) == 200
    while "being added" in get("/export"):
        time.sleep(0.2)
    print(f"export of the labels: {time.perf_counter() - began:.1f} s")
    server.end()
    print("started again, with the index there:")
    again = Server(folder)
    again.ready()
    again.end()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--keep", type=Path, help="write the run to this folder and leave it there")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    with tempfile.TemporaryDirectory() as place:
        folder = arguments.keep or Path(place) / "run"
        words = write_run(folder, arguments.rows)
        size = sum(path.stat().st_size for path in folder.rglob("*.jsonl")) / 1e6
        print(f"a run of {arguments.rows:,} comparisons, {size:,.0f} MB")
        measure(folder, arguments.rows, words)
        for path in sorted((folder / "review").glob("*.sqlite")):
            print(f"{path.name}: {path.stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
