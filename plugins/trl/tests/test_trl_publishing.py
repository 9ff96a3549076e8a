"""Finished models pushed to the hub; a server on this machine stands for it and keeps what it is sent."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import TrainingError, UsageError
from jurist.train_jobs import TrainJob, TrainProgress
from jurist_trl.supervised.sft import SFT, SFTOptions

REPOSITORY = "our-house/polite-policy"


class Hub(ThreadingHTTPServer):
    """Creates repositories and takes commits; ``refuses`` are the paths that it answers with 403."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.refuses: set[str] = set()
        self.created: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.commits: list[dict[str, bytes]] = []


class Answers(BaseHTTPRequestHandler):
    server: Hub

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = self.path.partition("?")[0]
        self.server.tokens.add(self.headers["Authorization"])
        if path in self.server.refuses:
            self._send(403, {"error": "you may not write here"})
        elif path == "/api/repos/create":
            self.server.created.append(json.loads(body))
            self._send(200, {"url": f"{self.server.address}/{REPOSITORY}"})
        elif path == "/api/validate-yaml":
            self._send(200, {"errors": [], "warnings": []})
        elif path == f"/api/models/{REPOSITORY}/preupload/main":
            wanted = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            self._send(200, {"files": wanted})
        elif path == f"/api/models/{REPOSITORY}/commit/main":
            lines = [json.loads(line) for line in body.splitlines()]
            files = [line["value"] for line in lines if line["key"] == "file"]
            self.server.commits.append({f["path"]: base64.b64decode(f["content"]) for f in files})
            self._send(
                200, {"commitUrl": f"{self.server.address}/{REPOSITORY}/commit/0", "commitOid": "0" * 40}
            )
        else:
            self._send(404, {"error": path})

    def do_GET(self) -> None:
        self._send(404, {"error": "no such repository"})

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", "hf_ours")
        yield server
        server.shutdown()


def train(job: TrainJob, progress: Callable[[TrainProgress], None] = lambda _: None) -> Any:
    options = SFTOptions(batch_size=8, max_steps=3, save_steps=2, push_to_hub=REPOSITORY)
    return SFT(options).train(job, progress)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_finished_model_is_pushed_into_a_private_repository(
    hub: Hub, policy: Path, revisions: Path, tmp_path: Path
) -> None:
    artifact = train(TrainJob(model=policy, data=revisions, output=tmp_path))
    assert [(made["organization"], made["name"], made["visibility"]) for made in hub.created] == [
        ("our-house", "polite-policy", "private")
    ]
    assert hub.tokens == {"Bearer hf_ours"}
    assert hub.commits == [files_of(artifact.path)]
    assert {"README.md", "model.safetensors", "tokenizer.json"} <= hub.commits[0].keys()


def test_a_push_that_fails_loses_nothing_and_is_all_that_a_rerun_does(
    hub: Hub, policy: Path, revisions: Path, tmp_path: Path
) -> None:
    job = TrainJob(model=policy, data=revisions, output=tmp_path)
    hub.refuses = {f"/api/models/{REPOSITORY}/commit/main"}
    with pytest.raises(TrainingError, match="is trained and lies in") as caught:
        train(job)
    assert str(tmp_path / "model") in str(caught.value)
    assert "403" in str(caught.value.cause)
    assert f"hf upload {REPOSITORY} {tmp_path / 'model'}" in str(caught.value.hint)
    kept = files_of(tmp_path / "model")
    assert "model.safetensors" in kept
    assert hub.commits == []

    hub.refuses = set()
    steps: list[TrainProgress] = []
    artifact = train(job, steps.append)
    assert steps == []
    assert hub.commits == [kept]
    assert artifact.metrics["steps"] == 3


def test_a_repository_that_refuses_us_shows_before_training(
    hub: Hub, policy: Path, revisions: Path, tmp_path: Path
) -> None:
    hub.refuses = {"/api/repos/create"}
    with pytest.raises(UsageError, match=f"could not be pushed to '{REPOSITORY}'") as caught:
        train(TrainJob(model=policy, data=revisions, output=tmp_path))
    assert "403" in str(caught.value.cause)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_without_network_and_token_pushing_is_refused_before_training(
    policy: Path, revisions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    with pytest.raises(UsageError) as caught:
        train(TrainJob(model=policy, data=revisions, output=tmp_path))
    offline, token = caught.value.faults
    assert offline == f"push_to_hub: '{REPOSITORY}' is out of reach: HF_HUB_OFFLINE is set"
    assert token.startswith(f"push_to_hub: there is no token for '{REPOSITORY}'")
    assert not (tmp_path / "metrics.jsonl").exists()


@pytest.mark.parametrize("name", ["policy", "a/b/c", "our house/policy"])
def test_a_name_without_owner_is_no_repository(name: str) -> None:
    with pytest.raises(ValueError, match="push_to_hub"):
        SFTOptions(push_to_hub=name)
