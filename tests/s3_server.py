"""An S3 server in memory for tests, and storages on it."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from common.storage.s3 import S3Storage
from common.storage.s3_client import Settings
from common.storage.scratch import Scratch

BUCKET = "ghost-tests"
SECRET = "a-secret-that-must-not-be-told"  # noqa: S105 - planted, to be searched for
QUICK = Settings(threads=4, connect_timeout_s=2, read_timeout_s=2, attempts=3, patience_s=2)
_numbers = itertools.count()


@dataclass
class Server:
    """A running server with one bucket."""

    endpoint: str
    boto: Any = field(init=False)

    def __post_init__(self) -> None:
        import botocore.session

        keys = {"aws_access_key_id": "key", "aws_secret_access_key": SECRET}
        self.boto = botocore.session.get_session().create_client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", **keys
        )

    def environment(self) -> dict[str, str]:
        """What a process needs to find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def storage(self, scratch: Path, *, root: str = "", settings: Settings = QUICK) -> S3Storage:
        """A storage on a prefix of its own, unless one is named."""
        root = root or f"s3://{BUCKET}/prefix-{os.getpid()}-{next(_numbers)}"
        return S3Storage(root, settings=settings, scratch=Scratch(scratch))

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """All that is there."""
        pages = self.boto.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return {key: self.boto.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}

    def uploads(self, prefix: str = "") -> list[str]:
        """Keys of incomplete multipart uploads."""
        found = self.boto.list_multipart_uploads(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for item in found.get("Uploads", ())]

    def put(self, key: str, content: bytes) -> None:
        """Writes an object past all that is tested."""
        self.boto.put_object(Bucket=BUCKET, Key=key, Body=content)


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """moto on a free port of the loopback."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        found = Server(f"http://{host}:{port}")
        found.boto.create_bucket(Bucket=BUCKET)
        yield found
    finally:
        server.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as found:
        yield found


@pytest.fixture
def s3_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that leads to the server, and to no credentials of the machine."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "GHOST_S3", "GHOST_SCRATCH"))]:
        monkeypatch.delenv(name)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
