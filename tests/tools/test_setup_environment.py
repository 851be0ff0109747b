"""A virtual environment that came out half-made is made anew; a Python that cannot make one is explained in a line."""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tools import setup_environment
from tools.setup_environment import add_torch, has_pip, main, make_environment, pip_settings, remove_torch_for_cpus


@pytest.fixture
def half_made(tmp_path: Path) -> Path:
    """As Debian without python3-venv leaves it: an interpreter, no pip."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    (environment / "left-over").touch()
    return environment


def test_a_half_made_environment_is_made_anew_and_a_whole_one_is_kept(half_made: Path):
    assert not has_pip(half_made)
    make_environment(half_made)
    assert has_pip(half_made)
    assert not (half_made / "left-over").exists()
    (half_made / "mine").touch()
    make_environment(half_made)
    assert (half_made / "mine").exists()


def test_an_environment_whose_python_is_gone_has_no_pip(tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/nowhere/python")
    assert not has_pip(tmp_path)


def test_a_folder_that_is_no_environment_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cleared: list[bool] = []
    monkeypatch.setattr(venv, "create", lambda _folder, *, clear, **_: cleared.append(clear))
    make_environment(tmp_path)
    assert cleared == [False]


@pytest.mark.parametrize(
    "error", [subprocess.CalledProcessError(1, ["python", "-m", "ensurepip"]), PermissionError(13, "Permission denied")]
)
def test_a_python_that_cannot_make_environments_ends_with_one_line_that_says_what_to_install(
    half_made: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(venv, "create", refuse)
    with pytest.raises(SystemExit) as ended:
        make_environment(half_made)
    message = str(ended.value.code)
    assert "apt install python3-venv" in message
    assert "make PYTHON=" in message
    assert "\n" not in message


def test_pip_keeps_the_users_index_and_ignores_where_else_to_install():
    given = {"PIP_INDEX_URL": "https://mirror/simple", "PATH": "/bin", "PIP_USER": "1", "PIP_TARGET": "/x"}
    assert pip_settings({**given, "PIP_PREFIX": "/y"}) == {"PIP_INDEX_URL": "https://mirror/simple", "PATH": "/bin"}


@dataclass
class PipAndTorch:
    """Stands in for pip, and for importing torch: what is installed, and what was asked for.

    Attributes:
        knows_cpu_wheel: whether an index of this machine has torch for CPUs.
        installed: version of torch.
        has_cuda: whether CUDA's libraries are there.
        asked: locks installed and packages uninstalled, in order.
    """

    knows_cpu_wheel: bool = False
    installed: str | None = None
    has_cuda: bool = False
    asked: list[str] = field(default_factory=list)

    def pip(self, _: Path, verb: str, *arguments: str, quiet: bool = False) -> int:
        what = Path(arguments[-1]).stem
        self.asked.append(f"{verb} {what}")
        if verb == "uninstall":
            self.installed = None
        elif what == "torch-cpu":
            assert quiet, "that there is none is no error"
            if not self.knows_cpu_wheel:
                return 1
            self.installed = "2.13.0+cpu"
        elif what == "gpu":
            self.has_cuda, self.installed = True, self.installed or "2.13.0"
        return 0

    def why_it_fails(self, _: Path) -> str | None:
        if self.installed is None:
            return "ModuleNotFoundError: No module named 'torch'"
        works = self.has_cuda or self.installed.endswith("+cpu")
        return None if works else "OSError: libcudart.so.13: cannot open shared object file"


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> PipAndTorch:
    stand_in = PipAndTorch()
    monkeypatch.setattr(setup_environment, "_pip", stand_in.pip)
    monkeypatch.setattr(setup_environment, "why_torch_fails", stand_in.why_it_fails)
    monkeypatch.setattr(setup_environment, "torch_version", lambda _: stand_in.installed)
    return stand_in


def test_torch_for_cpus_is_taken_where_pip_knows_of_it(
    stand_in: PipAndTorch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    stand_in.knows_cpu_wheel = True
    add_torch(tmp_path)
    assert stand_in.asked == ["install torch-cpu"]
    assert stand_in.installed == "2.13.0+cpu"
    assert "3 GB" not in capsys.readouterr().err


def test_elsewhere_that_for_cuda_comes_with_its_libraries_and_a_line_says_how_to_get_the_small_one(
    stand_in: PipAndTorch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    add_torch(tmp_path)
    assert stand_in.asked == ["install torch-cpu", "install gpu"]
    assert stand_in.why_it_fails(tmp_path) is None
    said = capsys.readouterr().err
    assert "3 GB" in said
    assert "PyTorch's index of CPU wheels" in said


@pytest.mark.parametrize(("version", "has_cuda"), [("2.13.0+cpu", False), ("2.13.0", True)])
def test_a_torch_of_the_locked_version_that_works_is_left_alone_whichever_build_it_is(
    stand_in: PipAndTorch, tmp_path: Path, version: str, has_cuda: bool
):
    stand_in.installed, stand_in.has_cuda = version, has_cuda
    add_torch(tmp_path)
    assert stand_in.asked == []


@pytest.mark.parametrize(("version", "has_cuda"), [("2.12.1+cpu", False), ("2.13.0", False), ("2.13.01", True)])
def test_a_torch_of_another_version_or_without_its_libraries_is_replaced(
    stand_in: PipAndTorch, tmp_path: Path, version: str, has_cuda: bool
):
    stand_in.installed, stand_in.has_cuda, stand_in.knows_cpu_wheel = version, has_cuda, True
    add_torch(tmp_path)
    assert stand_in.asked == ["install torch-cpu"]


def test_a_torch_that_cannot_be_imported_for_all_that_ends_with_the_reason(
    stand_in: PipAndTorch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(setup_environment, "why_torch_fails", lambda _: "ImportError: GLIBC_2.28 not found")
    with pytest.raises(SystemExit, match=r"torch 2\.13\.0 .*GLIBC_2\.28"):
        add_torch(tmp_path)
    assert stand_in.asked == ["install torch-cpu", "install gpu"]


@pytest.mark.parametrize(
    ("version", "asked"), [("2.13.0+cpu", ["uninstall torch"]), ("2.13.0", []), ("2.13.0+cu130", []), (None, [])]
)
def test_for_gpus_the_build_for_cpus_has_to_go_first(
    stand_in: PipAndTorch, tmp_path: Path, version: str | None, asked: list[str]
):
    stand_in.installed = version
    remove_torch_for_cpus(tmp_path)
    assert stand_in.asked == asked


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("run", ["install run"]),
        ("gpu", ["uninstall torch", "install gpu"]),
        ("dev", ["install dev"]),
    ],
)
def test_each_kind_of_environment_has_its_lock(
    stand_in: PipAndTorch, half_made: Path, kind: str, asked: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(setup_environment, "make_environment", lambda _: None)
    stand_in.installed = "2.13.0+cpu"
    main(str(half_made), kind)
    assert stand_in.asked == asked
    assert (half_made / "bin" / "ghost").stat().st_mode & 0o111
    assert list(half_made.glob("lib/python3.*/site-packages/ghost.pth"))


def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path):
    with pytest.raises(SystemExit, match="run, gpu, dev"):
        main(str(tmp_path / "environment"), "all")
    assert list(tmp_path.iterdir()) == []


def test_the_version_of_torch_is_read_from_what_is_installed_and_importing_it_is_tried(half_made: Path):
    packages = next(half_made.glob("lib/python3.*")) / "site-packages"
    assert setup_environment.torch_version(half_made) is None
    assert "No module named 'torch'" in str(setup_environment.why_torch_fails(half_made))
    (packages / "torchmetrics-1.0.dist-info").mkdir()
    (packages / "torch-2.13.0+cpu.dist-info").mkdir()
    (packages / "torch.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')")
    assert setup_environment.torch_version(half_made) == "2.13.0+cpu"
    assert setup_environment.why_torch_fails(half_made) == "OSError: libcudart.so.13: cannot open shared object file"
    (packages / "torch.py").write_text("")
    assert setup_environment.why_torch_fails(half_made) is None


@pytest.mark.parametrize("name", ["main", "a b", "it's", '"a"', "$HOME", "ä" * 70])
def test_the_command_starts_wherever_the_checkout_lies_with_the_arguments_as_they_are(tmp_path: Path, name: str):
    root = tmp_path / name
    (root / "workflows").mkdir(parents=True)
    (root / "workflows" / "__init__.py").touch()
    (root / "workflows" / "cli.py").write_text("import sys\n\ndef main():\n    print(*sys.argv[1:], sep='|')\n")
    (root / "python").symlink_to(sys.executable)
    setup_environment.write_command(root / "ghost", python=root / "python", root=root)
    done = subprocess.run([str(root / "ghost"), "run", "my data", "$HOME"], capture_output=True, text=True, cwd="/")
    assert (done.stdout, done.stderr) == ("run|my data|$HOME\n", "")
