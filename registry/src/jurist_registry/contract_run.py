"""Running the contract tests on a component, without a test file of one's own."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from jurist.contracts import Contract
from jurist.errors import ContractError, UsageError

_TEST_FILE = '''"""Generated: the contract tests of {target}."""

import importlib

from jurist.testing import contract_test

component = getattr(importlib.import_module({module!r}), {attribute!r})
TestContract = contract_test(component, options={options!r})
'''


def run_contract(target: str, options: Mapping[str, JsonValue]) -> None:
    """Run the contract tests on ``package.module:Class``, printing what pytest prints.

    Raises:
        UsageError: the class cannot be imported, or pytest is not installed.
        ContractError: a test failed.
    """
    if importlib.util.find_spec("pytest") is None:
        raise UsageError(
            "the contract tests need pytest, which is not installed",
            hint="pip install 'jurist-core[testing]'",
        )
    module, attribute = _imported(target)
    import pytest

    with tempfile.TemporaryDirectory(prefix="jurist-contract-") as folder:
        test_file = Path(folder, "test_contract.py")
        text = _TEST_FILE.format(target=target, module=module, attribute=attribute, options=dict(options))
        test_file.write_text(text, encoding="utf-8")
        # An empty configuration of its own keeps the settings of the working directory out.
        configuration = Path(folder, "pytest.ini")
        configuration.write_text("[pytest]\n", encoding="utf-8")
        code = pytest.main(
            [
                str(test_file),
                "-c",
                str(configuration),
                "-p",
                "no:cacheprovider",
                "-p",
                "jurist.testing.pytest_plugin",
            ]
        )
    if code != pytest.ExitCode.OK:
        raise ContractError(
            f"{target} does not keep its contract.",
            hint="correct what the docstring of each failed test names",
        )


def _imported(target: str) -> tuple[str, str]:
    module, _, attribute = target.partition(":")
    if not module or not attribute:
        raise UsageError(f"'{target}' names no class", hint="write it as package.module:Class")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{target} cannot be imported", cause=error) from error
    if not (isinstance(found, type) and issubclass(found, Contract)):
        raise UsageError(
            f"{target} is not a component", cause="it subclasses none of the contracts in jurist.contracts"
        )
    return module, attribute
