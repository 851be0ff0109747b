from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigurationError, DiskError, GhostError, TemporaryFailure, Terminated, UsageError
from common.storage.s3_client import Client, Settings
from common.storage.s3_errors import ConditionFailed, ObjectMissing, RangeRefused, UploadMissing, converted, scrub


def error_for(code: str, status: int, message: str = "") -> GhostError:
    from botocore.exceptions import ClientError

    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(GhostError) as caught, converted("s3://bucket/key", secrets=("hunter2",)):
        raise ClientError(answer, "GetObject")
    assert "s3://bucket/key" in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "expected", "says"),
    [
        ("NoSuchKey", 404, ObjectMissing, "not there"),
        ("404", 404, ObjectMissing, "not there"),
        ("NoSuchBucket", 404, ConfigurationError, "Create it"),
        ("AccessDenied", 403, ConfigurationError, "s3:ListBucket"),
        ("403", 403, ConfigurationError, "s3:ListBucket"),
        ("InvalidAccessKeyId", 403, ConfigurationError, "AWS_ACCESS_KEY_ID"),
        ("SignatureDoesNotMatch", 403, ConfigurationError, "AWS_SECRET_ACCESS_KEY"),
        ("ExpiredToken", 400, ConfigurationError, "Get new ones"),
        ("RequestTimeTooSkewed", 403, ConfigurationError, "Set the clock"),
        ("PermanentRedirect", 301, ConfigurationError, "AWS_DEFAULT_REGION"),
        ("NotImplemented", 501, ConfigurationError, "AWS_ENDPOINT_URL"),
        ("SomethingNew", 418, ConfigurationError, "418 SomethingNew"),
        ("PreconditionFailed", 412, ConditionFailed, "somebody else"),
        ("InvalidRange", 416, RangeRefused, "shorter"),
        ("NoSuchUpload", 404, UploadMissing, "aborted"),
        ("QuotaExceeded", 403, DiskError, "quota"),
        ("507", 507, DiskError, "quota"),
        ("ConditionalRequestConflict", 409, TemporaryFailure, "Try again"),
        ("RequestTimeout", 400, TemporaryFailure, "Try again"),
        ("SlowDown", 503, TemporaryFailure, "Try again"),
        ("InternalError", 500, TemporaryFailure, "Try again"),
        ("", 502, TemporaryFailure, "Try again"),
        ("TooManyRequests", 429, TemporaryFailure, "Try again"),
        ("BadDigest", 400, TemporaryFailure, "Try again"),
    ],
)
def test_an_answer_of_the_server_is_an_error_with_an_advice(
    code: str, status: int, expected: type[GhostError], says: str
) -> None:
    error = error_for(code, status)
    assert isinstance(error, expected)
    assert says in str(error)


def test_what_botocore_raises_by_itself_is_explained() -> None:
    from botocore import exceptions as boto

    cases: list[tuple[Exception, type[GhostError]]] = [
        (boto.NoCredentialsError(), ConfigurationError),
        (boto.PartialCredentialsError(provider="env", cred_var="secret"), ConfigurationError),
        (boto.NoRegionError(), ConfigurationError),
        (boto.ProfileNotFound(profile="lab"), ConfigurationError),
        (boto.CredentialRetrievalError(provider="container-role", error_msg="timed out"), TemporaryFailure),
        (boto.SSLError(endpoint_url="https://x", error="end of file"), TemporaryFailure),
        (boto.ParamValidationError(report="key"), UsageError),
        (boto.EndpointConnectionError(endpoint_url="https://x"), TemporaryFailure),
        (boto.ConnectTimeoutError(endpoint_url="https://x"), TemporaryFailure),
        (boto.ReadTimeoutError(endpoint_url="https://x"), TemporaryFailure),
        (boto.ConnectionClosedError(endpoint_url="https://x"), TemporaryFailure),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), TemporaryFailure),
        (boto.FlexibleChecksumError(error_msg="x"), TemporaryFailure),
        (boto.UnknownServiceError(service_name="x", known_service_names=""), TemporaryFailure),
        (ConnectionResetError(), TemporaryFailure),
        (TimeoutError(), TemporaryFailure),
    ]
    for raised, expected in cases:
        with pytest.raises(expected, match="s3://bucket/key"), converted("s3://bucket/key"):
            raise raised


def test_errors_of_the_disk_are_left_to_those_who_write() -> None:
    with pytest.raises(OSError, match="full"), converted("s3://bucket/key"):
        raise OSError(28, "full")


def test_what_a_server_says_is_told_without_credentials_on_one_line() -> None:
    said = str(error_for("Odd", 418, "no\nhunter2 at http://user:hunter3@host/x"))
    assert "hunter" not in said
    assert "\n" not in said
    assert scrub("a https://key:secret@host b@c", ()) == "a https://***@host b@c"
    assert scrub("at https://key:se/cr@t@host/x.", ()) == "at https://***@host/x."


def test_a_stop_is_no_broken_connection() -> None:
    from botocore.exceptions import HTTPClientError

    def request() -> None:
        try:
            raise Terminated("stopped by SIGTERM")
        except Exception as error:  # noqa: BLE001
            raise HTTPClientError(error=error)  # noqa: B904 - as botocore does

    with pytest.raises(Terminated, match="stopped by SIGTERM"), converted("s3://bucket/key"):
        request()


def test_what_fails_while_a_stop_is_being_handled_is_told_as_what_it_is() -> None:
    try:
        raise Terminated("stopped by SIGTERM")
    except Terminated:
        with pytest.raises(TemporaryFailure), converted("s3://bucket/key"):
            raise ConnectionResetError  # noqa: B904


@contextlib.contextmanager
def answering(certificate: Path | None, *, says: bytes = b"") -> Iterator[str]:
    """The address of a server that shows a certificate, or says something without TLS, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            if certificate is not None:
                context.load_cert_chain(certificate)
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), connection:
                    connection.recv(1, socket.MSG_PEEK)
                    if certificate is not None:
                        context.wrap_socket(connection, server_side=True).close()
                    else:
                        connection.recv(4096)
                        connection.sendall(says)

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def self_signed(path: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    encoding = serialization.Encoding.PEM
    path.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(encoding)
        + key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("unknown certificate", ConfigurationError),
        ("no TLS", ConfigurationError),
        ("hangs up", TemporaryFailure),
    ],
)
def test_tls_that_fails_is_lasting_unless_the_connection_ended(
    kind: str, expected: type[GhostError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path / "server.pem") if kind == "unknown certificate" else None
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "x")
    with answering(certificate, says=b"HTTP/1.1 400 Bad Request\r\n\r\n" if kind == "no TLS" else b"") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(expected, match="s3://bucket/key"):
            Client("bucket", Settings(connect_timeout_s=5, read_timeout_s=5)).once("head_object", "key")
