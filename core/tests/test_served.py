from typing import Any

from jurist.chat import ChatReply
from jurist.events import Events
from jurist.served import Served


class Told(Events):
    def __init__(self) -> None:
        super().__init__()
        self.notices: list[tuple[str, str]] = []

    def notice(self, component: str, text: str) -> None:
        self.notices.append((component, text))


def reply(model: str | None, fingerprint: str | None = None) -> Any:
    return ChatReply(text="x", served_model=model, fingerprint=fingerprint)


def test_versions_are_counted_for_each_component() -> None:
    served = Served(Told())
    for _ in range(3):
        served.saw("gpt", reply("gpt-1", "fp_1"))
    served.saw("gpt", reply("gpt-1", "fp_2"))
    served.saw("claude", reply("claude-1"))
    served.saw("local", reply(None))
    assert served.summary() == {"gpt": {"gpt-1 (fp_1)": 3, "gpt-1 (fp_2)": 1}, "claude": {"claude-1": 1}}


def test_a_change_is_told_once_for_each_new_version() -> None:
    told = Told()
    served = Served(told)
    for model in ("gpt-1", "gpt-1", "gpt-2", "gpt-1", "gpt-2", "gpt-3"):
        served.saw("gpt", reply(model))
    served.saw("other", reply("gpt-9"))
    assert told.notices == [
        ("gpt", "another version answers than before: gpt-2, not gpt-1"),
        ("gpt", "another version answers than before: gpt-3, not gpt-1, gpt-2"),
    ]
