"""``jurist plugins``: what is installed, from where, what is broken and why."""

from __future__ import annotations

import traceback
from itertools import groupby
from typing import TYPE_CHECKING

import click

from jurist.errors import UsageError
from jurist.near_names import near_miss
from jurist_registry.registry import Registry

if TYPE_CHECKING:
    from jurist_registry.doctor import Diagnosis
    from jurist_registry.plugin import BrokenPlugin


@click.group(invoke_without_command=True)
@click.pass_context
def plugins(context: click.Context) -> None:
    """What is installed, from where, what is broken and why."""
    if context.invoked_subcommand is None:
        context.invoke(list_plugins)


@plugins.command("list")
def list_plugins() -> None:
    """List every component by its distribution, then what is broken."""
    registry = Registry.discover()
    components = registry.components()
    kinds = max((len(component.kind) for component in components), default=0)
    names = max((len(component.name) for component in components), default=0)
    for distribution, offered in groupby(components, key=lambda component: component.distribution):
        click.echo(distribution)
        for component in offered:
            click.echo(f"  {component.kind:<{kinds}}  {component.name:<{names}}  {component.summary}")
    if registry.broken:
        click.echo("\nbroken (the others work):")
    for plugin in registry.broken:
        click.echo(_broken_text(plugin))


@plugins.command()
@click.argument("name")
@click.pass_context
def show(context: click.Context, name: str) -> None:
    """Show where a plugin or component comes from, and its options."""
    from jurist_registry.component_text import write_component

    registry = Registry.discover()
    broken = [plugin for plugin in registry.broken if plugin.answers_to(name)]
    shown = [
        component
        for plugin in registry.plugins
        for component in plugin.components
        if plugin.answers_to(name) or name in (component.name, f"{plugin.project}:{component.name}")
    ]
    if not (shown or broken):
        names = {component.name for component in registry.components()}
        names |= {plugin.name for plugin in registry.plugins} | {plugin.name for plugin in registry.broken}
        fault = f"no plugin or component is called '{name}'{near_miss(name, names)}"
        raise UsageError(fault, hint="jurist plugins list")
    for plugin in broken:
        click.echo(_broken_text(plugin))
    for number, component in enumerate(shown):
        formatter = context.make_formatter()
        write_component(component, formatter)
        click.echo("\n" * (number > 0) + formatter.getvalue().rstrip())


@plugins.command()
@click.option("--why", metavar="NAME", help="Print the whole traceback of a broken plugin.")
@click.option("--strict", is_flag=True, help="Exit with code 2 if something is broken.")
def doctor(why: str | None, strict: bool) -> None:
    """Check every plugin: its classes, names, versions and metadata."""
    from jurist_registry.doctor import examine

    registry = Registry.discover()
    if why is not None:
        _explain(registry, why)
        return
    diagnoses = examine(registry)
    for diagnosis in diagnoses:
        click.echo(_diagnosis_text(diagnosis))
    broken = sum(diagnosis.broken for diagnosis in diagnoses)
    click.echo(
        f"{len(registry.plugins)} plugins work with {len(registry.components())} components; "
        f"{broken} broken, {len(diagnoses) - broken} warnings."
    )
    if strict and broken:
        raise UsageError(f"{broken} of what is installed is broken.", hint="follow the remedies above")


def _explain(registry: Registry, name: str) -> None:
    found = [plugin for plugin in registry.broken if plugin.answers_to(name)]
    if not found:
        known = {plugin.name for plugin in registry.broken}
        raise UsageError(f"no broken plugin is called '{name}'{near_miss(name, known)}")
    for plugin in found:
        click.echo("".join(traceback.format_exception(plugin.error.__cause__ or plugin.error)).rstrip())
        click.echo(_broken_text(plugin))


def _broken_text(plugin: BrokenPlugin) -> str:
    return f"  {plugin.name} ({plugin.distribution})\n    cause  {plugin.cause}\n    try    {plugin.hint}"


def _diagnosis_text(diagnosis: Diagnosis) -> str:
    level = "broken" if diagnosis.broken else "warning"
    return f"{level}: {diagnosis.subject}\n  cause  {diagnosis.cause}\n  try    {diagnosis.hint}\n"
