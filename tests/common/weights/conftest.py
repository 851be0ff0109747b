"""A lock file over archives made on the spot, and a download that hands them out."""

import hashlib
import io
import shutil
import tarfile
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from common.weights.lock import Archive, Lock, LockedFile

CONTENT = {"ball": b"round" * 1000, "cube": b"edges" * 500, "film": b"frames" * 300}


@dataclass
class Shelf:
    """Archives on disk, the lock that describes them, and a count of downloads."""

    lock: Lock
    archives: dict[str, Path]
    downloads: list[str] = field(default_factory=list)

    def download(self, archive: Archive, folder: Path) -> Path:
        self.downloads.append(archive.package)
        return Path(shutil.copy(self.archives[archive.package], folder))

    def relock(self, name: str, **changes) -> None:
        """Changes one entry of the lock."""
        files = tuple(replace(file, **changes) if file.name == name else file for file in self.lock.files)
        self.lock = replace(self.lock, files=files)


def _tarball(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


@pytest.fixture
def shelf(tmp_path):
    source = tmp_path / "registry"
    source.mkdir()
    toys, films = source / "toys-1.0.tgz", source / "films-1.0-py3-none-any.whl"
    _tarball(
        toys,
        {
            "package/ball.bin": CONTENT["ball"],
            "package/../../escape.txt": b"must never be written",
            "package/cube.bin": CONTENT["cube"],
        },
    )
    with zipfile.ZipFile(films, "w") as wheel:
        wheel.writestr("films/film.bin", CONTENT["film"])
    archives = {}
    for registry, path in (("npm", toys), ("pypi", films)):
        package = path.name.partition("-")[0]
        content = path.read_bytes()
        archives[package] = Archive(
            registry, package, "1.0", size=len(content), sha256=hashlib.sha256(content).hexdigest()
        )
    places = {
        "ball": ("toys", "package/ball.bin"),
        "cube": ("toys", "package/cube.bin"),
        "film": ("films", "films/film.bin"),
    }
    files = tuple(
        LockedFile(
            name=name,
            file=f"{archive}/{name}.bin",
            backends=("red",),
            archive=archives[archive],
            members=(member,),
            conversion=None,
            size=len(CONTENT[name]),
            sha256=hashlib.sha256(CONTENT[name]).hexdigest(),
            licence="MIT",
            notice="Somebody",
        )
        for name, (archive, member) in places.items()
    )
    return Shelf(lock=Lock(files=files, npm_client=None), archives={"toys": toys, "films": films})
