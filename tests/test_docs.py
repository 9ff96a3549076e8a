"""The documentation against the code: what is written exists, and what exists is written."""

from __future__ import annotations

import inspect
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel

from jurist import hookspecs
from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.component import COMMON_SETTINGS, Component
from jurist.constitution import Check, Constitution, Principle
from jurist.contracts import CONTRACTS, Contract, LearntAggregator
from jurist.engine.batches import Batching
from jurist.engine.limits import Limits
from jurist.errors import JuristError
from jurist.preflight import check
from jurist.prices import Price
from jurist.recipe import Budget, Human, Recipe
from jurist.records import Decision, Preference, Reason, Trajectory
from jurist.roles import ROLES
from jurist.roles.judge_options import Example
from jurist.rounds import Rounds
from jurist.stage_records import (
    BestResponse,
    Candidates,
    Evaluated,
    Judged,
    Revision,
    ScoredResponse,
    SetAside,
)
from jurist.stage_settings import (
    BestOfSettings,
    CompareSettings,
    DataFile,
    EvaluateSettings,
    HeldOut,
    PromptSource,
    ReviseSettings,
    TrainSettings,
    ValidateSettings,
)
from jurist.train_jobs import TrainJob
from jurist.validation.labelled import LabelledItem, Vote
from jurist.validation.result import Thresholds
from jurist.validation.spot_check import ToLabel
from jurist.validation.spot_check_result import CheckedStratum, SpotChecked
from jurist_registry.main import cli
from jurist_registry.option_words import default_words, type_words
from jurist_registry.registry import Registry
from jurist_trl.options import FSDPOptions, LoraOptions

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
USER_PAGES = [REPOSITORY / "README.md", REPOSITORY / "README.zh.md", *sorted(DOCS.glob("*.md"))]
PAGES = [
    *USER_PAGES,
    *(REPOSITORY / name for name in ("CONTRIBUTING.md", "CHANGELOG.md", "core/README.md")),
    *sorted(REPOSITORY.glob("registry/README.md")),
    *sorted(REPOSITORY.glob("plugins/*/README.md")),
    *sorted(REPOSITORY.glob("contrib/**/README.md")),
]


