"""Artifacts: what stages hand on to each other, by name."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, JsonValue

from jurist.errors import UsageError
from jurist.near_names import near_miss
from jurist.records import Record
from jurist.stage_settings import Reference
from jurist.train_jobs import ArtifactKind

Kind = Literal[ArtifactKind, "revisions", "preferences", "jury"]
"""What stages make: with a trainer, with models that write, or with a jury."""

ARTIFACTS = frozenset({"base", *get_args(Kind)})
"""Names that artifacts have, whichever stage makes them."""


class StageArtifact(Record):
    """Something a stage made, or a policy that the recipe starts from.

    ``path`` is a dataset or a checkpoint; ``component`` the settings that answer with a policy,
    judge with a labeler, or decide with a jury that was learnt. ``judges`` are those whom such a jury is
    learnt for, by name, each with its version; '' where that is not known yet.
    ``fingerprint`` changes whenever the content may have changed.
    """

    kind: Kind
    fingerprint: str
    path: Path | None = None
    component: dict[str, JsonValue] | None = None
    judges: dict[str, str] = Field(default={})


class Artifacts:
    """The artifacts known so far. The newest of a kind goes by the kind's name too."""

    def __init__(self) -> None:
        self._known: dict[str, StageArtifact] = {}

    def add(self, name: str, artifact: StageArtifact) -> None:
        """Make an artifact known under its stage's name and as the newest of its kind."""
        self._known[name] = artifact
        self._known[artifact.kind] = artifact

    def add_base(self, artifact: StageArtifact) -> None:
        """The policy the recipe starts from: ``base``, and ``policy`` until one is trained."""
        self.add("base", artifact)

    def get(self, name: str, where: str, kinds: Collection[str] | None = None) -> StageArtifact:
        """The artifact of that name, which is of one of ``kinds`` where that matters.

        Raises:
            UsageError: no earlier stage makes it, or it is something else.
        """
        if name not in self._known:
            raise UsageError(
                f"{where}: no earlier stage makes '{name}'{near_miss(name, self._known)}",
                hint=_MADE_BY.get(name, "put the stage that makes it before this one"),
            )
        artifact = self._known[name]
        if kinds is not None and artifact.kind not in kinds:
            wanted = " or ".join(_NOUNS[kind] for kind in sorted(kinds))
            raise UsageError(f"{where}: '{name}' stands for {_NOUNS[artifact.kind]}, and {wanted} is needed")
        return artifact

    def find(self, name: str) -> StageArtifact | None:
        """The artifact of that name, if there is one."""
        return self._known.get(name)

    def stands_for(self, component: Reference) -> bool:
        """Whether these settings, as :meth:`component` gave them, are an artifact's: what is asked is then
        known only when it was made."""
        return any(component is artifact.component for artifact in self._known.values())

    def askable(self) -> list[str]:
        """The names of artifacts that stand for a component."""
        return [name for name, artifact in self._known.items() if artifact.component is not None]

    def component(self, reference: Reference) -> Reference:
        """The settings behind a reference: those of an artifact, or the reference itself.

        Raises:
            UsageError: the artifact is nothing that can be asked, or no earlier stage makes it.
        """
        if isinstance(reference, str) and reference in self._known:
            artifact = self._known[reference]
            if artifact.component is None:
                raise UsageError(
                    f"'{reference}' stands for {_NOUNS[artifact.kind]}, which cannot be asked anything here",
                    hint="name a component, or an artifact that is one: a policy, a labeler or a jury",
                )
            return artifact.component
        if isinstance(reference, str) and reference in ARTIFACTS:
            raise UsageError(f"no earlier stage makes '{reference}'", hint=_MADE_BY[reference])
        return reference


_NOUNS = {
    "policy": "a policy",
    "reward_model": "a reward model",
    "labeler": "a labeler",
    "revisions": "revisions",
    "preferences": "preferences",
    "jury": "a jury",
}

_BASE = "set 'policy:' in the recipe, as in policy: {use: hf, model: PATH}"
_MADE_BY = {
    "base": _BASE,
    "policy": _BASE,
    "reward_model": "put a stage 'train' with a trainer of reward models before this one, or name "
    "'scorers:', or give the trainer a 'reward'",
    "labeler": "put a stage 'train' with a trainer of labelers before this one",
    "revisions": "put a stage 'revise' or 'best_of' before this one",
    "preferences": "put a stage 'compare' before this one",
    "jury": "put a stage 'validate' before this one, with an aggregator that is to be learnt",
}
"""What makes each artifact."""
