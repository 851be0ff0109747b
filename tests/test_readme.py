from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from common import artifacts
from workflows.pipeline import STAGES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_what_the_code_determines_is_up_to_date_in_the_readme():
    done = subprocess.run([sys.executable, "tools/render_readme.py", "--check"], cwd=ROOT)
    assert done.returncode == 0, "README.md is out of date: run `make render`"


def test_the_readme_names_every_file_that_a_run_leaves():
    missing = [artifact.path for artifact in artifacts.ALL if artifact.path.rstrip("/") not in README]
    assert missing == []


def test_the_readme_links_to_every_stage_and_every_link_leads_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []
    assert {f"stages/{stage.name}/README.md" for stage in STAGES} - set(links) == set()


def test_no_placeholder_is_left_in_the_readme():
    assert re.findall(r"@[A-Z_]+@", README) == []


def test_every_make_verb_in_the_readme_exists():
    verbs = set(re.findall(r"\bmake ([a-z-]+)", README))
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert verbs - known == set()
