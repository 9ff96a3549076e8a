"""``jurist validate``: judges, or verdicts that they gave before, against people's labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import click

from jurist.errors import GateStop, PluginError, UsageError
from jurist.validation.result import Required
from jurist_registry.commands.execution import carry_out, no_plugin_option, out_option, spending_options
from jurist_registry.jury_file import one_stage_recipe, placed_in, reference_of, settings_of
from jurist_registry.registry import Registry

if TYPE_CHECKING:
    from jurist.aggregators.aggregation import Aggregation
    from jurist.recipe import Recipe
    from jurist.validation.result import Thresholds

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SHARE = click.FloatRange(0, 1)
_LIVE = {
    "labelled": "LABELLED",
    "jury": "--judges",
    **{name: f"--{name.replace('_', '-')}" for name in ("orders", "anchors", "out", "max_usd", "max_tokens")},
}
_RECORDED = {"subject": "--subject"}


@click.command()
@click.argument("labelled", required=False, type=_FILE)
@click.option(
    "--judges",
    "jury",
    type=_FILE,
    help="YAML: a list of judges, or a mapping with 'judges' and other settings of a validate stage.",
)
@click.option("--verdicts", type=_FILE, help="Labelled items with votes on them; nobody is asked.")
@click.option(
    "--aggregate",
    multiple=True,
    metavar="NAME",
    help="Aggregators of the jury, in the order they are asked; '{use: NAME, OPTION: …}' does too.",
)
@click.option("--subject", metavar="NAME", help="The judge or aggregator that will be used, if not the jury.")
@click.option("--orders", metavar="NAME", help="The orders in which judges see responses.")
@click.option("--anchors", type=_FILE, help="Verdicts of an earlier run: judge them again and compare.")
@click.option("--warn", type=_SHARE, help="The accuracy from which the jury is used with a warning.")
@click.option("--trust", type=_SHARE, help="The accuracy from which it is trusted.")
@click.option(
    "--require", type=click.Choice(get_args(Required)), help="Exit with code 4 below; default none."
)
@click.option("--seed", type=int, help="Of the folds and resamples; default 0.")
@click.option(
    "--save-jury",
    type=click.Path(file_okay=False, path_type=Path),
    help="Learn the jury from all items and save it in this folder, unless --require is not met.",
)
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all of it to this file too.",
)
@out_option
@spending_options
@no_plugin_option
def validate(**given: Any) -> None:
    """Measure judges and juries against people's labels.

    LABELLED has JSON lines with item, label, prompt, response_a and response_b; the judges in --judges are
    asked about them, in the folder --out, by default runs/validate-LABELLED. Or --verdicts names a file
    that has votes already, such as the verdicts.jsonl of an earlier run.
    """
    _refuse_what_does_not_go_together(given)
    registry = Registry.discover(disabled=given["no_plugin"])
    if given["verdicts"] is None:
        with placed_in(given["jury"]):
            _ask(given, registry)
    else:
        _measure_recorded(given, registry)


def _refuse_what_does_not_go_together(given: dict[str, Any]) -> None:
    if given["verdicts"] is None and (given["labelled"] is None or given["jury"] is None):
        raise click.UsageError("give LABELLED and --judges, or --verdicts")
    wrong, beside = (_RECORDED, "LABELLED") if given["verdicts"] is None else (_LIVE, "--verdicts")
    found = [option for name, option in wrong.items() if given[name] is not None]
    if found:
        raise click.UsageError(f"no meaning beside {beside}: {', '.join(found)}")


def _refuse_to_save_what_does_not_learn(name: str, aggregation: Aggregation | None) -> None:
    if aggregation is None:
        raise UsageError(
            f"--save-jury: '{name}' is not learnt from labelled items, so there is nothing to save",
            hint="name an aggregator that is with --aggregate or --subject; jurist plugins list",
        )
    aggregation.check_learns("--save-jury")


# --- judges that are asked ---------------------------------------------------------------------------


def _ask(given: dict[str, Any], registry: Registry) -> None:
    from jurist.aggregators.aggregation import Aggregation
    from jurist.run_files import stage_folder
    from jurist.stage_settings import JudgingSettings

    recipe = _recipe(given)
    folder = given["out"] or Path("runs", recipe.name)
    made = stage_folder(folder, 1, recipe.stages[0].name)
    if given["save_jury"] is not None:
        Aggregation.of(cast(JudgingSettings, recipe.stages[0]).aggregate, registry).check_learns(
            "--save-jury"
        )
    try:
        carry_out(recipe, folder, registry, given["max_usd"], given["max_tokens"])
    except GateStop:
        _tell(made, given["file"])
        raise
    _tell(made, given["file"])
    click.echo(f"verdicts: {made / 'verdicts.jsonl'}")
    if given["save_jury"] is not None:
        unlearnt = _read(made / "summary.json").get("not_learnt")
        if unlearnt is not None:
            raise UsageError("--save-jury: no jury was learnt, so there is none to save", cause=unlearnt)
        shutil.copytree(made / "jury", given["save_jury"], dirs_exist_ok=True)
        click.echo(f"jury: {given['save_jury']}")


def _recipe(given: dict[str, Any]) -> Recipe:
    """The recipe of one stage; what is given here goes before what the file of judges says."""
    settings = settings_of(given["jury"])
    stage = {"require": "none", **settings, "stage": "validate", "labelled": str(given["labelled"])}
    stage |= {name: given[name] for name in ("orders", "require") if given[name] is not None}
    if given["anchors"] is not None:
        stage["anchors"] = str(given["anchors"])
    if given["aggregate"]:
        stage["aggregate"] = [reference_of(text) for text in given["aggregate"]]
    thresholds = {name: given[name] for name in ("warn", "trust") if given[name] is not None}
    in_file = stage.get("thresholds") or {}
    if thresholds and isinstance(in_file, dict):  # what is no mapping is refused with all other faults
        stage["thresholds"] = {**in_file, **thresholds}
    if given["seed"] is not None:
        stage["seed"] = given["seed"]
    return one_stage_recipe(stage, f"validate-{given['labelled'].stem}", subject=str(given["jury"]))


def _tell(made: Path, file: Path | None) -> None:
    """Print what was measured, and write it where it is wanted; where a judge had drifted, that is all."""
    from jurist.files.jsonl import write_json

    text = made / "validation.txt"
    if text.exists():
        click.echo(text.read_text(encoding="utf-8").rstrip())
    if file is None:
        return
    measured = {} if not text.exists() else _read(made / "validation.json")
    drift = made / "drift.json"
    write_json(file, {**measured, **({"drift": _read(drift)} if drift.exists() else {})})


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# --- verdicts that are at hand -----------------------------------------------------------------------


def _measure_recorded(given: dict[str, Any], registry: Registry) -> None:
    from jurist.files.jsonl import write_json
    from jurist.validation.labelled import load_labelled
    from jurist.validation.measurement import hold_against, validate

    thresholds = _thresholds(given)
    items = load_labelled(given["verdicts"])
    aggregations = _aggregations(given["aggregate"], registry)
    subject = given["subject"] or aggregations[0].name
    learner = next((each for each in aggregations if each.name == subject), None)
    if given["save_jury"] is not None:
        _refuse_to_save_what_does_not_learn(subject, learner)
    measured = validate(
        items, aggregations, registry, subject=subject, thresholds=thresholds, seed=given["seed"] or 0
    )
    click.echo(measured.text.rstrip())
    if given["file"] is not None:
        write_json(given["file"], measured.model_dump(mode="json"))
    told = measured.model_dump(include={"recommendation", "subject", "reason"})
    hold_against(given["require"] or "none", **told)
    if given["save_jury"] is not None and learner is not None:
        learner.learn(items).save(given["save_jury"])
        click.echo(f"jury: {given['save_jury']}")


def _thresholds(given: dict[str, Any]) -> Thresholds:
    from pydantic import ValidationError

    from jurist.fault_lines import faults_of
    from jurist.validation.result import Thresholds

    try:
        return Thresholds(**{name: given[name] for name in ("warn", "trust") if given[name] is not None})
    except ValidationError as error:
        raise UsageError.of_faults("thresholds", faults_of(error, (), "thresholds")) from error


def _aggregations(names: tuple[str, ...], registry: Registry) -> list[Aggregation]:
    """The jury that is named, and the plain aggregators; without one, all that need no settings."""
    from jurist.aggregators.aggregation import Aggregation, measured_beside

    if names:
        return measured_beside(Aggregation.of(map(reference_of, names), registry), registry)
    plain = measured_beside(Aggregation.of(["majority"], registry), registry)
    return [*plain, *_learnt(registry)]


def _learnt(registry: Registry) -> list[Aggregation]:
    """Every installed aggregator that can be learnt with its defaults."""
    from jurist.aggregators.aggregation import Aggregation

    found = []
    for component in registry.components("aggregator"):
        try:
            aggregation = Aggregation.of([component.name], registry)
        except UsageError:
            continue  # it needs settings, or decides before judges are asked
        except PluginError as error:
            click.echo(f"left out: {error}", err=True)
            continue
        if aggregation.learnt_component is not None:
            found.append(aggregation)
    return found
