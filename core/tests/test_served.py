from typing import Any

from jurist.chat import ChatReply
from jurist.engine.served import Served
from jurist.events import Events


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
        served.saw("gpt", "m", reply("gpt-1", "fp_1"))
    served.saw("gpt", "m", reply("gpt-1", "fp_2"))
    served.saw("claude", "m", reply("claude-1"))
    served.saw("local", "m", reply(None))
    assert served.summary() == {"gpt": {"gpt-1 (fp_1)": 3, "gpt-1 (fp_2)": 1}, "claude": {"claude-1": 1}}


def test_a_change_is_told_once_for_each_new_version() -> None:
    told = Told()
    served = Served(told)
    for model in ("gpt-1", "gpt-1", "gpt-2", "gpt-1", "gpt-2", "gpt-3"):
        served.saw("gpt", "m", reply(model))
    served.saw("other", "m", reply("gpt-9"))
    assert told.notices == [
        ("gpt", "another version answers than before: gpt-2, not gpt-1"),
        ("gpt", "another version answers than before: gpt-3, not gpt-1, gpt-2"),
    ]


def test_a_policy_that_was_trained_is_no_change_of_version() -> None:
    told = Told()
    served = Served(told)
    served.saw("hf", "base", reply("models/base"))
    served.saw("hf", "trained", reply("runs/sft/model"))
    assert told.notices == []
    assert served.summary() == {"hf": {"models/base": 1, "runs/sft/model": 1}}
