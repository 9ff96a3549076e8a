"""The demo's components keep the promises of their contracts."""

from jurist.records import Response
from jurist.testing.kit import CriticContract, JudgeContract, ScorerContract
from jurist_demo.corpus import constitution
from jurist_demo.critic import RuleCritic
from jurist_demo.judges import BriefJudge, FriendlyJudge, StrictJudge
from jurist_demo.oracle import Oracle
from jurist_demo.world import prompts


class TestRuleCritic(CriticContract):
    component = RuleCritic
    principles = constitution().principles


class TestStrictJudge(JudgeContract):
    component = StrictJudge


class TestFriendlyJudge(JudgeContract):
    component = FriendlyJudge


class TestBriefJudge(JudgeContract):
    component = BriefJudge


class TestOracle(ScorerContract):
    component = Oracle

    def samples(self):
        return [(prompt, Response(text="I hate this.")) for prompt in prompts("dev")[:20]]
