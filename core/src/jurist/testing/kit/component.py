"""What every component promises, whatever its kind; the base of all contract tests."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import math
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar, get_args

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from jurist.component import COMMON_SETTINGS
from jurist.contracts import Contract
from jurist.errors import ContractError, ProviderError
from jurist.fault_lines import faults_of
from jurist.options import Operational, Options, is_secret
from jurist.records import Record

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

HEAVY_MODULES = frozenset(
    {"torch", "transformers", "trl", "datasets", "litellm", "openai", "anthropic", "numpy", "peft", "ray"}
)
SECRET_NAMES = ("api_key", "secret", "password", "access_token", "auth_token")
NOT_FOUND = 3
KIT = __name__.rpartition(".")[0]


class ComponentContract:
    """Tests of what every component promises. Subclass the one of your component's kind.

    ``component``: the class under test. ``options``: what a recipe would say of it. Override
    :meth:`make` only if the constructor needs more than options. The tests themselves cannot be
    overridden, except by one marked ``pytest.mark.xfail(reason=...)`` that calls ``super()``.
    """

    component: ClassVar[type[Contract]]
    options: ClassVar[Mapping[str, Any]] = {}
    contract: ClassVar[type[Contract]]
    known_capabilities: ClassVar[frozenset[str]] = frozenset()
    reserved_options: ClassVar[frozenset[str]] = COMMON_SETTINGS

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in _clauses(cls):
            owner = next(base for base in cls.__mro__ if name in vars(base))
            if not of_kit(owner) and not _expected_to_fail(vars(owner)[name]):
                raise ContractError(
                    f"{owner.__name__}.{name} overrides a contract test.",
                    hint="remove it; or, if the component cannot keep this promise, mark the override with "
                    "@pytest.mark.xfail(reason='why') and call super()",
                )

    def make(self, options: Any) -> Any:
        """A new component under test. Override it if the constructor needs more than options."""
        return self.component(options)

    def new(self, **changes: Any) -> Any:
        """A new component with the options under test, some of them changed."""
        return self.make(self.parsed_options(**changes))

    def parsed_options(self, **changes: Any) -> Options:
        """The options under test, as the class's ``Options`` read them."""
        return self.component.Options.model_validate({**self.options, **changes})

    def ask(
        self,
        items: Sequence[Item],
        call: Callable[[Any, Item], Awaitable[Outcome]],
        *,
        together: bool = False,
    ) -> list[Outcome | ProviderError]:
        """Put ``items`` to one new component; each answer, or the ProviderError raised instead."""

        async def one(component: Any, item: Item) -> Outcome | ProviderError:
            try:
                return await call(component, item)
            except ProviderError as error:
                return error
            except Exception as error:
                raise AssertionError(
                    f"{self.component.__name__} raised {type(error).__name__}: {error}. A component returns "
                    "an outcome (Abstention: it cannot say; Failure: the call did not succeed) or "
                    f"raises ProviderError. Asked about: {str(item)[:300]}"
                ) from error

        async def all_of_them() -> list[Outcome | ProviderError]:
            component = self.new()
            try:
                if together:
                    return list(await asyncio.gather(*(one(component, item) for item in items)))
                return [await one(component, item) for item in items]
            finally:
                await component.close()

        return asyncio.run(all_of_them())

    def skip_unless_deterministic(self) -> None:
        """Skip the running test if the component samples: its ``temperature`` is not 0."""
        temperature = getattr(self.new().options, "temperature", 0)
        if temperature:
            pytest.skip(f"samples with temperature {temperature}, so its answers may differ")

    def skip_unless_capable_of(self, capability: str) -> None:
        """Skip the running test if the component does not declare the capability."""
        if capability not in self.new().capabilities:
            pytest.skip(f"does not declare the capability '{capability}'")

    def test_class_fulfils_its_contract(self) -> None:
        """Subclass the contract of your component's kind and implement all its abstract methods."""
        assert isinstance(self.component, type), f"{self.component!r} is not a class"
        assert issubclass(self.component, self.contract)
        assert not inspect.isabstract(self.component), "abstract methods are left"

    def test_options_are_strict(self) -> None:
        """Derive ``Options`` from jurist.options.Options and leave ``extra='forbid'`` as it is."""
        assert issubclass(self.component.Options, Options)
        assert self.parsed_options().model_config.get("frozen"), (
            "options can be changed after they were checked"
        )
        faults = self._faults_of(no_such_option=1)
        assert any("no_such_option: unknown option" in fault for fault in faults), (
            f"the unknown option 'no_such_option' was accepted, or not named: {faults}"
        )

    def test_options_have_free_names(self) -> None:
        """Rename the option: in a recipe this name already means something else at the same place."""
        assert not self.reserved_options & set(self.component.Options.model_fields)

    def test_secrets_are_typed(self) -> None:
        """Type the option ``SecretStr``, so that it never reaches the ledger, a log or a report."""
        for name, field in self.component.Options.model_fields.items():
            if name.endswith(SECRET_NAMES):
                assert is_secret(field.annotation), f"option '{name}' is {field.annotation}, not SecretStr"

    def test_constructor_takes_the_options(self) -> None:
        """Take the options as the constructor's argument and pass them on to ``super().__init__``."""
        component = self.new()
        assert isinstance(component, self.component)
        assert component.options == self.parsed_options()

    def test_identity_is_stable_json(self) -> None:
        """Build ``identity()`` of JSON values only, and of nothing that differs between two instances."""
        first, second = self.new(), self.new()
        identity = first.identity()
        assert json.loads(json.dumps(identity, allow_nan=False)) == identity
        assert second.identity() == identity

    def test_identity_has_no_secrets(self) -> None:
        """Leave secrets out of ``identity()``; ``Options.identity`` does so for SecretStr."""
        secrets = [n for n, f in self.component.Options.model_fields.items() if is_secret(f.annotation)]
        for name in secrets:
            canary = f"canary-of-{name}"
            changed = self.new(**{name: canary})
            assert canary not in json.dumps(changed.identity()), f"secret '{name}' is in the identity"
            assert changed.identity() == self.new().identity(), f"secret '{name}' changes the identity"
            assert canary not in repr(changed.options), f"secret '{name}' shows in repr(options)"

    def test_identity_ignores_operational_options(self) -> None:
        """Leave options marked ``Operational`` out of ``identity()``, or remove the mark."""
        identity = self.new().identity()
        for name, field in self.component.Options.model_fields.items():
            if Operational not in field.metadata:
                continue
            for options in self._variants(name, field.annotation):
                assert self.make(options).identity() == identity, f"'{name}' changed the identity"

    def test_capabilities_are_known(self) -> None:
        """Correct the spelling: ``capabilities`` is a frozenset of words that the contract names."""
        component = self.new()
        assert isinstance(component.capabilities, frozenset)
        assert component.capabilities <= self.known_capabilities
        assert isinstance(component.free, bool)

    def test_module_imports_light(self) -> None:
        """Import heavy modules inside the methods that use them: classes are imported to check recipes."""
        module = self.component.__module__
        heavy = heavy_imports(module)
        if heavy is None:
            pytest.skip(f"{module} is part of the test run, not of an installed package")
        assert heavy == []

    def _faults_of(self, **changes: Any) -> list[str]:
        """What a user is told of the options under test with ``changes``."""
        try:
            self.parsed_options(**changes)
        except ValidationError as error:
            return faults_of(error, self.component.Options.model_fields, self.component.__name__)
        return []

    def _variants(self, name: str, annotation: Any) -> Iterator[Options]:
        """The options with other values of option ``name``, as far as its model accepts them."""
        current = getattr(self.parsed_options(), name)
        candidates: list[Any] = [choice for choice in get_args(annotation) if not isinstance(choice, type)]
        if isinstance(current, bool):
            candidates.append(not current)
        elif isinstance(current, int | float):
            candidates += [current + 1, current / 2]
        else:
            candidates += ["other", 7, 0.5]
        for candidate in candidates:
            try:
                yield self.parsed_options(**{name: candidate})
            except ValidationError:
                continue


