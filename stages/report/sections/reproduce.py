"""How to do it again: commands, versions, models, files, and a paragraph for the methods section of a paper."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from common import fingerprint
from common.artifacts import ALL, REPORT, Unit
from common.manifest import Manifest, RunRecord
from stages.report.gather import Evidence
from stages.report.history import WITHOUT_RECORDINGS
from stages.report.methods import methods, references

TEMPLATE = "reproduce.html"
ANCHOR, TITLE = "reproduce", "How to reproduce"

_LINE = 88
_SHORT = 12  # hexadecimal digits of a digest: enough to compare by eye


def context(evidence: Evidence) -> dict[str, Any]:
    """Commands, versions, where models ran, weights, code, files, methods."""
    manifests = evidence.history.current
    weights = {name: digest for m in manifests for name, digest in m.weights.items()}
    return {
        "command": run_command(evidence.scene, manifests),
        "singles": [stage_command(evidence.scene, m) for m in first_of_each_stage(manifests)],
        "differing": sorted(differing_options(manifests)),
        "packages": sorted({(name, v) for m in manifests for name, v in m.packages.items() if v}),
        "version": fingerprint.version("ghost-mocap"),
        "code": [(m.stage, m.code[:_SHORT]) for m in first_of_each_stage(manifests)],
        "ran_on": sorted({(m.stage, where) for m in manifests if (where := _ran_on(m.record))}),
        "weights": [(name, digest[:_SHORT]) for name, digest in sorted(weights.items())],
        "methods": methods(evidence),
        "references": references(evidence),
        "files": _files(manifests),
    }


def run_command(scene: str, manifests: tuple[Manifest, ...]) -> str:
    """The `ghost run` that gives these results again; every option is spelled out, so defaults may change."""
    parts = [f"ghost run DATA_ROOT OUTPUT_DIR --scene {scene}"]
    backends = {m.stage: str(m.options["backend"]) for m in manifests if "backend" in m.options}
    if len(set(backends.values())) == 1:
        parts.append(f"--backend {next(iter(backends.values()))}")
    else:
        parts += [f"--backend {stage}={name}" for stage, name in backends.items()]
    parts += [_flag(name, value) for name, value in common_options(manifests).items() if name != "backend"]
    if any(m.stage == "preview" for m in manifests):
        parts.append("--vis")
    return _wrapped(parts)


def stage_command(scene: str, manifest: Manifest) -> str:
    """The command of one unit alone."""
    parts = [f"python -m stages.{manifest.stage} --output-root OUTPUT_DIR --scene {scene}"]
    if manifest.video is not None:
        parts.append(f"--video {manifest.video}")
    if manifest.stage not in WITHOUT_RECORDINGS:
        parts.append("--data-root DATA_ROOT")
    return _wrapped([*parts, *(_flag(name, value) for name, value in manifest.options.items())])


def first_of_each_stage(manifests: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
    """One manifest per stage, in order."""
    found: dict[str, Manifest] = {}
    for manifest in manifests:
        found.setdefault(manifest.stage, manifest)
    return tuple(found.values())


def common_options(manifests: tuple[Manifest, ...]) -> Mapping[str, Any]:
    """Options that all units which have them agree about, in the order of stages."""
    differing = differing_options(manifests)
    return {name: v for m in manifests for name, v in m.options.items() if name not in differing}


def differing_options(manifests: tuple[Manifest, ...]) -> set[str]:
    """Options with which units were run differently; one `ghost run` cannot do that. Backends are given per stage."""
    values: dict[str, set[str]] = {}
    for manifest in manifests:
        for name, value in manifest.options.items():
            key = f"{manifest.stage}.{name}" if name == "backend" else name
            values.setdefault(key, set()).add(repr(value))
    return {name for name, seen in values.items() if len(seen) > 1}


def _wrapped(parts: list[str]) -> str:
    """A shell command in lines of at most _LINE characters."""
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) > _LINE:
            lines.append(f"    {part}")
        else:
            lines[-1] += f" {part}"
    return " \\\n".join(lines)


def _flag(name: str, value: object) -> str:
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{flag}" if value else f"--no-{flag}"
    return f"--{flag} {shlex.quote(str(value))}"


def _ran_on(record: RunRecord) -> str:
    """Where the models ran and in what they computed: "NVIDIA H100 (cuda), bfloat16"; "" if nothing says so."""
    device = f"{record.gpu} ({record.device or 'cuda'})" if record.gpu else record.device
    return ", ".join(part for part in (device, record.precision) if part)


def _files(manifests: tuple[Manifest, ...]) -> list[dict[str, Any]]:
    """Every kind of file that this scene has, and what it means."""
    keys = [file.key for m in manifests for file in m.files]
    rows = []
    for artifact in ALL:
        inside = artifact.path if artifact.unit is Unit.SCENE else f"<video>/{artifact.path}"
        matching = [key for key in keys if _belongs(key, artifact.path, artifact.unit)]
        if matching or artifact is REPORT:
            rows.append({"path": inside, "summary": artifact.summary, "count": len(matching) or 1})
    return rows


def _belongs(key: str, path: str, unit: Unit) -> bool:
    inside = key if unit is Unit.SCENE else key.partition("/")[2]
    return inside.startswith(path) if path.endswith("/") else inside == path
