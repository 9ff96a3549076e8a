"""How fast and how safely pairs are labelled, against a simulated provider of 200 ms.

    python benchmarks/labeling.py [PART …] [--folder FOLDER] [--peer NAME=PYTHON …]

Parts: speed memory faults kill replay budget batch keys; all of them without one. ``--peer`` adds
another tool to the table of speed: its name and the Python of an environment of its own (README.md here).
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import peer_client
import raw_client
from workload import CLIENT_CORE, KEY, LATENCY, SERVER_CORE, Job, kill, label, labels, start, write_pairs

from jurist.testing.simulator import Faults, Latency, SimulatorProcess

FAULTS = Faults(
    rate_limited=0.05, server_error=0.02, reset=0.02, garbage=0.05, not_json=0.02, retry_after=1.0
)
STEADY = 60.0
"""Seconds that a measurement of speed should last, so that start and end hardly count."""
PEER_STEADY = 20.0
"""The same for peers, which are many and slow."""


class Benchmark:
    """The parts of the benchmark, each a method that prints its lines of the table."""

    def __init__(self, folder: Path, peers: Mapping[str, str]) -> None:
        self._folder = folder
        self._peers = peers
        self._runs = 0
        self._printed: list[str] = []

    def speed(self) -> None:
        """Share of the limit concurrency / latency, and CPU per call."""
        print("| client | in flight | calls/s | share of the limit | CPU s per 1,000 calls | peak MB |")
        print("|---|---|---|---|---|---|")
        for concurrency in (64, 256, 1000):
            calls = round(STEADY * concurrency / LATENCY / (2 if concurrency == 1000 else 1))
            with self._server() as url:
                measured = raw_client.measure(url, concurrency, calls)
                self._row("plain aiohttp", concurrency, calls, measured)
                for use in ("openai", "litellm"):
                    share = 4 if use == "litellm" else 1
                    rows = calls // 2 // share
                    measured = self._label(self._job(rows, url, use=use, concurrency=concurrency))
                    self._row(f"jurist-{use}", concurrency, 2 * rows, measured)
                for name, python in self._peers.items():
                    calls = _peer_calls(name, concurrency)
                    measured = peer_client.measure(python, name, url, concurrency, calls)
                    self._row(name, concurrency, calls, measured)

    def memory(self) -> None:
        """Peak memory does not grow with the rows, and the first request goes out soon."""
        for rows in (5_000, 50_000):
            with self._server() as url:
                measured = self._label(self._job(rows, url, concurrency=1000))
            print(f"{rows:,} rows, 1000 in flight: peak {measured['rss_mb']:.0f} MB")
        with SimulatorProcess(cpu=SERVER_CORE) as server:
            started = time.time()
            child = start(self._job(100, server.url))
            while not server.stats()["requests"]:
                time.sleep(0.005)
            print(f"cold start to first request: {time.time() - started:.2f} s")
            child.communicate()

    def faults(self) -> None:
        """Nothing is lost or mislabelled, and faults cost little."""
        rows = 5_000
        with self._server() as url:
            clean = self._label(self._job(rows, url))
        with self._server(FAULTS) as url:
            job = self._job(rows, url)
            measured = self._label(job)
        kept, wrong = labels(job.folder)
        print(f"faults {FAULTS}")
        print(f"{kept} labels of {rows} rows, {wrong} wrong; decisions {measured['decisions']}")
        print(f"judges {measured['judges']}; given up {measured['given_up']}")
        print(f"throughput {clean['wall'] / measured['wall']:.0%} of the fault-free run")

    def kill(self) -> None:
        """After kill -9 only the calls that were in flight are made again."""
        rows, concurrency = 2_000, 64
        with SimulatorProcess(cpu=SERVER_CORE, latency=Latency.constant(LATENCY)) as server:
            job = self._job(rows, server.url, concurrency=concurrency)
            child = start(job)
            while server.stats()["answered"] < rows:
                time.sleep(0.01)
            kill(child)
            measured = self._label(job)
            asked = server.stats()["asked"]
        repeated = sum(asked.values()) - len(asked)
        print(f"killed near half of {2 * rows} calls: {repeated} repeated, {concurrency} were in flight")
        print(f"decisions {measured['decisions']}")

    def replay(self) -> None:
        """A ledger of 100,000 replies is replayed in seconds."""
        with SimulatorProcess(cpu=SERVER_CORE) as server:
            job = self._job(50_000, server.url, concurrency=256)
            self._label(job)
            before = server.stats()["requests"]
            shutil.rmtree(job.folder / "stages")
            measured = self._label(job)
            asked = server.stats()["requests"] - before
        print(f"100,000 replies replayed in {measured['wall']:.1f} s, {asked} calls made")

    def budget(self) -> None:
        """The cap holds, and a higher one continues."""
        rows = 1_000
        with self._server() as url:
            job = self._job(rows, url)
            whole = self._label(replace(job, folder=self._fresh()))
            cap = whole["usd"] / 2
            first = self._label(replace(job, max_usd=cap))
            second = self._label(replace(job, max_usd=2 * whole["usd"]))
        print(f"cap ${cap:.4f}: spent ${first['usd']:.4f}, stopped {first['stopped']}")
        print(
            f"higher cap: ${second['usd']:.4f} in all of ${whole['usd']:.4f}; decisions {second['decisions']}"
        )

    def batch(self) -> None:
        """A killed run finds its batches again; nothing is paid for twice."""
        for use in ("openai", "anthropic"):
            with SimulatorProcess(cpu=SERVER_CORE, hold_batches=True) as server:
                url = server.url if use == "openai" else server.anthropic_url
                job = self._job(1_000, url, use=use, batch=True)
                child = start(job)
                while not (job.folder / "ledger.sqlite").exists() or server.stats()["requests"] < 2:
                    time.sleep(0.01)
                time.sleep(1.0)
                kill(child)
                server.release_batches()
                measured = self._label(job)
                asked = server.stats()["asked"]
            kept, wrong = labels(job.folder)
            print(
                f"{use}: 1,000 comparisons, killed between submit and result: {kept} labels, {wrong} wrong, "
                f"{len(asked)} generations, {sum(asked.values())} billed, ${measured['usd']:.4f}"
            )

    def keys(self) -> None:
        """A planted key is in no file and in nothing that was printed."""
        with self._server(FAULTS) as url:
            self._label(self._job(200, url))
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        found = [str(path) for path in files if KEY.encode() in path.read_bytes()]
        said = sum(KEY in printed for printed in self._printed)
        print(f"planted key: in {len(found)} of {len(files)} files {found}, in {said} outputs")

    @contextmanager
    def _server(self, faults: Faults | None = None) -> Iterator[str]:
        given = {} if faults is None else {"faults": faults}
        latency = Latency.constant(LATENCY)
        with SimulatorProcess(cpu=SERVER_CORE, latency=latency, **given) as server:  # type: ignore[arg-type]
            yield server.url

    def _job(self, rows: int, url: str, **settings: Any) -> Job:
        pairs = write_pairs(self._folder / "pairs" / f"{rows}.jsonl", rows)
        return Job(pairs=pairs, folder=self._fresh(), url=url, **settings)

    def _fresh(self) -> Path:
        self._runs += 1
        return self._folder / f"run-{self._runs}"

    def _label(self, job: Job) -> dict[str, Any]:
        measured = label(job)
        self._printed.append(str(measured.pop("printed")))
        return measured

    def _row(self, client: str, concurrency: int, calls: int, measured: dict[str, Any]) -> None:
        rate = calls / measured["wall"]
        share = rate * LATENCY / concurrency
        cpu = measured["cpu"] / calls * 1000
        memory = measured["rss_mb"]
        print(
            f"| {client} | {concurrency} | {rate:,.0f} | {share:.1%} | {cpu:.2f} | {memory:.0f} |", flush=True
        )


def _peer_calls(name: str, concurrency: int) -> int:
    """As many calls as it makes in PEER_STEADY, but two rounds at least."""
    rate = min(concurrency / LATENCY, peer_client.PEERS[name].rate)
    return max(round(PEER_STEADY * rate), 2 * concurrency)


def _peer(text: str) -> tuple[str, str]:
    """What ``--peer`` says: a tool that we know and a Python that is there."""
    name, _, python = text.partition("=")
    if name not in peer_client.PEERS:
        raise argparse.ArgumentTypeError(
            f"there is no peer {name!r}; there are {', '.join(peer_client.PEERS)}"
        )
    if shutil.which(python) is None:
        raise argparse.ArgumentTypeError(f"{name}: there is no Python {python!r}; write {name}=PYTHON")
    return name, python


PARTS = ("speed", "memory", "faults", "kill", "replay", "budget", "batch", "keys")


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    parser.add_argument(
        "--peer",
        type=_peer,
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help=f"measure its speed too: {', '.join(peer_client.PEERS)}",
    )
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if given.peer and given.parts and "speed" not in given.parts:
        parser.error("--peer is for the part speed")
    with tempfile.TemporaryDirectory() as temporary:
        benchmark = Benchmark(given.folder or Path(temporary), dict(given.peer))
        print(
            f"client on core {CLIENT_CORE}, provider on core {SERVER_CORE}, latency {LATENCY} s", flush=True
        )
        for part in given.parts or PARTS:
            print(f"\n## {part}", flush=True)
            getattr(benchmark, part)()


if __name__ == "__main__":
    main()