@functools.cache
def heavy_imports(module: str) -> list[str] | None:
    """The heavy modules that ``module`` loads in a new process; None if it cannot be found there."""
    program = (
        f"import importlib, importlib.util, sys; sys.path[:] = {sys.path!r}\n"
        "try: found = importlib.util.find_spec(sys.argv[1])\n"
        "except ImportError: found = None\n"
        f"if found is None: sys.exit({NOT_FOUND})\n"
        "importlib.import_module(sys.argv[1])\n"
        f"print(*sorted(set({sorted(HEAVY_MODULES)!r}) & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, module], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode == NOT_FOUND:
        return None
    assert done.returncode == 0, f"{module} cannot be imported by itself: {done.stderr}"
    return done.stdout.split()


def assert_finite(value: float) -> None:
    """The value is a number, neither NaN nor infinite."""
    assert isinstance(value, int | float)
    assert math.isfinite(value)


def assert_survives_json(record: Record) -> None:
    """The record is the same after it was written as a line of JSON and read back."""
    try:
        line = record.model_dump_json(warnings="error")
    except PydanticSerializationError as error:
        raise AssertionError(f"{record!r} cannot be written as JSON: {error}") from error
    assert type(record).model_validate_json(line) == record


def of_kit(cls: type) -> bool:
    """Whether the class is one of the contract tests, not one that uses them."""
    return cls.__module__.startswith(KIT + ".")


def _clauses(cls: type) -> list[str]:
    kit = [base for base in cls.__mro__ if of_kit(base)]
    return sorted({name for base in kit for name in vars(base) if name.startswith("test_")})


def _expected_to_fail(override: object) -> bool:
    marks = getattr(override, "pytestmark", [])
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in marks)
