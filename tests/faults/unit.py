"""One unit of the slow stage in a folder, as its tests look at it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from common.manifest import Manifest, read_manifest
from common.storage.local import LocalStorage

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class SlowUnit:
    """`slow take/cam01` in an output root."""

    root: Path

    def command(self, **options: object) -> list[str]:
        values = [f"--{name}={value}" if value != "" else f"--{name}" for name, value in options.items()]
        module = [sys.executable, "-m", "tests.faults.slow_stage"]
        return [*module, f"--output-root={self.root}", "--scene=take", "--video=cam01", *values]

    def start(self, *, environment: dict[str, str] | None = None, **options: object) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        variables = {**os.environ, **(environment or {})}
        command = self.command(**options)
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT, env=variables)

    def run(self, *, environment: dict[str, str] | None = None, **options: object) -> tuple[int, str]:
        """Exit code and what it said on stderr."""
        with self.start(environment=environment, **options) as process:
            _, errors = process.communicate(timeout=60)
            return process.returncode, errors

    @property
    def scene(self) -> Path:
        return self.root / "take"

    def manifest(self) -> Manifest | None:
        return read_manifest(LocalStorage(self.root), "take", "slow", "cam01")

    def files(self) -> dict[str, str]:
        """Digest of every result on the disk, whether a manifest knows it or not."""
        paths = [path for path in (self.scene / "cam01").rglob("*") if path.is_file()]
        return {
            path.relative_to(self.scene).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths
        }

    def promised(self) -> dict[str, str] | None:
        """What the manifest says is there; None without one."""
        manifest = self.manifest()
        return None if manifest is None else {file.key: file.sha256 for file in manifest.files}

    def leftovers(self) -> list[str]:
        """All that neither a result nor a record is."""
        known = {"slow/cam01.json", "slow/cam01.lock", "slow/cam01.files", ".attempts.lock"}
        records = self.scene / "_manifests"
        paths = [p.relative_to(records).as_posix() for p in records.rglob("*") if p.is_file() or not any(p.iterdir())]
        return sorted(set(paths) - known - {"attempts", "slow/failed"})
