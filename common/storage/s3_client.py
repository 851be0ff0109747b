"""Requests to one bucket, each tried again for a while if it fails in a way that passes.

There is one policy for that, ours: botocore's own covers no bodies, and two on top of each other multiply.
botocore is imported when the first request is made.
"""

from __future__ import annotations

import functools
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from common.errors import ConfigurationError, TemporaryFailure
from common.storage.s3_checksums import Evidence
from common.storage.s3_errors import ObjectMissing, RangeRefused, converted, scrub

Result = TypeVar("Result")
_LOG = logging.getLogger("ghost")
THREADS = "GHOST_S3_THREADS"
_MOST_THREADS = 256
_SMALLEST_PIECE, _LARGEST_PIECE = 1 << 16, 1 << 20  # small while an answer comes slowly: then it shows in time
_LONGEST_PAUSE_S = 8.0
_PROGRESS = 1 << 16  # bytes that count as progress: less is a server that dribbles
_SLOWEST = 4096  # bytes per second; below it, after _SLOW_AFTER_S, an answer counts as hanging
_SLOW_AFTER_S = 30.0


@dataclass(frozen=True)
class Settings:
    """How requests are made. Together they end a request within two minutes if the server does not answer; one that
    goes on sending a few bytes at a time is noticed after 64 KiB.

    Attributes:
        threads: requests at once. 16 saturate 10 Gbit/s in the practice of s3transfer's users; chosen, not tuned.
        connect_timeout_s: for the connection.
        read_timeout_s: for any piece of an answer.
        attempts: how often a request is made.
        patience_s: for how long a request is tried again; one more may still be under way then.
    """

    threads: int = 16
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    attempts: int = 8
    patience_s: float = 60.0

    @classmethod
    def from_environment(cls) -> Settings:
        """The defaults, with the number of threads from $GHOST_S3_THREADS. Raises ConfigurationError."""
        given = os.environ.get(THREADS, "").strip() or str(cls.threads)
        if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= _MOST_THREADS:
            raise ConfigurationError(f"{THREADS}={given!r}: expected a number from 1 to {_MOST_THREADS}.")
        return cls(threads=int(given))


class Patience:
    """How long one request is tried again; progress renews it."""

    def __init__(self, settings: Settings, stop: threading.Event | None = None) -> None:
        self._settings, self._stop = settings, stop or threading.Event()
        self.renew()

    def renew(self) -> None:
        """Something was achieved: counts anew."""
        self._failures, self._started = 0, time.monotonic()

    def after(self, error: TemporaryFailure) -> None:
        """Waits before the next try, longer each time; raises the error if it was the last one."""
        self._failures += 1
        waited = time.monotonic() - self._started
        if self._failures >= self._settings.attempts or waited >= self._settings.patience_s or self._stop.is_set():
            raise type(error)(f"{error} Tried {self._failures} times in {waited:.0f} s.") from error
        pause = min(_LONGEST_PAUSE_S, 0.2 * 2**self._failures, self._settings.patience_s / 4)
        _LOG.debug("%s", error)
        self._stop.wait(random.uniform(0.5, 1.0) * pause)  # noqa: S311 - so that many clients do not come back at once


