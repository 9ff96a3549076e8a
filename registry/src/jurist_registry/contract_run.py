"""Running the contract tests on a component, without a test file of one's own."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue, ValidationError

from jurist.contracts import CONTRACTS, Contract
from jurist.errors import ContractError, UsageError
from jurist.fault_lines import faults_of
from jurist.near_names import near_miss, nearest

_TEST_FILE = '''"""Generated: the contract tests of {target}."""

import importlib

from jurist.testing import contract_test

component = getattr(importlib.import_module({module!r}), {attribute!r})
TestContract = contract_test(component, options={options!r})
'''
_TESTS_FAILED = 1
_WRITTEN = "write it as package.module:Class, with a class that subclasses one of jurist.contracts"


def run_contract(target: str, options: Mapping[str, JsonValue]) -> None:
    """Run the contract tests on ``package.module:Class``, printing what pytest prints.

    Raises:
        UsageError: the class cannot be imported, its options are wrong, or pytest is not installed.
        ContractError: a test failed.
    """
    if importlib.util.find_spec("pytest") is None:
        raise UsageError(
            "the contract tests need pytest, which is not installed",
            hint="pip install 'jurist-core[testing]'",
        )
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise UsageError(f"'{target}' names no class", hint=_WRITTEN)
    _check(target, module, attribute, options)
    text = _TEST_FILE.format(target=target, module=module, attribute=attribute, options=dict(options))
    code = _pytest(text)
    if code == _TESTS_FAILED:
        raise ContractError(
            f"{target} does not keep its contract.", hint="do what the docstring of each failed test says"
        )
    if code:
        raise UsageError(f"pytest could not run the contract tests of {target} (its exit code is {code})")


def _check(target: str, module: str, attribute: str, options: Mapping[str, JsonValue]) -> None:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        imported = importlib.import_module(module)
    except (ImportError, AttributeError) as error:
        hint = "install its package (pip install -e FOLDER), or run this in the folder that holds it"
        raise UsageError(f"{target} cannot be imported", cause=error, hint=hint) from error
    components = [name for name, value in vars(imported).items() if _is_component(value)]
    found = getattr(imported, attribute, None)
    if found is None:
        what = f"{module} has no '{attribute}'{near_miss(attribute, components)}"
        near = nearest(attribute, components)
        raise UsageError(what, hint=f"jurist contract {module}:{near}" if near else _WRITTEN)
    if not (isinstance(found, type) and issubclass(found, Contract)):
        cause = "it subclasses none of the contracts in jurist.contracts"
        known = f"name one of its components: {', '.join(components)}" if components else _WRITTEN
        raise UsageError(f"{target} is not a component", cause=cause, hint=known)
    try:
        found.Options.model_validate(options)
    except ValidationError as error:
        faults = faults_of(error, found.Options.model_fields, "options")
        raise UsageError.of_faults(target, faults, hint="--options '{\"name\": value}'") from error


def _is_component(value: object) -> bool:
    kinds = tuple(CONTRACTS.values())
    return isinstance(value, type) and issubclass(value, kinds) and not inspect.isabstract(value)


def _pytest(test_file: str) -> int:
    """The exit code of pytest in a process of its own, where the kit's assertions are rewritten."""
    with tempfile.TemporaryDirectory(prefix="jurist-contract-") as name:
        folder = Path(name)
        (folder / "test_contract.py").write_text(test_file, encoding="utf-8")
        # An empty configuration of its own keeps the settings of the working directory out.
        (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        command = [sys.executable, "-m", "pytest", str(folder / "test_contract.py")]
        command += ["-c", str(folder / "pytest.ini"), "-p", "no:cacheprovider", "-p", "no:asyncio"]
        paths = [str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        return subprocess.run(command, env=environment, check=False).returncode
