"""The shape of the repository: which way imports point, what a stage folder holds, what the product never does."""

import ast
import importlib
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.stage import Stage, option_specs

ROOT = Path(__file__).parent.parent
OURS = ("benchmarks", "common", "stages", "workflows")
PRODUCT = sorted(path for folder in ("common", "stages", "workflows") for path in (ROOT / folder).rglob("*.py"))
STAGES = sorted(path.name for path in (ROOT / "stages").iterdir() if path.is_dir() and path.name != "__pycache__")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path, *, module_level: bool = False) -> Iterator[str]:
    """Full names of what a file imports: `from a import b` gives a.b."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if module_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: relative import; write where it lies"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_arrows_between_the_folders_point_one_way() -> None:
    allowed = {"common": {"common"}, "stages": {"common", "stages"}, "workflows": {"common", "stages", "workflows"}}
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in PRODUCT
        for name in imports(path)
        if name.split(".")[0] in {*OURS, "tests"} - allowed[path.relative_to(ROOT).parts[0]]
    ]
    assert wrong == []


def test_no_stage_imports_another() -> None:
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in (ROOT / "stages").rglob("*.py")
        for name in imports(path)
        if name.startswith("stages.") and name.split(".")[1] != path.relative_to(ROOT / "stages").parts[0]
    ]
    assert wrong == []


def test_workflows_see_of_the_stages_their_declarations_alone() -> None:
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in (ROOT / "workflows").rglob("*.py")
        for name in imports(path)
        if name.startswith("stages.") and not re.fullmatch(r"stages\.\w+\.stage\.STAGE", name)
    ]
    assert wrong == []


def test_a_declaration_imports_at_its_top_what_is_cheap() -> None:
    cheap = ("__future__.", "collections.", "dataclasses.", "typing.")
    cheap += ("common.artifacts.", "common.device_names.", "common.stage.")
    wrong = [
        f"stages/{stage}/stage.py imports {name}"
        for stage in STAGES
        for name in imports(ROOT / "stages" / stage / "stage.py", module_level=True)
        if not name.startswith(cheap)
    ]
    assert wrong == []


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_folder_has_the_same_inner_shape(stage: str) -> None:
    folder = ROOT / "stages" / stage
    missing = [
        name for name in ("__init__.py", "__main__.py", "stage.py", "README.md") if not (folder / name).is_file()
    ]
    assert missing == []
    declared = importlib.import_module(f"stages.{stage}.stage").STAGE
    assert isinstance(declared, Stage)
    assert declared.name == stage
    entrypoint = (folder / "__main__.py").read_text()
    assert entrypoint == (ROOT / "stages" / STAGES[0] / "__main__.py").read_text().replace(
        f".{STAGES[0]}.", f".{stage}."
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_readme_names_what_its_stage_reads_writes_and_takes(stage: str) -> None:
    declared = importlib.import_module(f"stages.{stage}.stage").STAGE
    text = (ROOT / "stages" / stage / "README.md").read_text(encoding="utf-8")
    names = [spec.flag for spec in option_specs(declared.options)]
    names += [artifact.path for artifact in (*declared.reads, *declared.may_read, *declared.writes)]
    assert [name for name in names if name not in text] == []


def forbidden(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Lines that print, run text as code or as a shell command, unpickle, or swallow whatever comes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            bad = {"pickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"} & {
                str(n).split(".")[0] for n in names
            }
            yield from ((node.lineno, name) for name in bad)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("print", "eval", "exec", "os.system", "os.popen", "yaml.load"):
                yield node.lineno, called
            yield from (
                (node.lineno, f"{keyword.arg}=True")
                for keyword in node.keywords
                if keyword.arg in ("shell", "allow_pickle") and getattr(keyword.value, "value", None) is not False
            )
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "bare except"


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("print(1)", 1),
        ("import pickle", 1),
        ("from pickle import loads", 1),
        ("eval('1')", 1),
        ("run('x', shell=True)", 1),
        ("np.load(p, allow_pickle=flag)", 1),
        ("np.load(p, allow_pickle=False)\nmodel.eval()", 0),
        ("try:\n    x\nexcept:\n    pass", 1),
    ],
)
def test_the_search_for_what_is_forbidden_finds_it(code: str, count: int) -> None:
    assert len(list(forbidden(ast.parse(code)))) == count


def test_the_product_prints_unpickles_and_interprets_nothing() -> None:
    found = [
        f"{name_of(path)}:{line}: {what}" for path in PRODUCT for line, what in forbidden(ast.parse(path.read_text()))
    ]
    assert found == []


def test_the_weights_lock_is_all_that_common_holds_besides_code() -> None:
    """Keys of results are made of code; other files of `common` would change results unnoticed."""
    files = {path for path in (ROOT / "common").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {name_of(path) for path in files if path.suffix != ".py"} == {"common/weights/lock.json"}


def test_every_folder_with_code_is_a_package_that_says_what_it_holds() -> None:
    folders = {path.parent for path in PRODUCT}
    silent = [
        name_of(folder) for folder in folders if not ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    ]
    assert silent == []


def test_no_dependency_brings_packages_of_our_names() -> None:
    """`import common` must mean ours, whatever is installed."""
    installed = importlib.metadata.packages_distributions()
    ours = {"ghost-mocap"}
    assert {name: set(installed[name]) - ours for name in (*OURS, "tests") if set(installed.get(name, ())) - ours} == {}
