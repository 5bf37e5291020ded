"""A small stand-in for the W&B server: it records what it is sent, and serves the runs that were sent to it."""

from __future__ import annotations

import gzip
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import wandb

from wandb_served import ENTITY, ServedRun, fits

KEY = "a" * 40  # as long as a real API key


class WandbServer:
    """What was sent, by kind.

    Args:
        projects: that exist; a run that is started makes its own.
    """

    def __init__(self, projects: tuple[str, ...] = ()) -> None:
        self.url = ""
        self.projects = list(projects)
        self.runs: dict[str, ServedRun] = {}
        self.views: list[dict[str, Any]] = []  # the variables of each report that was saved
        self.operations: list[str] = []
        self.artifacts: list[dict[str, Any]] = []
        self.knows_key = True
        self.status = 200  # of every answer
        self.answers = threading.Event()  # cleared: requests wait
        self.answers.set()

    @property
    def environment(self) -> dict[str, str]:
        """What makes wandb talk to this server."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": KEY,
            "WANDB_ENTITY": ENTITY,
            "WANDB_ERROR_REPORTING": "false",
        }

    def answer(self, path: str, body: bytes) -> Any:
        """The reply to one request."""
        if path == "/graphql":
            return self._graphql(json.loads(body))
        if upload := re.fullmatch(r"/upload/(\w+)/(.+)", path):
            self.runs[upload[1]].files[upload[2]] = body
        elif stream := re.fullmatch(r"/files/[^/]+/[^/]+/(\w+)/file_stream", path):
            self._stream(self.runs[stream[1]], json.loads(body).get("files", {}))
        return {}

    def _graphql(self, request: dict[str, Any]) -> dict[str, Any]:
        found = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
        assert found is not None
        name, variables = found[1], request.get("variables") or {}
        self.operations.append(name)
        if name in ("Viewer", "GetViewer") and not self.knows_key:
            return {"data": {"viewer": None}}
        reply = getattr(self, f"_{name}", None)
        return {"data": {}} if reply is None else {"data": reply(variables)}

    def _stream(self, run: ServedRun, files: dict[str, Any]) -> None:
        for name, chunk in files.items():
            lines = [json.loads(line) for line in chunk["content"]] if name.endswith((".jsonl", ".json")) else []
            if name == "wandb-history.jsonl":
                del run.history[chunk["offset"] :]
                run.history += lines
            elif name == "wandb-summary.json" and lines:
                run.summary = lines[-1]

    # One method for each operation, named as GraphQL names it.

    def _Viewer(self, variables: dict[str, Any]) -> dict[str, Any]:
        viewer = {
            "id": "1",
            "entity": ENTITY,
            "username": "somebody",
            "email": "",
            "flags": "{}",
            "teams": {"edges": []},
        }
        return {"viewer": viewer | {"name": "Somebody", "admin": False, "deletedAt": None, "apiKeys": {"edges": []}}}

    _GetViewer = _GetDefaultEntity = _Viewer

    def _UpsertBucket(self, variables: dict[str, Any]) -> dict[str, Any]:
        name, project = variables["name"], variables["project"]
        if project not in self.projects:
            self.projects.append(project)
        inserted = name not in self.runs
        run = self.runs.setdefault(name, ServedRun(name, project))
        config = json.loads(variables["config"] or "{}")
        run.config |= {key: value["value"] for key, value in config.items()}
        run.display_name = variables["displayName"] or run.display_name
        run.group = variables["groupName"] or run.group
        run.job_type = variables["jobType"] or run.job_type
        run.sweep = variables["sweep"] or run.sweep
        run.tags, run.notes = variables["tags"] or run.tags, variables["notes"] or run.notes
        place = {"id": "7", "name": project, "entity": {"id": "1", "name": ENTITY}}
        return {"upsertBucket": {"bucket": run.node() | {"project": place}, "inserted": inserted}}

    def _RunResumeStatus(self, variables: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(variables["name"])
        bucket = None
        if run is not None:
            told = {"logLineCount": 0, "eventsLineCount": 0, "eventsTail": "[]", "wandbConfig": '{"t": 1}'}
            tail = json.dumps([json.dumps(row) for row in run.history[-1:]])
            bucket = run.node() | told | {"historyTail": tail}
        return {
            "model": {"id": "7", "name": variables["project"], "entity": {"id": "1", "name": ENTITY}, "bucket": bucket}
        }

    def _CreateRunFiles(self, variables: dict[str, Any]) -> dict[str, Any]:
        files = [
            {"name": name, "uploadUrl": f"{self.url}/upload/{variables['run']}/{name}"} for name in variables["files"]
        ]
        return {"createRunFiles": {"runID": f"id-{variables['run']}", "uploadHeaders": [], "files": files}}

    def _ArtifactType(self, variables: dict[str, Any]) -> dict[str, Any]:
        return {"project": None}

    def _CreateArtifact(self, variables: dict[str, Any]) -> dict[str, Any]:
        self.artifacts.append(variables["input"])
        latest = {"id": "9", "versionIndex": 0}  # the server has it already, so nothing is uploaded
        artifact = {"id": "9", "state": "COMMITTED", "artifactSequence": {"id": "8", "latestArtifact": latest}}
        return {"createArtifact": {"artifact": artifact}}

    def _Runs(self, variables: dict[str, Any]) -> dict[str, Any]:
        if variables["project"] not in self.projects:
            return {"project": None}
        wanted = json.loads(variables["filters"])
        runs = [run for run in self.runs.values() if run.project == variables["project"] and fits(run, wanted)]
        edges = [{"node": run.node(), "cursor": run.name} for run in runs]
        page = {"endCursor": None, "hasNextPage": False}
        counts = {"internalId": "7", "runCount": len(runs), "readOnly": False}
        return {"project": counts | {"runs": {"edges": edges, "pageInfo": page}}}

    def _Run(self, variables: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": self.runs[variables["name"]].node()}}

    _RunHistoryKeys = _Run

    def _RunParquetHistory(self, variables: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}}

    def _HistoryPage(self, variables: dict[str, Any]) -> dict[str, Any]:
        steps = range(variables["minStep"], variables["maxStep"])
        rows = [json.dumps(row) for row in self.runs[variables["run"]].history if row["_step"] in steps]
        return {"project": {"run": {"history": rows}}}

    def _GetProjects(self, variables: dict[str, Any]) -> dict[str, Any]:
        same = {"__typename": "Project", "id": "7", "entityName": ENTITY, "createdAt": "", "isBenchmark": False}
        edges = [{"node": same | {"name": name, "user": None}} for name in self.projects]
        page = {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False}
        return {"models": {"pageInfo": page, "edges": edges}}

    def _ProjectInternalId(self, variables: dict[str, Any]) -> dict[str, Any]:
        there = variables["projectName"] in self.projects
        return {"project": {"id": "UHJvamVjdDo3", "internalId": "7"} if there else None}

    def _upsertView(self, variables: dict[str, Any]) -> dict[str, Any]:
        self.views.append(variables)
        project = {"id": "7", "name": variables["projectName"], "entityName": variables["entityName"]}
        told = {"id": "VmlldzoxMg==", "type": "runs", "updatedAt": "2025-01-01T00:00:00", "project": project}
        same = {key: variables[key] for key in ("name", "displayName", "description", "spec")}
        return {"upsertView": {"view": told | same, "inserted": True}}


@contextmanager
def serving(*projects: str) -> Iterator[WandbServer]:
    """A server on this machine, for as long as the block lasts."""
    served = WandbServer(projects)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            served.answers.wait()
            with lock:
                fault = {"errors": [{"message": "out of order"}]}
                data = json.dumps(served.answer(self.path, body) if served.status == 200 else fault).encode()
            self.send_response(served.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = True  # so that no thread waits for more

        do_GET = do_POST = do_PUT = reply

        def log_message(self, *arguments: Any) -> None:
            """Says nothing."""

    lock = threading.Lock()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        served.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def in_use(environment: dict[str, str], home: Path) -> Iterator[None]:
    """Makes wandb in this process start anew with this environment and a home of its own, and end afterwards."""
    places = {name: str(home) for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR")}
    wandb.teardown()  # first: what it leaves in the environment must not be put back afterwards
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("WANDB_")]:
            patch.delenv(name)
        for name, value in (places | environment).items():
            patch.setenv(name, value)
        try:
            yield
        finally:
            wandb.teardown()
