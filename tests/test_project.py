"""What the project says of itself in several places agrees with itself."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from service.config import settings

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"].values()
GROUPS = PROJECT["dependency-groups"]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def name_of(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    assert match, requirement
    return match[0].lower()


def locked(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE))


def sources(*folders: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_locks_hold_every_direct_requirement() -> None:
    runtime = {name_of(requirement) for requirement in PROJECT["project"]["dependencies"]}
    tests = {name_of(requirement) for group in (*EXTRAS, GROUPS["test"]) for requirement in group}
    assert runtime <= locked("requirements.txt").keys()
    assert runtime | tests <= locked("requirements-test.txt").keys()


def test_tests_run_the_versions_that_are_deployed() -> None:
    deployed = locked("requirements.txt")
    tested = locked("requirements-test.txt")
    assert {name: tested[name] for name in deployed} == deployed


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-test.txt", "requirements-bench.txt"])
def test_locks_are_hashed_and_tied_to_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert entries and all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text


def test_every_direct_dependency_is_explained() -> None:
    explained = (ROOT / "docs/dependencies.md").read_text().lower()
    requirements = [*PROJECT["project"]["dependencies"]]
    for group in (*EXTRAS, *GROUPS.values()):
        requirements += group
    unexplained = [name for name in map(name_of, requirements) if f"**{name}**" not in explained]
    assert unexplained == []


def test_every_setting_is_documented() -> None:
    rows = [f"| `{setting.variable}` | `{setting.default}` | {setting.meaning} |" for setting in settings()]
    shown = [line for line in (ROOT / "docs/settings.md").read_text().splitlines() if line.startswith("| `")]
    assert shown == rows


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    pages = [str(page.relative_to(ROOT)) for page in DOCUMENTS if page.name != "README.md"]
    assert [page for page in pages if f"]({page})" not in readme] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_in_the_documents_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", document.read_text())) <= targets


def test_the_distribution_holds_every_file_of_its_packages(tmp_path: Path) -> None:
    packages = sources("engine", "service", "migrations")
    # A copy, because building leaves its traces beside the sources.
    for name in [*packages, "pyproject.toml", "README.md"]:
        copy = tmp_path / "copy" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            tmp_path / "copy",
        ],
        cwd=tmp_path,
        check=True,
    )
    (wheel,) = tmp_path.glob("chainrule-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert packages <= set(archive.namelist())
