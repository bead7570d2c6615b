"""A stand-in for wandb's server, on this machine: it answers what wandb asks when a run begins, goes on and ends, and keeps what it is sent."""

from __future__ import annotations

import gzip
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Kept:
    """What the server has of one run: rows of history as they were sent, the summary, what the last upsert said, files, exit code."""

    history: list[str] = field(default_factory=list)
    summary: str = "{}"
    upsert: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    exit_code: int | None = None

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of history that have a value under this name."""
        return [row for row in map(json.loads, self.history) if name in row]


class Server(ThreadingHTTPServer):
    """Listens on a free port; ``runs`` by id, ``views`` as they were saved. Nobody who leaves in the middle of an answer is complained about."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.runs: dict[str, Kept] = {}
        self.views: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the data of a GraphQL answer."""
        if operation == "RunResumeStatus":
            return {
                "model": {"id": "p", "name": asked["project"], "entity": {"id": "e", "name": "me"}, "bucket": self._bucket(asked["name"])}
            }
        if operation == "UpsertBucket":
            kept = self.runs.setdefault(asked["name"], Kept())
            kept.upsert |= {name: value for name, value in asked.items() if value is not None}
            project = {"id": "p", "name": kept.upsert["project"], "entity": {"id": "e", "name": "me"}}
            bucket = {"id": "r", "name": asked["name"], "displayName": kept.upsert["displayName"], "config": kept.upsert["config"]}
            return {"upsertBucket": {"bucket": {**bucket, "project": project, "historyLineCount": len(kept.history)}, "inserted": False}}
        if operation == "CreateRunFiles":
            self.runs[asked["run"]].files += asked["files"]
            files = [{"name": name, "uploadUrl": f"{self.url}/file"} for name in asked["files"]]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
        if operation == "Viewer":
            return {"viewer": {"id": "u", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}}
        if operation == "UpsertView2":
            self.views.append(json.loads(asked["spec"]))
            return {"upsertView": {"view": {"id": "v", "name": asked["name"]}, "inserted": True}}
        return {}

    def _bucket(self, name: str) -> dict[str, Any] | None:
        if name not in self.runs:
            return None
        kept = self.runs[name]
        lines = {"logLineCount": 0, "historyLineCount": len(kept.history), "eventsLineCount": 0}
        tails = {"historyTail": json.dumps(kept.history[-1:]), "eventsTail": "[]", "summaryMetrics": kept.summary}
        more = {"config": kept.upsert["config"], "tags": [], "displayName": "", "wandbConfig": json.dumps({"t": 1})}
        return {"id": "r", "name": name, **lines, **tails, **more}

    def stream(self, name: str, sent: dict[str, Any]) -> None:
        """Keep what a run streams."""
        kept = self.runs[name]
        for file, part in (sent.get("files") or {}).items():
            if file == "wandb-history.jsonl":
                kept.history[part["offset"] :] = part["content"]
            if file == "wandb-summary.json":
                kept.summary = part["content"][-1]
        kept.exit_code = sent.get("exitcode", kept.exit_code)


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _reply(self, found: dict[str, Any]) -> None:
        text = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_PUT(self) -> None:
        """Take a file."""
        self._body()
        self._reply({})

    def do_POST(self) -> None:
        """Answer GraphQL, or keep a stream."""
        sent = json.loads(self._body() or b"{}")
        if self.path.endswith("/graphql"):
            operation = re.search(r"(?:query|mutation)\s+(\w+)", sent["query"])
            self._reply({"data": self.server.answer(operation[1] if operation else "", sent.get("variables") or {})})
            return
        if "/file_stream" in self.path:
            self.server.stream(self.path.split("/")[-2], sent)
        self._reply({})
