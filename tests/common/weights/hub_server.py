"""A Hugging Face Hub on the loopback, as far as its client asks it: repositories, commits, gates, and its troubles."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from common.weights.hub_lock import HubFile, HubModel

LARGE = (".safetensors", ".ckpt", ".pt")  # what the real Hub keeps outside git
TOKEN = "hf_a-token-that-must-not-be-told"  # noqa: S105 - planted, to be searched for


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Repository:
    """One repository, its commits by id, and what is wrong with it.

    Attributes:
        commits: id -> path -> content.
        head: the commit that "main" is.
        tokens: of the accounts that have access; None if everybody has.
        statements: path -> changes of what is stated of a file.
        served: path -> what comes instead of its content.
        cuts: path -> bytes after which the connection breaks off, once.
    """

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    head: str = ""
    tokens: tuple[str, ...] | None = None
    statements: dict[str, dict[str, Any]] = field(default_factory=dict)
    served: dict[str, bytes] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)

    def commit(self, files: Mapping[str, bytes]) -> str:
        names = sorted((path, sha256(content)) for path, content in files.items())
        self.head = hashlib.sha1(json.dumps(names).encode(), usedforsecurity=False).hexdigest()
        self.commits[self.head] = dict(files)
        return self.head


@dataclass
class Hub:
    """A running Hub.

    Attributes:
        repositories: "owner/name" -> repository.
        requests: method, path and headers of all that was asked.
        status: the answer to everything, if it is not 200.
    """

    endpoint: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    status: int = 200

    def add(self, name: str, files: Mapping[str, bytes], *, tokens: tuple[str, ...] | None = None) -> Repository:
        repository = self.repositories.setdefault(f"owner/{name}", Repository())
        repository.commit(files)
        repository.tokens = tokens
        return repository

    def model(self, name: str, *, pinned: bool = True, revision: bool = True, **changes: Any) -> HubModel:
        """The entry of a lock file for the present head of a repository."""
        repository = self.repositories[f"owner/{name}"]
        files = {
            path: HubFile(len(content), sha256(content)) if pinned else None
            for path, content in repository.commits[repository.head].items()
        }
        entry: dict[str, Any] = {
            "name": name,
            "repository": f"owner/{name}",
            "revision": repository.head if revision else None,
            "backends": ("zoo",),
            "is_default": True,
            "is_gated": repository.tokens is not None,
            "licence": "Zoo License",
            "notice": "Somebody",
            "files": files,
        }
        return HubModel(**{**entry, **changes})

    def downloads(self) -> list[str]:
        """Paths of files whose content was asked for, in order."""
        return [path.rpartition("/cdn/")[2] for method, path, _ in self.requests if method == "GET" and "/cdn/" in path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args: Any) -> None:
        """Nothing: the tests look at `requests`."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append((self.command, path, dict(self.headers)))
        if self.hub.status != 200:
            self._send(self.hub.status, b"{}")
        elif path.startswith("/api/models/"):
            owner, name, *rest = path.removeprefix("/api/models/").split("/")
            self._describe(f"{owner}/{name}", rest[1] if rest else "main")
        elif path.startswith("/cdn/"):
            self._content(*self._split(path.removeprefix("/cdn/")))
        else:
            self._resolve(*self._split(path.removeprefix("/").replace("/resolve/", "/", 1)))

    @staticmethod
    def _split(path: str) -> tuple[str, str, str]:
        owner, name, revision, file = path.split("/", 3)
        return f"{owner}/{name}", revision, file

    def _find(self, name: str, revision: str) -> tuple[Repository, str] | None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return None
        commit = repository.head if revision == "main" else revision
        if commit not in repository.commits:
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            return None
        return repository, commit

    def _describe(self, name: str, revision: str) -> None:
        found = self._find(name, revision)
        if found is None:
            return
        repository, commit = found
        siblings = []
        for path, content in repository.commits[commit].items():
            entry: dict[str, Any] = {"rfilename": path, "size": len(content), "blobId": git_blob(content)}
            if path.endswith(LARGE):
                entry["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
            siblings.append({**entry, **repository.statements.get(path, {})})
        body = {"id": name, "modelId": name, "sha": commit, "private": False, "tags": [], "siblings": siblings}
        self._send(200, json.dumps(body).encode())

    def _resolve(self, name: str, revision: str, path: str) -> None:
        found = self._find(name, revision)
        if found is None:
            return
        repository, commit = found
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository.tokens is not None and token not in repository.tokens:
            self._send(403 if token else 401, b"{}", {"X-Error-Code": "GatedRepo"})
            return
        content = repository.commits[commit].get(path)
        if content is None:
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            return
        large = path.endswith(LARGE)
        headers = {
            "X-Repo-Commit": commit,
            "X-Linked-Size": str(len(content)),
            "X-Linked-Etag": f'"{sha256(content) if large else git_blob(content)}"',
            # Another host by its name, as the real Hub's storage is: no token may reach it.
            "Location": f"{self.hub.endpoint}/cdn/{name}/{commit}/{path}".replace("127.0.0.1", "localhost"),
        }
        self._send(302, b"", headers)

    def _content(self, name: str, commit: str, path: str) -> None:
        repository = self.hub.repositories[name]
        content = repository.served.get(path, repository.commits[commit][path])
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        cut = repository.cuts.pop(path, None)
        self._send(206 if start else 200, content[start:], headers, cut=cut)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub of this test alone, and an environment that leads to it with no account."""
    from huggingface_hub import close_session

    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with running() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.endpoint)
        yield found
        close_session()
