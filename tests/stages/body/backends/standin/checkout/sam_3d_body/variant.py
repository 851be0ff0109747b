"""What this copy does wrong, from variant.json beside the package; and a diary of what it was given."""

import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
VARIANT = json.loads((ROOT / "variant.json").read_text())


def note(**entry):
    with (ROOT / "calls.jsonl").open("a") as diary:
        diary.write(json.dumps(entry) + "\n")
