"""Everything that can be found wrong with a recipe before anything is spent, all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from jurist.artifacts import Artifacts, StageArtifact
from jurist.constitution import Constitution
from jurist.contracts import ChatModel
from jurist.errors import JuristError, PluginError, ProviderError, UsageError
from jurist.near_names import nearest
from jurist.planning.rehearsal import UnmeteredModels
from jurist.recipe import Recipe, resolve_path
from jurist.run_files import LEDGER, RECIPE, STATE, RunFiles
from jurist.selection import ComponentSource, Selection, select
from jurist.stage_settings import Reference
from jurist.stages import STAGES, Stage
from jurist.stages.judging import JudgingStage
from jurist.stages.jury_faults import jury_faults
from jurist.stages.overlap import overlaps
from jurist.stages.train import TrainStage
from jurist.stages.twins import twins
from jurist.stages.validate import ValidateStage

T = TypeVar("T")


@dataclass(frozen=True)
class Checked:
    """A recipe whose settings, components, files and hand-overs were found right.

    ``handed`` are the artifacts that each stage is handed, without paths yet. ``notices`` are no faults, but
    should be known: the name of a stage, and what there is to say of it.
    """

    recipe: Recipe
    constitution: Constitution
    stages: tuple[Stage, ...]
    handed: tuple[Artifacts, ...]
    notices: tuple[tuple[str, str], ...]


def check(recipe: Recipe, source: ComponentSource) -> Checked:
    """Check a recipe without making a call.

    Raises:
        UsageError: lists every fault found.
    """
    findings = _Findings()
    constitution = findings.of(lambda: load_constitution(recipe))
    artifacts = Artifacts()
    base = base_policy(recipe)
    if base is not None:
        artifacts.add_base(base)
        findings.of_policy(base, source)
    stages, handed = [], []
    for settings in recipe.stages:
        stage = STAGES[settings.stage](settings, recipe)
        stages.append(stage)
        handed.append(deepcopy(artifacts))
        findings.of_stage(stage, artifacts, constitution, source)
    findings.raise_if_any(recipe.name)
    assert constitution is not None
    notices = (*overlaps(stages), *twins(stages, handed, source, constitution))
    return Checked(recipe, constitution, tuple(stages), tuple(handed), notices)


async def check_start(
    checked: Checked, source: ComponentSource, folder: Path, max_usd: float | None = None
) -> None:
    """Refuse a run that could not keep its word in ``folder``, make its calls, or hold a cap of ``max_usd``.

    Raises:
        UsageError: the folder is that of another recipe; or names all anchors that are the run's own, all
            chat models that lack something, or all whose price is not known.
    """
    _check_folder(checked, folder)
    asked = list(_chat_models(checked, source))
    models = UnmeteredModels()
    try:
        if not (folder / LEDGER).exists():  # else it may well have every answer that is needed
            _check_access(checked.recipe, asked, models)
        if max_usd is not None:
            _check_prices(asked, models, max_usd)
    finally:
        await models.close()


def _check_folder(checked: Checked, folder: Path) -> None:
    faults = [fault for stage in checked.stages for fault in stage.faults_in(folder)]
    if other := _other_recipe(checked.recipe, folder):
        faults.append(f"a run of recipe '{other}' is in it")
    if faults:
        what = f"recipe '{checked.recipe.name}' cannot run in {folder}"
        raise UsageError.of_faults(what, faults, hint="run it in another folder: --out DIR")


def _check_access(recipe: Recipe, asked: Iterable[tuple[str, Selection]], models: UnmeteredModels) -> None:
    faults = []
    for place, selection in asked:
        if cast(type[ChatModel], selection.implementation).check_access is ChatModel.check_access:
            continue  # it needs nothing, and to build it may take long
        try:
            cast(ChatModel, models.of(selection)).check_access()
        except ProviderError as error:
            faults.append("\n    ".join(f"{place}: {error}".splitlines()))
    if faults:
        raise UsageError.of_faults(f"recipe '{recipe.name}' cannot run", faults)


def _check_prices(asked: Iterable[tuple[str, Selection]], models: UnmeteredModels, max_usd: float) -> None:
    faults = [
        f"{place}: the price of '{selection.label}' is not known"
        for place, selection in asked
        if cast(ChatModel, models.of(selection)).price() is None
    ]
    if faults:
        raise UsageError.of_faults(
            f"a cap of ${max_usd:g} cannot be held",
            faults,
            hint="give each a price: {input: …, output: …} (USD per million tokens), or cap tokens instead: "
            "budget: {tokens: …} or --max-tokens",
        )


def _other_recipe(recipe: Recipe, folder: Path) -> str | None:
    """The name of another recipe whose run is in ``folder``."""
    if not (folder / RECIPE).exists() or not (folder / STATE).exists():
        return None
    name = str(RunFiles.read(folder).recipe.get("name", recipe.name))
    return None if name == recipe.name else name


def _chat_models(checked: Checked, source: ComponentSource) -> Iterator[tuple[str, Selection]]:
    """The chat models that will be asked, each with its place in the recipe."""
    for stage, artifacts in zip(checked.stages, checked.handed, strict=True):
        for where, kind, reference in stage.references():
            start = isinstance(stage, TrainStage) and kind == "chat_model"
            if kind in ("aggregator", "trainer") or start:
                continue  # they make no calls
            selection = select(kind, artifacts.component(reference), source, where)
            for place, each in selection.within(where):
                if issubclass(each.implementation, ChatModel):
                    yield place, each


def load_constitution(recipe: Recipe) -> Constitution:
    """The recipe's constitution: inline, a file, or the name of one that Jurist brings."""
    value = recipe.constitution
    if isinstance(value, str):
        return Constitution.load(str(resolve_path(value)))
    return Constitution.of(value)


