"""What is shipped: the wheel holds every module, and every plugin in the table loads from it."""

import configparser
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOTS = [ROOT, ROOT / "mechanisms", ROOT / "conformance"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built in a copy so that nothing is left behind."""
    target = tmp_path_factory.mktemp("wheel")
    tree = target / "tree"
    ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
    for name in ("saslsspi", "mechanisms", "conformance", "share"):
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(tree)]
    subprocess.run(command, check=True, capture_output=True, cwd=target)
    (built,) = target.glob("saslsspi-*.whl")
    return built


def shipped_files() -> set[str]:
    files = set()
    for root in ROOTS:
        for package in root.glob("saslsspi*"):
            if package.is_dir() and (package / "__init__.py").exists():
                found = (p for p in package.rglob("*") if p.suffix in {".py", ".json"} or p.name == "py.typed")
                files |= {str(path.relative_to(root)) for path in found}
    return files


def plugin_table() -> dict[str, list[str]]:
    table = configparser.ConfigParser()
    table.optionxform = str  # type: ignore[assignment,method-assign]  # the names of mechanisms keep their case
    table.read(ROOT / "setup.cfg")
    groups = dict(table["options.entry_points"])
    return {
        group: [line.split("=")[0].strip() for line in lines.strip().splitlines()] for group, lines in groups.items()
    }


def test_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert not shipped_files() - names


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in name}
    (data,) = {top for top in tops if top.endswith(".data")}
    assert tops - {data} == {"saslsspi", "saslsspi_mechanisms", "saslsspi_conformance"}


def test_the_manual_page_and_the_completions_are_where_programs_look_below_the_prefix(wheel: Path) -> None:
    data = [name.partition(".data/data/")[2] for name in zipfile.ZipFile(wheel).namelist() if ".data/" in name]
    assert sorted(data) == sorted(str(path.relative_to(ROOT)) for path in (ROOT / "share").rglob("*") if path.is_file())


def test_every_plugin_loads_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "v", system_site_packages=False, with_pip=False)
    site = next((tmp_path / "v").rglob("site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    # The libraries of this interpreter, without its (editable) copy of this project.
    (site / "libraries.pth").write_text("\n".join(p for p in sys.path if p.endswith("-packages")))
    code = (
        "from saslsspi.sasl.registry import MECHANISMS; from saslsspi.engine.registry import PACKAGES\n"
        "import saslsspi; print(saslsspi.__file__)\n"
        "for table in (MECHANISMS, PACKAGES):\n"
        "    for plugin in table.plugins():\n"
        "        print(plugin.name, '|', plugin.problem)\n"
    )
    python = next((tmp_path / "v").rglob("bin/python"), None) or next((tmp_path / "v").rglob("python.exe"))
    run = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    lines = run.stdout.splitlines()
    assert str(site) in lines[0]
    shown = dict(line.split(" | ") for line in lines[1:])
    table = plugin_table()
    assert set(shown) == {*table["saslsspi.mechanisms"], *table["saslsspi.packages"]}
    assert set(shown.values()) == {"None"}


def test_the_source_archive_takes_every_room_of_the_tree() -> None:
    """Who unpacks it can run the tests and build the site: both look into every room."""
    asked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip("this is an archive and no clone")
    words = [line.split() for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()]
    taken = {name for line in words if line and line[0] in {"graft", "recursive-include"} for name in line[1:2]}
    taken |= {name for line in words if line and line[0] == "include" for name in line[1:]}
    taken |= {"pyproject.toml", "setup.cfg", "MANIFEST.in", "saslsspi", "mechanisms", "conformance"}  # setuptools' own
    assert {name.partition("/")[0] for name in asked.stdout.splitlines()} - taken == set()