class Client:
    """Requests to one bucket."""

    def __init__(self, bucket: str, settings: Settings) -> None:
        self.bucket = bucket
        self.settings = settings

    def place(self, key: str) -> str:
        """How messages call an object."""
        return f"s3://{self.bucket}/{key}"

    @functools.cached_property
    def _session(self) -> Any:  # noqa: ANN401 - botocore has no types
        import botocore.session

        return botocore.session.get_session()

    @functools.cached_property
    def _boto(self) -> Any:  # noqa: ANN401 - botocore makes the class at run time
        from botocore.config import Config

        config = Config(
            connect_timeout=self.settings.connect_timeout_s,
            read_timeout=self.settings.read_timeout_s,
            max_pool_connections=self.settings.threads + 4,
            retries={"mode": "standard", "total_max_attempts": 1},
            # Checksums are given with every upload, and asked for where a digest of ours does not say more.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        with converted(f"s3://{self.bucket}"):
            try:
                return self._session.create_client("s3", config=config)
            except ValueError as error:  # of endpoints
                said = scrub(str(error), ())
                raise ConfigurationError(f"s3://{self.bucket}: {said}. Check AWS_ENDPOINT_URL.") from error

    @property
    def endpoint(self) -> str:
        """The server's address, without credentials."""
        return scrub(str(self._boto.meta.endpoint_url), ())

    @functools.cached_property
    def _secrets(self) -> tuple[str, ...]:
        found = self._session.get_credentials()
        frozen = found.get_frozen_credentials() if found is not None else None
        return () if frozen is None else tuple(value for value in (frozen.secret_key, frozen.token) if value)

    def once(self, operation: str, key: str = "", **parameters: Any) -> Any:  # noqa: ANN401 - botocore's dicts
        """The answer to a request, made once. Errors are those of ghost.

        Args:
            operation: as botocore calls it: "get_object".
            key: the object, if it is about one.
            parameters: further ones of the operation.
        """
        request = getattr(self._boto, operation)
        about = {"Key": key} if key else {}
        with converted(self.place(key)):
            secrets = self._secrets
        with converted(self.place(key), secrets=secrets):
            return request(Bucket=self.bucket, **about, **parameters)

    def call(self, operation: str, key: str = "", *, stop: threading.Event | None = None, **parameters: Any) -> Any:  # noqa: ANN401
        """The answer to a request, tried again while it fails in a way that passes."""
        return self.repeat(lambda: self.once(operation, key, **parameters), stop=stop)

    def repeat(self, work: Callable[[], Result], *, stop: threading.Event | None = None) -> Result:
        """The result of some work, tried again while it fails in a way that passes."""
        patience = Patience(self.settings, stop)
        while True:
            try:
                return work()
            except TemporaryFailure as error:
                patience.after(error)

    def read(self, key: str) -> bytes:
        """The content of a small object. Raises ObjectMissing."""
        evidence = Evidence(self.place(key))

        def attempt() -> bytes:
            answer = self.once("get_object", key, ChecksumMode="ENABLED")
            with converted(self.place(key)):
                content = bytes(answer["Body"].read())
            # Without a length the end of an answer looks like that of a broken connection.
            told = answer if "ContentLength" in answer else self.once("head_object", key)
            if len(content) != told["ContentLength"]:
                raise TemporaryFailure(f"{self.place(key)}: the answer was cut short. Try again.")
            evidence.check(answer, lambda: content)
            return content

        return self.repeat(attempt)

    def stream(
        self,
        key: str,
        start: int,
        stop: int,
        *,
        size: int,
        etag: str | None = None,
        halt: threading.Event | None = None,
    ) -> Iterator[bytes]:
        """The bytes [start, stop) of an object, piece by piece; a broken answer is continued where it broke off.

        Args:
            key: the object.
            start: first byte.
            stop: the one after the last.
            size: bytes that the whole object should have.
            etag: what identifies its version; found out if it is not given. All pieces are of one version.
            halt: ends it between two pieces.

        Raises:
            RangeRefused: the object has another size.
            ConditionFailed: it is, or has become, another version.
            ObjectMissing: it is gone.
        """
        patience, position = Patience(self.settings, halt), start
        while position < stop:
            try:
                condition = {"IfMatch": etag} if etag else {}
                answer = self.once("get_object", key, Range=f"bytes={position}-{stop - 1}", **condition)
                if _whole_size(answer) not in (None, size):
                    answer["Body"].close()
                    raise RangeRefused(f"{self.place(key)}: {_whole_size(answer)} bytes, expected {size}.")
                etag = etag or answer.get("ETag")
                for piece in self._pieces(key, answer, position):
                    piece = piece[: stop - position]  # a server may send more than it was asked for
                    if position // _PROGRESS != (position + len(piece)) // _PROGRESS:
                        patience.renew()
                    position += len(piece)
                    yield piece
                    if halt is not None and halt.is_set():
                        return
                if position < stop:
                    raise TemporaryFailure(f"{self.place(key)}: the answer was cut short at {position}. Try again.")
            except TemporaryFailure as error:
                patience.after(error)

    def _pieces(self, key: str, answer: Any, position: int) -> Iterator[bytes]:  # noqa: ANN401
        body, started, received, ask = answer["Body"], time.monotonic(), 0, _SMALLEST_PIECE
        skip = 0 if answer.get("ContentRange") else position  # a server that knows no ranges sends all of it
        try:
            while True:
                with converted(self.place(key)):
                    piece = body.read(ask)
                if not piece:
                    return
                received += len(piece)
                took = time.monotonic() - started
                ask = min(2 * ask, _LARGEST_PIECE) if received / max(took, 1e-6) > _LARGEST_PIECE else _SMALLEST_PIECE
                if took > _SLOW_AFTER_S and received / took < _SLOWEST:
                    raise TemporaryFailure(f"{self.place(key)}: {received} bytes in {took:.0f} s. Try again.")
                if skip < len(piece):
                    yield piece[skip:]
                skip = max(0, skip - len(piece))
        finally:
            body.close()

    def listing(self, prefix: str, *, delimiter: str = "") -> Iterator[Any]:
        """The pages of a listing: {"Contents": […], "CommonPrefixes": […]}."""
        token: dict[str, Any] = {}
        while True:
            page = self.call("list_objects_v2", Prefix=prefix, Delimiter=delimiter, **token)
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def head(self, key: str) -> Any | None:  # noqa: ANN401
        """Size, ETag and so on of an object, None if there is none."""
        try:
            return self.call("head_object", key)
        except ObjectMissing:
            return None
        except ConfigurationError:
            # The answer to a HEAD has no body to explain itself: ask again in a way that does.
            self.call("list_objects_v2", Prefix=key, MaxKeys=1)
            raise


def _whole_size(answer: Any) -> int | None:  # noqa: ANN401
    """Bytes of the whole object, of which the answer may be a part; None if it does not say."""
    told = str(answer.get("ContentRange", "")).rpartition("/")[2]
    if told.isdigit():
        return int(told)
    return None if answer.get("ContentRange") else answer.get("ContentLength")
