"""The Hugging Face Hub, through its own client: what it states of a model's files, and the files.

The client knows addresses, proxies and mirrors ($HF_ENDPOINT), tries again by itself, and continues a download whose
connection was cut. The token comes from $HF_TOKEN alone, and goes nowhere but into the request's header.
"""

from __future__ import annotations

import contextlib
import os
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ConfigurationError, GhostError, ModelUnavailable, TemporaryFailure, from_os_error
from common.storage.transfer_log import TransferLog
from common.weights.hub_lock import HubModel

TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name
ENDPOINT = "HF_ENDPOINT"
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # the client honours both
_YES = ("1", "ON", "TRUE", "YES")
_REFUSED = (401, 403)
_PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Stated:
    """What the Hub states of a file.

    Attributes:
        size: bytes.
        sha256: of a file in its large-file storage; None of others.
        blob: git's identity of a file that is in git itself: sha1 of "blob <size>", a zero byte, and the content.
    """

    size: int
    sha256: str | None
    blob: str | None

    def is_of(self, sha256: str, blob: str) -> bool:
        """Whether a file with these digests is the one."""
        return sha256 == self.sha256 if self.sha256 is not None else blob == self.blob


def forbidden_by() -> str:
    """The variables of the environment that forbid to ask the Hub, in words; "" if none does."""
    return " and ".join(name for name in OFFLINE if os.environ.get(name, "").upper() in _YES)


def describe(model: HubModel, revision: str | None) -> tuple[str, dict[str, Stated]]:
    """The commit that a revision is, and what the Hub states of that commit's files.

    Args:
        model: asks for its repository.
        revision: a commit; None for the newest.

    Raises:
        ModelUnavailable: no client, no such repository or revision, or no access.
        TemporaryFailure: the network, or a Hub that is out of order.
        ConfigurationError: what $HF_ENDPOINT names is no Hub.
    """
    with _explained(model):
        from huggingface_hub import HfApi

        api = HfApi(endpoint=_endpoint(), token=_token())
        info = api.model_info(model.repository, revision=revision, files_metadata=True)
        files = {
            file.rfilename: Stated(
                size=int(file.size or 0),
                sha256=file.lfs.sha256 if file.lfs else None,
                blob=None if file.lfs else file.blob_id,
            )
            for file in info.siblings or ()
        }
        return str(info.sha), files


def download(model: HubModel, revision: str, path: str, folder: Path, *, progress: TransferLog) -> Path:
    """A file of a commit, as the client stored it below `folder`. What came is not verified here.

    Raises:
        As `describe`; DiskError.
    """
    with _explained(model):
        from huggingface_hub import hf_hub_download

        found = hf_hub_download(
            model.repository,
            path,
            revision=revision,
            local_dir=folder,
            endpoint=_endpoint(),
            token=_token(),
            tqdm_class=_reporting_to(progress),
        )
        return Path(found)


def _endpoint() -> str | None:
    return os.environ.get(ENDPOINT, "").rstrip("/") or None


def _token() -> str | bool:
    """The token of the environment; False: and none from a file."""
    return os.environ.get(TOKEN, "").strip() or False


def _reporting_to(progress: TransferLog) -> type[Any]:
    """The client's progress bar, which shows nothing here and tells the log how far it is."""
    from huggingface_hub import utils

    class Bar(utils.tqdm):  # type: ignore[name-defined,misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - what a progress bar is given
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            progress.add(int(n or 0))

        def update_transfer(self, n: float) -> None:
            """Bytes on the network, where the client counts these and those on the disk: the latter suffice."""

        def set_transfer_postfix_str(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - see above
            """Their speed."""

    return Bar


@contextlib.contextmanager
def _explained(model: HubModel) -> Iterator[None]:
    """Turns what the client raises into one of our errors, with a way out."""
    try:
        import httpx
        from huggingface_hub import errors
    except ImportError as error:
        raise ModelUnavailable(
            f"{model.repository}: huggingface-hub is not installed, and it is what downloads from the Hub. "
            "Install what requirements/ lists, then run again."
        ) from error
    try:
        yield
    except GhostError:
        raise
    except (httpx.HTTPError, httpx.InvalidURL, errors.XetDownloadError, OSError, RuntimeError, ValueError) as error:
        raise _explain(error, model) from error


def _explain(error: Exception, model: HubModel) -> GhostError:
    import httpx
    from huggingface_hub import errors

    while isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # "neither there nor in the cache": why it is not there is what matters
    reason = textwrap.shorten(str(error).strip().partition("\n")[0], 200, placeholder="…") or type(error).__name__
    if isinstance(error, errors.HfHubHTTPError):
        return _refusal(error.response.status_code, model, reason)
    if isinstance(error, errors.OfflineModeIsEnabled):
        names = forbidden_by() or OFFLINE[0]
        return ModelUnavailable(f"{model}: the Hub is not asked: the environment forbids it. Unset {names}.")
    if isinstance(error, (errors.FileMetadataError, httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError)):
        return ConfigurationError(f"{model}: what answers is no Hub ({reason.rstrip('.')}). Check {ENDPOINT}.")
    is_network = isinstance(error, (ConnectionError, TimeoutError))
    if isinstance(error, OSError) and error.errno is not None and not is_network:
        return from_os_error(error, writing=True)
    return TemporaryFailure(f"{model}: {reason.rstrip('.')}. Check the network, then run again.")


def _refusal(status: int, model: HubModel, reason: str) -> GhostError:
    """What an HTTP status means for somebody who wants this model."""
    has_token = bool(_token())
    if status in _REFUSED and model.is_gated:
        who = f"the account of the token in {TOKEN} has no access yet" if has_token else "access is for accounts only"
        return ModelUnavailable(
            f"{model.repository} is gated, and {who} ({status}): ask for access on the model's page at the Hub "
            f"(licence: {model.licence}), then export {TOKEN}=<a token of that account> and run again."
        )
    if status in _REFUSED:
        advice = f"Renew or unset the token in {TOKEN}" if has_token else f"If it needs an account now, export {TOKEN}"
        return ModelUnavailable(f"{model.repository}: the Hub refuses access ({status}). {advice}, then run again.")
    if status in _PASSING:
        return TemporaryFailure(f"{model}: the Hub is out of order or overloaded ({status}). Run again later.")
    if status == 404:
        return ModelUnavailable(
            f"{model}: not found at the Hub any more ({reason.rstrip('.')}). "
            "Copy its folder from a machine that has it, or use a newer version of ghost."
        )
    return ModelUnavailable(f"{model}: the Hub answered {status} ({reason.rstrip('.')}). Check {ENDPOINT}.")
