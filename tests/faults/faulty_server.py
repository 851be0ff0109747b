"""A loopback HTTP server that passes requests on to another, and fails at a rate of its own."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

KINDS = ("503", "slow down", "reset", "lost answer", "cut short", "ends early", "wrong bytes", "slow", "hang")
_SLOWDOWN = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>'
_HANG_S = 30.0  # longer than any client of a test waits


@dataclass
class Faults:
    """What goes wrong, and how often.

    Attributes:
        rate: share of the requests that fail.
        kinds: the ways to fail, one of them drawn each time.
        only: methods that fail.
        count: how many have failed.
    """

    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS
    only: tuple[str, ...] = ("GET", "PUT", "HEAD", "DELETE", "POST")
    seed: int = 1
    count: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._random, self._lock = random.Random(self.seed), threading.Lock()  # noqa: S311

    def draw(self, method: str) -> str:
        """How a request fails; "" if it does not."""
        with self._lock:
            if method not in self.only or self._random.random() >= self.rate:
                return ""
            self.count += 1
            return self._random.choice(self.kinds)

    def place(self, size: int) -> int:
        """Somewhere in a body."""
        with self._lock:
            return self._random.randrange(size)


@contextlib.contextmanager
def in_front_of(endpoint: str, faults: Faults) -> Iterator[str]:
    """A server that passes requests on to the one at `endpoint`; gives its own address."""
    handler = type("Handler", (_Handler,), {"origin": urlsplit(endpoint).netloc, "faults": faults})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        faults.over.set()
        server.shutdown()
        server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that give up are what it is for."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    origin: str
    faults: Faults

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def _pass_on(self) -> None:
        fault = self.faults.draw(self.command)
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        body = self._read_body()
        if fault in ("503", "slow down"):
            self._answer(503, {"Content-Type": "application/xml"}, b"" if fault == "503" else _SLOWDOWN)
            return
        if fault in ("reset", "hang"):
            self._give_up(wait=fault == "hang")
            return
        headers = {name: value for name, value in self.headers.items() if name != "Expect"}
        origin = http.client.HTTPConnection(self.origin, timeout=20)
        try:
            origin.request(self.command, self.path, body=body, headers=headers)
            answer = origin.getresponse()
            content = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in ("transfer-encoding",)}
        finally:
            origin.close()
        if fault == "lost answer":
            self._give_up(wait=False)
        elif fault == "cut short" and content:
            self._answer(answer.status, kept, content, sent=self.faults.place(len(content)))
            self._give_up(wait=False)
        elif fault == "ends early" and content:
            self._answer_in_chunks(answer.status, kept, content[: self.faults.place(len(content))])
        elif fault == "wrong bytes" and content:
            place = self.faults.place(len(content))
            wrong = content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
            self._answer(answer.status, kept, wrong)
        else:
            if fault == "slow":
                time.sleep(0.05)
            self._answer(answer.status, kept, content)

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, headers: dict[str, str], content: bytes, *, sent: int | None = None) -> None:
        self._begin(status, headers)
        if self.command != "HEAD" and not any(name.lower() == "content-length" for name in headers):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])

    def _answer_in_chunks(self, status: int, headers: dict[str, str], content: bytes) -> None:
        """Says nothing of a length, so that its end looks like an end."""
        self._begin(status, {name: value for name, value in headers.items() if name.lower() != "content-length"})
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if content:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.write(b"0\r\n\r\n")

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "connection":
                self.send_header(name, value)

    def _give_up(self, *, wait: bool) -> None:
        if wait:
            self.faults.over.wait(_HANG_S)
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass_on
