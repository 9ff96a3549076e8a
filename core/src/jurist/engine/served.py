"""Served: which models really answered, as their providers name them."""

from __future__ import annotations

from collections import Counter

from jurist.chat import ChatReply
from jurist.events import Events

Version = tuple[str | None, str | None]
"""The model that a provider says it ran, and the fingerprint of its set-up."""


class Served:
    """Counts the versions that answered for each component, and tells when another one begins to.

    A provider may change what is behind a name at any time, and two versions are two judges.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._versions: dict[tuple[str, str], Counter[Version]] = {}

    def saw(self, component: str, owner: str, reply: ChatReply) -> None:
        """Count the version that wrote ``reply``; ``owner`` tells apart models that bear one name in turn."""
        version = reply.served_model, reply.fingerprint
        if version == (None, None):
            return
        known = self._versions.setdefault((component, owner), Counter())
        if known and version not in known:
            earlier = ", ".join(map(_text, known))
            told = f"another version answers than before: {_text(version)}, not {earlier}"
            self._events.notice(component, told)
        known[version] += 1

    def summary(self) -> dict[str, dict[str, int]]:
        """Component → version → how many replies it wrote."""
        found: dict[str, Counter[str]] = {}
        for (component, _), versions in self._versions.items():
            counts = found.setdefault(component, Counter())
            counts.update({_text(version): count for version, count in versions.items()})
        return {component: dict(counts.most_common()) for component, counts in found.items()}


def _text(version: Version) -> str:
    model, fingerprint = version
    return f"{model or 'unnamed'} ({fingerprint})" if fingerprint else str(model)
