"""What S3, and the way to it, can answer, as errors of ghost: what is wrong, where, what to do about it.

The one place that decides whether a failure passes by itself (75, tried again) or wants a hand (78). No message holds
a credential: what a server or a library says is quoted by its code, or scrubbed.
"""

from __future__ import annotations

import contextlib
import re
import ssl
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from common.errors import (
    ConfigurationError,
    DiskError,
    GhostError,
    InputMissing,
    TemporaryFailure,
    Terminated,
    UsageError,
)


class ObjectMissing(InputMissing):
    """There is no such object."""


class ConditionFailed(GhostError):
    """An object is not, or no longer, what the request said it should be."""


class UploadMissing(GhostError):
    """The server does not know a multipart upload: it was aborted, or is complete already."""


class RangeRefused(GhostError):
    """The object is shorter than the part of it that was asked for."""


class NotOffered(ConfigurationError):
    """The server does not implement what was asked for."""


class ConnectionTrouble(TemporaryFailure):
    """No answer, or half of one."""


_CREDENTIALS = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or AWS_PROFILE."
_ENDPOINT = "Check AWS_ENDPOINT_URL: it should look like https://s3.example.org."
_REGION = "Set AWS_DEFAULT_REGION to the bucket's region."
_ADVICE = {
    "NoSuchBucket": "there is no such bucket. Create it, or correct the name.",
    "InvalidBucketName": "the server does not accept the bucket's name. Correct it.",
    "AccessDenied": "access denied. The credentials need s3:ListBucket on the bucket, and s3:GetObject, s3:PutObject "
    "and s3:DeleteObject on its objects.",
    "InvalidAccessKeyId": f"the server does not know the access key. {_CREDENTIALS}",
    "SignatureDoesNotMatch": f"the secret key is wrong. {_CREDENTIALS}",
    "InvalidToken": f"the session token is not valid. {_CREDENTIALS}",
    "ExpiredToken": f"the credentials have expired. Get new ones. {_CREDENTIALS}",
    "RequestTimeTooSkewed": "this machine's clock is wrong: the server refuses its signature. Set the clock.",
    "PermanentRedirect": f"the bucket is elsewhere. {_REGION}",
    "AuthorizationHeaderMalformed": f"the request was signed for another region. {_REGION}",
    "InvalidObjectState": "the object is archived. Restore it first.",
    "MethodNotAllowed": f"the server does not take this request; it may not speak S3. {_ENDPOINT}",
}
_SAME = {  # other spellings, and the bare status of answers without a body (HEAD)
    "403": "AccessDenied",
    "Forbidden": "AccessDenied",
    "AllAccessDisabled": "AccessDenied",
    "AccountProblem": "AccessDenied",
    "AuthFailure": "InvalidAccessKeyId",
    "TokenRefreshRequired": "ExpiredToken",
    "ExpiredTokenException": "ExpiredToken",
    "301": "PermanentRedirect",
    "307": "PermanentRedirect",
    "IllegalLocationConstraintException": "AuthorizationHeaderMalformed",
    "405": "MethodNotAllowed",
    "501": "NotImplemented",
}
_FULL = ("QuotaExceeded", "XMinioStorageFull", "EntityTooLarge", "507")
_PASSING = (  # 4xx that are worth another try
    "RequestTimeout",
    "RequestTimeoutException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "RequestLimitExceeded",
    "ConditionalRequestConflict",
    "OperationAborted",
    "BadDigest",
    "InvalidDigest",
    "IncompleteBody",
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
    "408",
    "409",
    "425",
    "429",
)


_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "UNSUPPORTED_PROTOCOL")  # OpenSSL's names


@contextlib.contextmanager
def converted(place: str, *, secrets: Sequence[str] = ()) -> Iterator[None]:
    """Turns what botocore and urllib3 raise into errors of ghost that name the place.

    A signal that arrives within a request is an exception like any other to botocore, which makes an HTTPClientError
    of it: a stop must not be taken for a connection that broke.

    Args:
        place: what the request is about: s3://bucket/key.
        secrets: what must not appear in a message.
    """
    handled = sys.exc_info()[1]  # by the caller: what was raised before this request does not end it
    try:
        with _converted(place, secrets):
            yield
    except GhostError as error:
        for one in _chain(error, until=handled):
            if isinstance(one, Terminated) and one is not error:
                raise one from None
        raise


