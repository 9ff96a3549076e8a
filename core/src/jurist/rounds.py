"""Rounds: a block of stages that is done several times, each time on what the last time made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import Field, ValidationError

from jurist.fault_lines import faults_of
from jurist.options import Options

REFERENCES = frozenset(
    {
        *("generator", "critic", "reviser", "judges", "aggregate", "policies", "scorers"),
        *("model", "data", "reward_model", "held_out"),
    }
)
"""The settings of stages that may name what another stage makes."""

_KINDS = MappingProxyType(
    {"revise": "revisions", "best_of": "revisions", "compare": "preferences", "validate": "jury"}
)
_TRAINED = MappingProxyType({"reward_model": "reward_model", "judges": "labeler", "scorers": "labeler"})


class Rounds(Options):
    """Stages that are done ``rounds`` times in turn, each round on what the one before it made.

    ``split`` divides the recipe's prompts among the rounds, so that each has others.
    """

    rounds: int = Field(ge=1)
    stages: tuple[dict[str, Any], ...] = Field(min_length=1)
    split: bool = False


class Unrolled:
    """The stages of a recipe with blocks of rounds written out: ``compare-1``, ``dpo-1``, ``compare-2`` …

    The name of a stage in a block stands for its newest run: of this round where it comes earlier in the
    block, else of the round before; after the block, of the last round. ``places`` has where each stage was
    written. ``faults`` are those of the blocks; the settings of stages are for the recipe to check.
    """

    def __init__(self, written: Iterable[Any], prompts: Any, reserved: Collection[str]) -> None:
        """``prompts`` are the recipe's; ``reserved`` are names that no stage may have."""
        self.stages: list[Any] = []
        self.places: list[str] = []
        self.faults: list[str] = []
        self._prompts = prompts
        self._newest: dict[str, str] = {}
        elements = list(written)
        outside = {called(each) for each in elements if not is_block(each)}
        for number, element in enumerate(elements):
            if is_block(element):
                self._add_block(element, f"stages.{number}", {*reserved, *outside})
            elif isinstance(element, Mapping):
                self._add(element, f"stages.{called(element) or number}", {})
            else:
                self._keep(element, f"stages.{number}")

    def _add_block(self, written: Mapping[str, Any], place: str, taken: Collection[str]) -> None:
        try:
            block = Rounds.model_validate(written)
        except ValidationError as error:
            self.faults += faults_of(error, Rounds.model_fields, place)
            stages: Any = written.get("stages") if _is_list(written.get("stages")) else ()
            once = tuple(dict(stage) for stage in stages if isinstance(stage, Mapping))
            block = Rounds.model_construct(rounds=1, stages=once)
        if any(is_block(stage) for stage in block.stages):
            self.faults.append(f"{place}.stages: rounds inside of rounds; write the inner ones out")
            return
        names = [called(stage) or str(number) for number, stage in enumerate(block.stages)]
        self.faults += [
            f"stages.{name}: another stage, or an artifact, has this name" for name in names if name in taken
        ]
        within = dict(zip(names, block.stages, strict=True))
        for number in range(1, block.rounds + 1):
            for name, stage in zip(names, block.stages, strict=True):
                part = self._part(place, number, block.rounds) if block.split else {}
                self._add({**part, **stage, "name": f"{name}-{number}"}, f"stages.{name}", within)
                self._newest[name] = f"{name}-{number}"

    def _part(self, place: str, number: int, rounds: int) -> dict[str, Any]:
        """The prompts of a round: of all of the recipe's, or of the k-th of n parts that it names itself."""
        source = {"path": self._prompts} if isinstance(self._prompts, str) else self._prompts
        if not isinstance(source, Mapping):
            self._fault(f"{place}.split: needs prompts to divide; set 'prompts:' in the recipe")
            return {}
        match source.get("part") or (1, 1):
            case [int(k), int(n)]:
                # An id that is k - 1 modulo n · rounds is k - 1 modulo n too.
                return {"prompts": {**source, "part": [k + n * (number - 1), n * rounds]}}
        return {}  # the recipe says what is wrong with it

    def _add(self, stage: Mapping[str, Any], place: str, within: Mapping[str, Mapping[str, Any]]) -> None:
        """Add a stage, with what it is handed by its names now; ``within`` are the stages of its block."""

        def newest(value: Any, where: str, setting: str) -> Any:
            if _is_list(value):
                return [newest(each, f"{where}.{number}", setting) for number, each in enumerate(value)]
            if setting == "policies" and isinstance(value, Mapping):
                return {label: newest(each, f"{where}.{label}", "model") for label, each in value.items()}
            if setting == "held_out" and isinstance(value, Mapping) and "scorers" in value:
                return {**value, "scorers": newest(value["scorers"], f"{where}.scorers", "scorers")}
            if not isinstance(value, str):
                return value  # a component with options, or a file
            if value in within and value not in self._newest:
                self._fault(f"{where}: {_too_early(value, str(within[value].get('stage')), setting)}")
            return self._newest.get(value, value)

        named = {name: newest(stage[name], f"{place}.{name}", name) for name in stage if name in REFERENCES}
        self._keep({**stage, **named}, place)

    def _keep(self, stage: Any, place: str) -> None:
        self.stages.append(stage)
        self.places.append(place)

    def _fault(self, fault: str) -> None:
        """Once, not once for each round."""
        if fault not in self.faults:
            self.faults.append(fault)


def is_block(element: Any) -> bool:
    """Whether an element of ``stages:`` is a block of rounds; a stage may have ``rounds`` of its own."""
    return isinstance(element, Mapping) and (
        "stages" in element or ("rounds" in element and "stage" not in element)
    )


def called(stage: Any) -> str:
    """The name of a stage as written: its own, else its kind; empty where it has neither."""
    return str(stage.get("name") or stage.get("stage") or "") if isinstance(stage, Mapping) else ""


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _too_early(name: str, kind: str, setting: str) -> str:
    """Why a stage cannot be named in the first round, and what can."""
    made = _KINDS.get(kind) or _TRAINED.get(setting)
    instead = f"write '{made or 'policy'}' for the newest" + (
        "" if made else ", or 'base' for the recipe's own"
    )
    return f"in the first round there is no '{name}' yet; {instead}"