def base_policy(recipe: Recipe) -> StageArtifact | None:
    """The policy that the recipe starts from, as an artifact."""
    if recipe.policy is None:
        return None
    component = {"use": recipe.policy} if isinstance(recipe.policy, str) else dict(recipe.policy)
    return StageArtifact(kind="policy", fingerprint="", component=component)


class _Findings:
    """Collects faults instead of stopping at the first."""

    def __init__(self) -> None:
        self._faults: list[str] = []
        # Stages of which it is not known what they make: nothing is said of what others take from them.
        self._unknown: list[str] = []

    def of(self, action: Callable[[], T]) -> T | None:
        """The result of ``action``, or None when it found a fault."""
        try:
            return action()
        except (UsageError, PluginError) as error:
            self._add(error)
            return None

    def holds(self, check: Callable[[], None]) -> bool:
        """Whether ``check`` finds no fault."""
        known = len(self._faults)
        self.of(check)
        return len(self._faults) == known

    def of_policy(self, base: StageArtifact, source: ComponentSource) -> None:
        """Check the policy to start from; its faults are told here, not again where it is used."""
        if self.of(lambda: select("chat_model", base.component or {}, source, "policy")) is None:
            self._unknown += ["base", "policy"]

    def of_stage(
        self,
        stage: Stage,
        artifacts: Artifacts,
        constitution: Constitution | None,
        source: ComponentSource,
    ) -> None:
        """Check one stage, given what earlier stages make, and add what it makes."""
        if isinstance(stage, TrainStage) and self.of(lambda: stage.trainer(source)) is None:
            self._unknown.append(stage.name)
            return
        sound = self._components_hold(stage, artifacts, source)
        if isinstance(stage, TrainStage):
            self._of_inputs(stage, artifacts)
        if isinstance(stage, ValidateStage) and not (
            sound and self.holds(lambda: stage.prepare(artifacts, source, constitution))
        ):
            self._unknown += [stage.name, "jury"]
        self._faults += self.of(stage.faults) or []
        if isinstance(stage, JudgingStage):
            self._faults += jury_faults(stage, constitution, artifacts, source)
            if sound and constitution is not None:
                self._faults += (
                    self.of(lambda: stage.aggregator_faults(artifacts, source, constitution)) or []
                )
        made = stage.makes()
        if isinstance(stage, TrainStage) and made is not None and stage.base() is None:
            made = self._trained(stage, made, artifacts, source)
        if made is not None:
            artifacts.add(stage.name, made)

    def _components_hold(self, stage: Stage, artifacts: Artifacts, source: ComponentSource) -> bool:
        """Whether all components of a stage are known, and nothing is wrong with them."""
        before = len(self._faults)
        for place, kind, reference in stage.references():
            if reference in self._unknown:
                continue
            component = self.of(lambda p=place, r=reference: _component(p, r, artifacts))  # type: ignore[misc]
            if component is not None:
                self.of(lambda p=place, k=kind, c=component: _selected(k, c, artifacts, source, p))  # type: ignore[misc]
        unknown = any(reference in self._unknown for _, _, reference in stage.references())
        return len(self._faults) == before and not unknown

    def _of_inputs(self, stage: TrainStage, artifacts: Artifacts) -> None:
        """Check that earlier stages make what a trainer reads, but for components, which are told already."""
        told = {reference for _, _, reference in stage.references() if isinstance(reference, str)}
        for name in () if self._unknown else stage.inputs():
            if name not in told:
                self.of(lambda n=name: _check_input(stage, n, artifacts))  # type: ignore[misc]

    def _trained(
        self, stage: TrainStage, made: StageArtifact, artifacts: Artifacts, source: ComponentSource
    ) -> StageArtifact:
        """What a training makes that starts from a policy, which must be one that can be trained."""
        if stage.settings.model in self._unknown:
            self._unknown.append(stage.name)
        self._faults += self.of(lambda: _model_faults(stage, artifacts, source)) or []
        if made.kind != "policy":
            return made
        # A policy that will be trained answers through the same component as the one it starts from.
        start = _start(stage, artifacts)
        return made.model_copy(update={"component": {"use": start} if isinstance(start, str) else start})

    def raise_if_any(self, name: str) -> None:
        """Raise one error with every fault, each once."""
        faults = list(dict.fromkeys(self._faults))
        if faults:
            raise UsageError.of_faults(f"recipe '{name}' cannot run", faults)

    def _add(self, error: JuristError) -> None:
        lines = str(error).splitlines()
        self._faults.append("\n    ".join(lines))


