"""The package as a whole: layers, imports, the wheel, the documents."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import fallline

CHECKOUT = Path(__file__).resolve().parent.parent
SRC = CHECKOUT / "src"
ROOMS_WITHOUT_FRAMEWORKS = ("types", "errors", "rules", "treatments", "diagnose", "watch", "report", "store")


Finished = subprocess.CompletedProcess[str]


def python(*arguments: str, cwd: Path = CHECKOUT, path: Path | None = SRC, **env: str) -> Finished:
    """Run a fresh interpreter, with only `path` before what is installed."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("KERAS_BACKEND", "PYTHONPATH")}
    inherited |= {"PYTHONPATH": str(path)} if path else {}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=inherited | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("first", ["import fallline", "import keras\nimport fallline"])
def test_every_core_is_a_device_before_a_model_is_built(first):
    """Building a Keras model starts JAX, which then keeps the number of its devices."""
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("the system does not tell how many cores there are for this process")
    built = "import keras\nkeras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\nimport jax, os\n"
    shown = "print(jax.local_device_count('cpu'), len(os.sched_getaffinity(0)))"
    done = python("-c", f"{first}\n{built}{shown}", KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    devices, cores = done.stdout.split()[-2:]
    assert devices == cores


def loaded_by(statement: str) -> set[str]:
    """Top-level names of all modules that a statement loads in a fresh interpreter."""
    done = python("-c", f"{statement}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


# ------------------------------------------------------------------------------------------------- imports


def test_importing_the_package_loads_no_heavy_library():
    heavy = {"jax", "keras", "optax", "pandas", "numpy", "sklearn", "scipy", "pyarrow", "rich", "click"}
    assert not loaded_by("import fallline") & heavy


def test_the_command_line_lists_its_commands_without_heavy_libraries():
    listing = "from click.testing import CliRunner\nimport fallline.cli as c\n"
    listing += "assert 'train' in CliRunner().invoke(c.group, ['--help']).output"
    assert not loaded_by(listing) & {"jax", "keras", "optax", "pandas", "sklearn", "scipy", "pyarrow", "rich"}


@pytest.mark.parametrize("room", [room for room in ROOMS_WITHOUT_FRAMEWORKS if find_spec(f"fallline.{room}")])
def test_a_room_and_all_its_modules_import_neither_jax_nor_keras(room):
    walk = (
        "import importlib, pkgutil\n"
        f"room = importlib.import_module('fallline.{room}')\n"
        "for found in pkgutil.walk_packages(getattr(room, '__path__', ()), room.__name__ + '.'):\n"
        "    importlib.import_module(found.name)"
    )
    assert not loaded_by(walk) & {"jax", "keras", "optax", "tensorflow", "torch"}


def test_public_names_are_all_there():
    for name in fallline.__all__:
        assert getattr(fallline, name) is not None
    assert set(fallline.__all__) <= set(dir(fallline))


def test_every_module_says_what_it_exports():
    silent = [
        str(file.relative_to(SRC))
        for file in SRC.rglob("*.py")
        if file.name != "__main__.py" and not re.search(r"^__all__(:.*)? = ", file.read_text(), re.MULTILINE)
    ]
    assert not silent


def test_importing_the_package_is_quick():
    # The promise is 0.3 s on a quiet machine, measured by the benchmarks; this guards against an eager import, whose
    # price is ten times that, on a busy one.
    probe = "import time; t = time.perf_counter(); import fallline; print(time.perf_counter() - t)"
    assert min(float(python("-c", probe).stdout) for _ in range(3)) < 0.3


# -------------------------------------------------------------------------------------------------- layers


def lint_imports(folder: Path) -> Finished:
    """Check the import contracts of the copy in a folder."""
    tool = Path(sysconfig.get_path("scripts"), "lint-imports")
    return subprocess.run(
        [tool, "--config", "pyproject.toml", "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(folder / "src")},
    )


@pytest.fixture
def copy(tmp_path):
    """A copy of the sources, free to be spoilt."""
    shutil.copytree(SRC, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_only_go_down(copy):
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout


def test_a_module_without_a_layer_is_noticed(copy):
    (copy / "src/fallline/stray.py").write_text("")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "fallline.stray" in done.stdout


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("errors.py", "from fallline.types import Run"),  # upwards
        ("recipe/__init__.py", "import fallline.score"),  # to a sibling
        ("engine/__init__.py", "import keras"),
    ],
)
def test_a_forbidden_import_is_noticed(copy, module, line):
    file = copy / "src/fallline" / module
    file.write_text(file.read_text() + f"\n{line}\n")
    assert lint_imports(copy).returncode != 0


# --------------------------------------------------------------------------------------------------- wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, folder)
    shutil.copytree(SRC, folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    done = python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist"), str(folder), path=None)
    assert done.returncode == 0, done.stdout + done.stderr
    return next((folder / "dist").glob("*.whl"))


def test_the_wheel_holds_the_package_its_types_and_its_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"fallline-{fallline.__version__}.dist-info/METADATA").decode()
    shipped = {name for name in names if name.startswith("fallline/")}
    assert "fallline/py.typed" in shipped
    assert shipped == {
        str(file.relative_to(SRC))
        for file in SRC.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and ".egg-info" not in str(file)
    }
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "License-Expression: Apache-2.0" in metadata
    assert {"cuda", "bench", "dev"} <= set(re.findall(r"^Provides-Extra: (\S+)$", metadata, re.MULTILINE))


def test_the_wheel_installs_and_runs_outside_the_checkout(wheel, tmp_path):
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    binaries = home / ("Scripts" if os.name == "nt" else "bin")
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    # The libraries come from the environment that runs the tests: nothing is downloaded. A .pth line does not run the
    # other .pth files there, so that an editable installation of the checkout stays out.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = ["-m", "pip", "--python", str(binaries / "python"), "install", "--quiet", "--no-deps", "--no-index"]
    done = python(*pip, "--ignore-installed", str(wheel), path=None, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*command):
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=clean,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    version = run(binaries / "fallline", "--version")
    assert version.returncode == 0, version.stderr
    assert fallline.__version__ in version.stdout
    where = run(binaries / "python", "-c", "import fallline; print(fallline.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(home)
    recipe = run(binaries / "fallline", "recipe")
    assert recipe.returncode == 0, recipe.stderr
    assert "[optimizer]" in recipe.stdout


# ----------------------------------------------------------------------------------------------- documents


def code_blocks(document: str, language: str = "python") -> list[str]:
    """The fenced blocks of one language in a Markdown file."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (CHECKOUT / document).read_text(), re.MULTILINE | re.DOTALL)


def test_the_commands_in_the_readme_exist():
    from fallline.cli import COMMANDS

    used = set(re.findall(r"^fallline (\w+)", "\n".join(code_blocks("README.md", "console")), re.MULTILINE))
    assert used
    assert used <= set(COMMANDS)


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/catalogue.md"])
def test_links_to_files_lead_somewhere(document):
    file = CHECKOUT / document
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", file.read_text())
    assert not [target for target in targets if not (file.parent / target).exists()]


def test_the_rooms_in_contributing_are_the_rooms_there_are():
    described = set(re.findall(r"^\| `(\w+)[./`]", (CHECKOUT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    there = {path.stem for path in (SRC / "fallline").iterdir() if path.suffix in ("", ".py")}
    assert there - {"__init__", "__main__", "__pycache__"} == described


def tracked_texts() -> list[Path]:
    """The files that make up the project, as far as they are text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=False).stdout.decode()
    names = [name for name in listed.split("\0") if name]
    if not names:  # not a clone: a source archive
        files = [path for folder in ("src", "tests", "benchmarks") for path in (CHECKOUT / folder).rglob("*.py")]
        names = [str(path.relative_to(CHECKOUT)) for path in files]
    kinds = {".py", ".md", ".toml", ".json", ".jsonl", ".html", ".css", ".js", ""}
    return [CHECKOUT / name for name in names if Path(name).suffix in kinds and (CHECKOUT / name).is_file()]


def test_no_file_holds_a_path_of_the_machine_it_was_written_on():
    pattern = re.compile(r"/(?:" + "|".join(("home", "root", "work", "Users")) + r")/\w+")
    found = [
        f"{file.relative_to(CHECKOUT)}: {match.group()}"
        for file in tracked_texts()
        for match in pattern.finditer(file.read_text(errors="replace"))
    ]
    assert not found


def test_no_file_holds_a_conflict_marker_or_an_unfinished_mark():
    pattern = re.compile("|".join((r"^<{7} ", r"^>{7} ", "TO" + "DO", "FIX" + "ME", "X" * 3 + r"\b")), re.MULTILINE)
    texts = [file for file in tracked_texts() if file.name != "LICENSE"]
    assert not [str(file) for file in texts if pattern.search(file.read_text(errors="replace"))]