# --- reading Markdown --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """A heading and the text up to the next one, of whatever level."""

    heading: str
    text: str

    def table(self) -> dict[str, tuple[str, ...]]:
        """The rows of its tables by the code in their first cell, without it."""
        rows = {}
        for line in self.text.splitlines():
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            name = re.fullmatch(r"`([^`]+)`", cells[0])
            if line.startswith("|") and name:
                assert name[1] not in rows, f"{self.heading}: two rows of {name[1]}"
                rows[name[1]] = tuple(cells[1:])
        return rows


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands behind the fence, and what it holds."""

    page: str
    info: str
    text: str


def sections(page: Path) -> list[Section]:
    """The sections of a page; headings inside fenced blocks are none."""
    text = re.sub(
        r"^```.*?^```", lambda m: re.sub(r"^#", " #", m[0], flags=re.M), page.read_text(), flags=re.M | re.S
    )
    parts = re.split(r"^#+ +(.+)$", text, flags=re.M)
    return [Section(heading, body) for heading, body in zip(parts[1::2], parts[2::2], strict=True)]


def section(page: str, *words: str) -> Section:
    """The one section of a page of docs/ whose heading holds all of ``words``."""
    found = [s for s in sections(DOCS / page) if all(word in s.heading.lower() for word in words)]
    assert len(found) == 1, f"docs/{page}: {len(found)} headings hold {' and '.join(words)}"
    return found[0]


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    for match in re.finditer(r"^```([^\n]+)\n(.*?)^```$", page.read_text(), flags=re.M | re.S):
        yield Block(str(page.relative_to(REPOSITORY)), match[1].strip(), match[2])


def marked(pages: list[Path], info: str) -> list[Block]:
    """The blocks of ``pages`` marked ``info``."""
    return [block for page in pages for block in blocks(page) if block.info == info]


# --- tables of settings ------------------------------------------------------------------------------


def expected(model: type[BaseModel]) -> dict[str, tuple[str, str]]:
    """Type and default of every setting of ``model``."""
    return {
        name: (type_words(field.annotation), default_words(field))
        for name, field in model.model_fields.items()
    }


def documented(found: Section) -> dict[str, tuple[str, str]]:
    """Type and default of every setting in the tables of a section; each must have a meaning too."""
    rows = found.table()
    for name, cells in rows.items():
        assert len(cells) == 3, f"{found.heading}: {name} has {len(cells)} cells after its name"
        assert len(cells[2]) > 5, f"{found.heading}: what does {name} mean?"
    return {name: (cells[0], cells[1]) for name, cells in rows.items()}


def check_settings(found: Section, model: type[BaseModel]) -> None:
    """A section says of every setting its type and default, and what its description says."""
    assert documented(found) == expected(model)
    for name, cells in found.table().items():
        meaning = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", cells[2])  # links as they read
        described = (model.model_fields[name].description or "").rstrip(".")
        assert meaning.startswith(described), f"{found.heading}: {name}"


def distributions() -> set[str]:
    """The distributions that this repository holds."""
    folders = ("", "core", "registry", "plugins/*", "contrib/*")
    files = [path for folder in folders for path in REPOSITORY.glob(f"{folder}/pyproject.toml".lstrip("/"))]
    return {tomllib.loads(path.read_text())["project"]["name"] for path in files}


def ours() -> list[Component]:
    """Their components."""
    return [c for c in Registry.discover().components() if c.distribution.split()[0] in distributions()]


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("the recipe", Recipe),
        ("prompts", PromptSource),
        ("budget", Budget),
        ("sampling", Sampling),
        ("limits", Limits),
        ("batches", Batching),
        ("human labels", Human),
        ("`revise`", ReviseSettings),
        ("`compare`", CompareSettings),
        ("rounds", Rounds),
        ("`best_of`", BestOfSettings),
        ("`validate`", ValidateSettings),
        ("`train`", TrainSettings),
        ("`evaluate`", EvaluateSettings),
    ],
)
def test_every_setting_of_a_recipe_is_documented(heading: str, model: type[BaseModel]) -> None:
    check_settings(section("recipes.md", heading), model)


@pytest.mark.parametrize("kind", ROLES)
def test_every_option_of_a_role_is_documented(kind: str) -> None:
    role: Any = ROLES[kind]
    check_settings(section("components.md", f"{kind} of any chat model"), role.Options)


@pytest.mark.parametrize("component", ours(), ids=lambda c: f"{c.kind}-{c.name}")
def test_every_component_is_documented(component: Component) -> None:
    found = section("components.md", component.kind.replace("_", " "), f"`{component.name}`")
    check_settings(found, component.load().Options)


@pytest.mark.parametrize("distribution", sorted(distributions() - {"jurist"}))
def test_the_readme_names_every_distribution(distribution: str) -> None:
    assert f"| `{distribution}` |" in (REPOSITORY / "README.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_readmes_name_extras_that_exist(name: str) -> None:
    text = (REPOSITORY / name).read_text()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    named = set(",".join(re.findall(r"jurist\[([\w,]+)\]", text)).split(","))
    assert {"all", "demo"} <= named <= project["optional-dependencies"].keys()
    assert "python -m jurist_demo" in text


def test_the_readme_gives_the_results_that_the_demo_gives() -> None:
    measured = (REPOSITORY / "plugins" / "demo" / "README.md").read_text()
    rows = re.findall(
        r"^\| [\w ]+ (\| \.\d\d \[.+\] \| \.\d\d \|)$", (REPOSITORY / "README.md").read_text(), flags=re.M
    )
    assert len(rows) == 3
    for numbers in rows:
        assert numbers in measured


@pytest.mark.parametrize(
    ("page", "heading", "model"),
    [
        ("recipes.md", "thresholds", Thresholds),
        ("components.md", "lora", LoraOptions),
        ("components.md", "prices", Price),
        ("components.md", "examples", Example),
        ("recipes.md", "files to learn from", DataFile),
        ("recipes.md", "held out", HeldOut),
        ("components.md", "fsdp", FSDPOptions),
        ("constitutions.md", "a constitution", Constitution),
        ("constitutions.md", "a principle", Principle),
        ("constitutions.md", "a check", Check),
    ],
)
def test_every_nested_setting_is_documented(page: str, heading: str, model: type[BaseModel]) -> None:
    check_settings(section(page, heading), model)


@pytest.mark.parametrize(
    ("page", "heading", "model"),
    [
        ("recipes.md", "`trajectories.jsonl`", Trajectory),
        ("recipes.md", "`revisions.jsonl`", Revision),
        ("recipes.md", "`revisions.jsonl`", BestResponse),
        ("recipes.md", "`candidates.jsonl`", Candidates),
        ("recipes.md", "`judgments.jsonl`", Judged),
        ("recipes.md", "`preferences.jsonl`", Preference),
        ("recipes.md", "`set_aside.jsonl`", SetAside),
        ("recipes.md", "`responses.jsonl`", Evaluated),
        ("recipes.md", "`scores.jsonl`", ScoredResponse),
        ("recipes.md", "`verdicts.jsonl`", LabelledItem),
        ("recipes.md", "a vote", Vote),
        ("human-labels.md", "to label", ToLabel),
        ("human-labels.md", "what it finds", SpotChecked),
        ("human-labels.md", "a stratum", CheckedStratum),
        ("judging.md", "decisions", Decision),
        ("plugins.md", "the chat model", ChatRequest),
        ("plugins.md", "the chat model", ChatReply),
        ("plugins.md", "the trainer", TrainJob),
    ],
)
def test_every_field_of_a_file_is_documented(page: str, heading: str, model: type[BaseModel]) -> None:
    rows = section(page, heading).table()
    assert not model.model_fields.keys() - rows.keys(), f"docs/{page}, {heading}"


def test_every_reason_is_documented() -> None:
    assert set(section("judging.md", "reasons").table()) == set(get_args(Reason))


def test_every_error_and_exit_code_is_documented() -> None:
    text = section("plugins.md", "errors").text
    for error in _descendants(JuristError):
        assert f"`{error.__name__}`" in text
        assert f"| {error.exit_code} |" in text


def _descendants(error: type[JuristError]) -> Iterator[type[JuristError]]:
    for child in error.__subclasses__():
        if child.__module__ == "jurist.errors":
            yield child
            yield from _descendants(child)


# --- modules -----------------------------------------------------------------------------------------


def module_tables(page: Path) -> Iterator[tuple[Path, list[str]]]:
    """Of each table of a README whose first column is headed "module": the package's folder, and the names.

    A head that says "module of `jurist_x.y`" means that package, else it is the distribution's own.
    """
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines):
        if head := re.match(r"\| module(?: of `([\w.]+)`)? \|", line):
            rows = itertools.takewhile(lambda row: row.startswith("|"), lines[number + 2 :])
            names = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
            yield package_folder(page.parent, head[1]), names


def package_folder(distribution: Path, package: str | None = None) -> Path:
    """The folder of a package of the distribution in a folder, by default of its one top-level package."""
    if package is not None:
        return distribution.joinpath("src", *package.split("."))
    (found,) = (path.parent for path in distribution.glob("src/*/__init__.py"))
    return found


@pytest.mark.parametrize(
    "page", [p for p in PAGES if list(module_tables(p))], ids=lambda p: str(p.relative_to(REPOSITORY))
)
def test_modules_that_a_readme_names_exist(page: Path) -> None:
    for folder, names in module_tables(page):
        missing = [n for n in names if not ((folder / n).exists() or (folder / f"{n}.py").exists())]
        package = ".".join(folder.relative_to(page.parent / "src").parts)
        readme = page.relative_to(REPOSITORY)
        assert not missing, f"{readme} names modules of {package} that do not exist: {', '.join(missing)}"


def test_the_readme_of_core_names_every_package() -> None:
    ((folder, names),) = module_tables(REPOSITORY / "core" / "README.md")
    missing = {path.parent.name for path in folder.glob("*/__init__.py")} - set(names)
    assert not missing, f"core/README.md has no row of these packages of jurist: {', '.join(sorted(missing))}"


# --- hooks -------------------------------------------------------------------------------------------


def test_every_hook_has_a_heading_with_its_arguments() -> None:
    hooks = {n: f for n, f in vars(hookspecs).items() if n.startswith("jurist_") and inspect.isfunction(f)}
    wanted = {f"`{name}({', '.join(inspect.signature(f).parameters)})`" for name, f in hooks.items()}
    found = {s.heading for s in sections(DOCS / "plugins.md") if s.heading.startswith("`jurist_")}
    assert found == wanted


def test_every_contract_has_its_method_in_the_guide() -> None:
    text = (DOCS / "plugins.md").read_text()
    for contract in (*CONTRACTS.values(), LearntAggregator):
        for name in contract.__abstractmethods__:
            owner = next(base for base in reversed(contract.__mro__) if name in vars(base))
            arguments = [n for n in inspect.signature(getattr(contract, name)).parameters if n != "self"]
            assert f"`{owner.__name__}.{name}({', '.join(arguments)})`" in text


def test_every_attribute_of_a_contract_is_documented() -> None:
    text = section("plugins.md", "attributes").text
    for contract in (Contract, *CONTRACTS.values()):
        assert all(f"`{name}`" in text for name in contract.__annotations__)


def test_every_name_that_is_taken_is_documented() -> None:
    (sentence,) = re.findall(r"[^.]+ are taken", section("plugins.md", "options").text)
    assert set(re.findall(r"`(\w+)`", sentence)) == COMMON_SETTINGS


# --- the command -------------------------------------------------------------------------------------


def commands(command: click.Command, name: str) -> Iterator[str]:
    """The full name of a command and of everything below it."""
    yield name
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            assert found is not None
            yield from commands(found, f"{name} {child}")


def shown(command: str) -> str:
    """What ``command`` prints, in 80 columns."""
    _, *arguments = command.split()
    result = CliRunner().invoke(cli, shlex.split(" ".join(arguments)), prog_name="jurist", terminal_width=80)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_commands_print_what_the_page_says(workplace: Path) -> None:
    printed = {}
    write_files(DOCS / "command.md", workplace)
    for block in marked([DOCS / "command.md"], "console"):
        first, _, rest = block.text.partition("\n")
        printed[first.removeprefix("$ ")] = rest
    assert {name for name in printed if name.endswith("--help")} == {
        f"{name} --help" for name in commands(cli, "jurist")
    }
    assert {command.split()[1] for command in printed} >= {"plan", "judge", "plugins"}
    for command, text in printed.items():
        assert text == shown(command), command


# --- blocks ------------------------------------------------------------------------------------------


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the prompts that recipes in the documentation name."""
    monkeypatch.chdir(tmp_path)
    for name in ("prompts.jsonl", "heldout.jsonl", "labelled.jsonl"):
        rows: list[dict[str, Any]] = [
            {"prompt": f"{name}: why is the sky blue?", "tags": ["safety-critical"]},
            {"prompt": "Hello!"},
        ]
        if name == "labelled.jsonl":
            texts = {"label": "A", "response_a": "Because of the air.", "response_b": "It is not."}
            rows = [{"item": number, **row, **texts} for number, row in enumerate(rows)]
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