def _chain(error: BaseException, *, until: BaseException | None = None) -> Iterator[BaseException]:
    """An exception and those that it came of, up to one that is left out."""
    one: BaseException | None = error
    while one is not None and one is not until:
        yield one
        one = one.__cause__ or one.__context__


@contextlib.contextmanager
def _converted(place: str, secrets: Sequence[str]) -> Iterator[None]:
    import urllib3.exceptions
    from botocore import exceptions as boto

    try:
        yield
    except boto.ClientError as error:
        raise _of_answer(error.response, place, secrets) from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
        raise ConfigurationError(f"{place}: no credentials for S3. {_CREDENTIALS}") from error
    except boto.CredentialRetrievalError as error:  # a service or a program that gives them did not, this time
        raise TemporaryFailure(
            f"{place}: the credentials for S3 could not be fetched: {scrub(str(error), secrets)[:200]} Try again."
        ) from error
    except boto.NoRegionError as error:
        raise ConfigurationError(f"{place}: no region for S3. {_REGION}") from error
    except (boto.ProfileNotFound, boto.ConfigNotFound, boto.ConfigParseError) as error:
        raise ConfigurationError(
            f"{place}: {scrub(str(error), secrets)} Check AWS_PROFILE and AWS_CONFIG_FILE."
        ) from error
    except boto.SSLError as error:
        if not any(map(_is_lasting, _chain(error))):
            raise ConnectionTrouble(f"{place}: the connection broke off while TLS began. Try again.") from error
        raise ConfigurationError(
            f"{place}: the server's certificate is not accepted, or it speaks no TLS. Set AWS_CA_BUNDLE, or check "
            "AWS_ENDPOINT_URL."
        ) from error
    except boto.ParamValidationError as error:
        raise UsageError(f"{place}: {scrub(str(error), secrets)}") from error
    except (
        boto.HTTPClientError,  # reset, time-out
        boto.ConnectionError,  # refused, no such host
        boto.FlexibleChecksumError,
        boto.IncompleteReadError,
        boto.ResponseStreamingError,
        urllib3.exceptions.HTTPError,
        ConnectionError,
        TimeoutError,
    ) as error:
        reason = type(error).__name__
        raise ConnectionTrouble(
            f"{place}: no whole answer ({reason}). Is the server up, and AWS_ENDPOINT_URL right? Try again."
        ) from error
    except boto.BotoCoreError as error:  # answers that cannot be parsed, and the like
        raise TemporaryFailure(
            f"{place}: {type(error).__name__}: {scrub(str(error), secrets)[:200]} Try again."
        ) from error


def _is_lasting(error: BaseException) -> bool:
    """Whether TLS will fail the same way next time; a connection that ends half-way is an SSLError, too."""
    return isinstance(error, ssl.SSLCertVerificationError) or getattr(error, "reason", None) in _NO_TLS


def _of_answer(response: Any, place: str, secrets: Sequence[str]) -> GhostError:  # noqa: ANN401 - botocore's dict
    """The error that a refusal amounts to."""
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = _SAME.get(code, code) or str(status)
    if code in ("NoSuchKey", "404"):
        return ObjectMissing(f"{place} is not there.")
    if code in ("PreconditionFailed", "412"):
        return ConditionFailed(f"{place} has been changed by somebody else.")
    if code in ("InvalidRange", "416"):
        return RangeRefused(f"{place} is shorter than expected.")
    if code == "NoSuchUpload":
        return UploadMissing(f"{place}: its upload was aborted by somebody else. Try again.")
    if code in _FULL:
        return DiskError(f"{place}: no room on the server ({code}). Free some, or raise the quota.")
    if code == "NotImplemented":
        return NotOffered(f"{place}: the server does not implement this request of S3. {_ENDPOINT}")
    if code in _ADVICE:
        return ConfigurationError(f"{place}: {_ADVICE[code]}")
    if status >= 500 or code in _PASSING or (code.isdigit() and int(code) >= 500):
        return TemporaryFailure(f"{place}: the server answers {status} {code}. Try again later.")
    said = scrub(str(response.get("Error", {}).get("Message", "")), secrets)[:200]
    return ConfigurationError(f"{place}: the server refuses: {status} {code} {said}. {_ENDPOINT}")


def scrub(text: str, secrets: Sequence[str]) -> str:
    """The text on one line, without credentials: neither those given nor any in a URL, whatever the password holds."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return re.sub(r"//\S+@", "//***@", " ".join(text.split()))