def _check_input(stage: TrainStage, name: str, artifacts: Artifacts) -> None:
    """See to it that an earlier stage makes what a training reads; the name may be meant for a file's."""
    try:
        artifacts.get(name, f"stages.{stage.name}", stage.kinds().get(name))
    except UsageError as error:
        file = Path(name)
        looks_like_one = file.suffix or len(file.parts) > 1 or file.exists()
        if name == stage.settings.data and artifacts.find(name) is None and looks_like_one:
            error.hint = f"write {{path: {name}}} where it is a file; or {error.hint}"
        raise


def _model_faults(stage: TrainStage, artifacts: Artifacts, source: ComponentSource) -> list[str]:
    """Why the policy cannot be trained as it stands."""
    where = f"stages.{stage.name}.model"
    try:
        chosen = select("chat_model", artifacts.component(stage.settings.model), source, where)
    except (UsageError, PluginError):
        return []  # reported where the reference is checked
    if "model" not in chosen.settings:
        return [f"{where}: '{chosen.label}' has no 'model' to train; name one: {{use: hf, model: PATH}}"]
    untrained = cast(type[ChatModel], chosen.implementation).not_trained & chosen.settings.keys()
    return [
        f"{where}: the trainer would know nothing of the policy's option '{name}'; save a checkpoint that "
        "has it built in, and start from that"
        for name in sorted(untrained)
    ]


def _start(stage: TrainStage, artifacts: Artifacts) -> Reference:
    """The component of the policy that training starts from, as far as it is known."""
    try:
        return artifacts.component(stage.settings.model)
    except UsageError:
        return "none"  # reported where the reference is checked


def _selected(
    kind: str, reference: Reference, artifacts: Artifacts, source: ComponentSource, where: str
) -> Selection:
    try:
        return select(kind, reference, source, where)
    except UsageError as error:
        if isinstance(reference, str) and not error.faults and (names := artifacts.askable()):
            near = nearest(reference, names)
            meant = f"the artifact '{near}'" if near else None
            hints = (meant, error.hint, f"name an artifact: {', '.join(names)}")
            error.hint = "; or ".join(filter(None, hints))
        raise


def _component(where: str, reference: Reference, artifacts: Artifacts) -> Reference:
    try:
        return artifacts.component(reference)
    except UsageError as error:
        raise UsageError(f"{where}: {error.what}", hint=error.hint) from error
