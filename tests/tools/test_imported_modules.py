"""Which modules code leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from common import fingerprint
from tools.imported_modules import code_of, imported
from workflows.pipeline import STAGES

ROOT = Path(__file__).parents[2]


def test_imports_inside_functions_count_and_those_for_type_checkers_do_not(tmp_path: Path):
    path = tmp_path / "a.py"
    path.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import heavy\n"
        "def run():\n    import numpy.fft\n    from cv2 import resize, blur as soft\n"
    )
    found = imported(path) - {"typing", "typing.TYPE_CHECKING"}
    assert found == {"numpy.fft", "cv2", "cv2.resize", "cv2.blur"}


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_the_code_of_a_stage_is_that_of_its_key_except_what_only_type_checkers_see(stage: str):
    ours = set(code_of(ROOT, f"stages.{stage}"))
    keyed = {path for path in fingerprint.code_of(stage) if path.suffix == ".py"}
    assert ours <= keyed | set(ROOT.joinpath("stages").glob("__init__.py"))
    assert all("TYPE_CHECKING" in text for text in _importers_of(keyed - ours, keyed))


def _importers_of(files: set[Path], among: set[Path]) -> list[str]:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files}
    texts = [path.read_text(encoding="utf-8") for path in among]
    return [text for text in texts if any(f"from {name} import" in text for name in names)]


def test_the_command_leads_to_every_stage_and_to_no_renderer():
    found = {path.relative_to(ROOT).as_posix() for path in code_of(ROOT, "workflows")}
    assert {f"stages/{stage.name}/stage.py" for stage in STAGES} <= found
    assert "workflows/closing.py" in found
    assert "workflows/argo_yaml.py" not in found