RECIPES = marked(PAGES, "yaml recipe")


@pytest.mark.parametrize("block", RECIPES, ids=lambda block: block.page)
def test_a_documented_recipe_loads_and_passes_every_check(block: Block, workplace: Path) -> None:
    path = workplace / "recipe.yaml"
    path.write_text(block.text, encoding="utf-8")
    checked = check(Recipe.load(path), Registry.discover())
    assert len(checked.stages) == block.text.count("- stage:")


def test_the_readmes_show_a_recipe() -> None:
    assert {"README.md", "README.zh.md", "docs/recipes.md"} <= {block.page for block in RECIPES}


@pytest.mark.parametrize("page", [p for p in PAGES if any(b.info == "python runnable" for b in blocks(p))])
def test_documented_python_runs(page: Path, workplace: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(workplace), "PYTHONWARNINGS": "error"}
    (workplace / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    for path in write_files(page, workplace):
        if path.name.startswith("test_"):
            run([sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", str(path)], workplace, environment)
    for block in blocks(page):
        name = re.search(r"file=(\S+)", block.info)
        if name:
            path = workplace / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            if path.name.startswith("test_"):
                (workplace / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
                run(
                    [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", str(path)],
                    workplace,
                    environment,
                )
        elif block.info == "python runnable":
            output = run([sys.executable, "-c", block.text], workplace, environment)
            for line in re.findall(r"print\(.*\) +# (.+)", block.text):
                assert line in output, f"{page.name}: {line} was not printed"


def write_files(page: Path, folder: Path) -> list[Path]:
    """Write the blocks of a page that are marked ``file=PATH`` into a folder."""
    files = []
    for block in blocks(page):
        if name := re.search(r"file=(\S+)", block.info):
            path = folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            files.append(path)
    return files


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What ``command`` prints; it must succeed."""
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_runs_python_and_a_contract_test() -> None:
    infos = [block.info for block in blocks(REPOSITORY / "README.md")]
    assert "python runnable" in infos
    assert any(re.search(r"file=\S*test_\w+\.py", info) for info in infos)


# --- links -------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = [s.heading.lower() for s in sections(page)]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", USER_PAGES, ids=lambda page: page.name)
def test_every_page_is_reachable_from_the_readme(page: Path) -> None:
    if page.parent == DOCS:
        assert f"](docs/{page.name})" in (REPOSITORY / "README.md").read_text()
    else:
        assert page.exists()


def test_fragments_of_yaml_parse() -> None:
    for block in [b for page in PAGES for b in blocks(page) if b.info.split()[0] == "yaml"]:
        assert yaml.safe_load(block.text) is not None, f"{block.page}: {block.text}"
