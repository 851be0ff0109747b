"""Transfers of S3 storage beside a plain concurrent boto3 loop, and whether damaged objects are detected.

    python -m benchmarks.storage [--quick]

Runs against the server in the AWS environment (AWS_ENDPOINT_URL), or starts SeaweedFS with the script s3_start.sh in
the folder $GHOST_ENGINES. Both ways use as many threads, and take turns; medians count. Exits 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, information, report
from common import fingerprint
from common.errors import BadInput, InputMissing
from common.storage.interface import StoredFile
from common.storage.s3 import S3Storage
from common.storage.s3_client import Settings
from common.storage.scratch import Scratch

PROMISE = 0.8  # of the plain loop's throughput
SCENE = "take"
MANIFEST = f"{SCENE}/_manifests/x.json"
ENGINES = Path(__file__).parent.parent.parent / "shared" / "engines"


@dataclass(frozen=True)
class Load:
    """Files of one size."""

    name: str
    count: int
    bytes: int


FULL = (
    Load("200 files of 5 MiB", 200, 5 << 20),
    Load("2,000 files of 2 kB", 2000, 2000),
    Load("500 MB", 1, 500 * 10**6),
)
QUICK = (Load("20 files of 5 MiB", 20, 5 << 20), Load("200 files of 2 kB", 200, 2000), Load("100 MB", 1, 100 * 10**6))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmark; 1 if a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data")
    parser.add_argument("--repetitions", type=int, default=5, help="of each transfer, each way")
    parser.add_argument("--folder", type=Path, default=None, help="for the data; at least 4 GB, or 1 with --quick")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder, server(Path(folder) / "server"):
        bucket = f"ghost-benchmark-{secrets.token_hex(4)}"
        client = boto_client()
        client.create_bucket(Bucket=bucket)
        try:
            figures = [information("server", client.meta.endpoint_url.split("@")[-1])]
            for load in QUICK if chosen.quick else FULL:
                figures += transfers(client, bucket, load, Path(folder), repetitions=chosen.repetitions)
            figures.append(detection(client, bucket, Path(folder), count=30 if chosen.quick else 100))
        finally:
            empty(client, bucket)
    return report(figures)


@contextlib.contextmanager
def server(folder: Path) -> Iterator[None]:
    """The server of the environment; SeaweedFS for as long as this lasts if there is none."""
    if "AWS_ENDPOINT_URL" in os.environ:
        yield
        return
    engines = Path(os.environ.get("GHOST_ENGINES", ENGINES))
    if not (engines / "s3_start.sh").exists():
        sys.exit(
            f"No server: set AWS_ENDPOINT_URL and credentials, or GHOST_ENGINES; there is no {engines}/s3_start.sh."
        )
    started = subprocess.run([engines / "s3_start.sh", folder], check=True, stdout=subprocess.PIPE, text=True)
    settings = (word.partition("=") for word in started.stdout.split())
    os.environ.update({name: value for name, is_setting, value in settings if is_setting})
    try:
        yield
    finally:
        subprocess.run([engines / "s3_stop.sh", folder, "--purge"], check=True)


def boto_client() -> Any:  # noqa: ANN401 - made by boto3 at run time
    """As a user would write it."""
    import boto3
    from botocore.config import Config

    return boto3.client("s3", config=Config(max_pool_connections=Settings.threads + 4))


def transfers(client: Any, bucket: str, load: Load, folder: Path, *, repetitions: int) -> list[Figure]:  # noqa: ANN401
    """Uploads and downloads of one load, our way and the plain way by turns."""
    files = make_files(folder / "source", load)
    took: dict[str, list[float]] = {"upload": [], "download": [], "plain upload": [], "plain download": []}
    for number in range(repetitions):
        ours, plain = (folder / f"{way}-{number}" for way in ("ours", "plain"))
        storage = S3Storage(f"s3://{bucket}/ours", scratch=Scratch(ours))

        ways: Mapping[str, Callable[[], object]] = {
            "upload": partial(our_upload, storage, folder / "source", files),
            "plain upload": partial(plain_upload, client, bucket, folder / "source", files),
            "download": partial(storage.localize, f"{SCENE}/data/", files),
            "plain download": partial(plain_download, client, bucket, plain, files),
        }
        for pair in (("upload", "plain upload"), ("download", "plain download")):
            for way in pair if number % 2 else reversed(pair):
                os.sync()  # what the other way has left to write must not be charged to this one
                started = time.perf_counter()
                ways[way]()
                took[way].append(time.perf_counter() - started)
        for used in (ours, plain):
            shutil.rmtree(used)
    shutil.rmtree(folder / "source")
    return [compare(load, what, took[what], took[f"plain {what}"]) for what in ("upload", "download")]


def compare(load: Load, what: str, ours: Sequence[float], plain: Sequence[float]) -> Figure:
    """Our throughput over that of the plain loop."""
    ratio = statistics.median(plain) / statistics.median(ours)
    unit, amount = ("MB", load.count * load.bytes / 1e6) if load.bytes > 10**6 else ("files", load.count)
    rates = [f"{amount / statistics.median(times):.0f}" for times in (ours, plain)]
    measured = f"{ratio:.2f} x ({rates[0]} against {rates[1]} {unit}/s)"
    return Figure(f"{what} of {load.name}", f">= {PROMISE} x boto3", measured, ratio >= PROMISE)


def make_files(folder: Path, load: Load) -> tuple[StoredFile, ...]:
    """Files that do not compress, each of its own content."""
    (folder / "data").mkdir(parents=True)
    for number in range(load.count):
        (folder / "data" / f"{number:05d}").write_bytes(os.urandom(load.bytes))
    paths = sorted((folder / "data").iterdir())
    return tuple(StoredFile(f"data/{path.name}", path.stat().st_size, fingerprint.of_file(path)) for path in paths)


def our_upload(storage: S3Storage, folder: Path, files: Sequence[StoredFile]) -> None:
    """All of a commit: checked, and with its manifest."""
    storage.commit(folder, SCENE, files, obsolete=[], manifest=MANIFEST, content=b"{}")


def plain_upload(client: Any, bucket: str, folder: Path, files: Sequence[StoredFile]) -> None:  # noqa: ANN401
    """What anybody would write first; boto3 sends the parts of a large file by threads of its own."""
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(max_concurrency=Settings.threads)

    def send(file: StoredFile) -> None:
        client.upload_file(str(folder / file.key), bucket, f"plain/{file.key}", Config=config)

    with ThreadPoolExecutor(Settings.threads) as pool:
        list(pool.map(send, files))


def plain_download(client: Any, bucket: str, folder: Path, files: Sequence[StoredFile]) -> None:  # noqa: ANN401
    """The same the other way."""
    from boto3.s3.transfer import TransferConfig

    config = TransferConfig(max_concurrency=Settings.threads)
    (folder / "data").mkdir(parents=True)

    def get(file: StoredFile) -> None:
        client.download_file(bucket, f"plain/{file.key}", str(folder / file.key), Config=config)

    with ThreadPoolExecutor(Settings.threads) as pool:
        list(pool.map(get, files))


def detection(client: Any, bucket: str, folder: Path, *, count: int) -> Figure:  # noqa: ANN401
    """Objects that were flipped in one byte, cut, replaced by an older content or removed behind ghost's back."""
    storage = S3Storage(f"s3://{bucket}/damaged", scratch=Scratch(folder / "damaged"))
    kinds, found = ("flipped", "truncated", "stale", "gone"), 0
    for number in range(count):
        body, kind = os.urandom(1000 + number), kinds[number % len(kinds)]
        place = number * 7 % len(body)
        flipped = body[:place] + bytes([body[place] ^ 1 << number % 8]) + body[place + 1 :]
        wrong = {"flipped": flipped, "truncated": body[: -1 - number % 10], "stale": os.urandom(len(body))}
        key = f"{number}/file"
        if kind != "gone":
            client.put_object(Bucket=bucket, Key=f"damaged/{SCENE}/{key}", Body=wrong[kind])
        try:
            storage.localize(f"{SCENE}/{key}", [StoredFile(key, len(body), hashlib.sha256(body).hexdigest())])
        except (BadInput, InputMissing) as error:
            found += key in str(error)
    return Figure(f"{', '.join(kinds)}: detected and named", f"{count} of {count}", f"{found}", found == count)


def empty(client: Any, bucket: str) -> None:  # noqa: ANN401
    """Removes a bucket with all that is in it."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        keys = [{"Key": item["Key"]} for item in page.get("Contents", ())]
        if keys:
            client.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    client.delete_bucket(Bucket=bucket)


if __name__ == "__main__":
    sys.exit(main())
