"""The phrases in which judges give their verdicts, in English and Chinese, as regular expressions."""

from __future__ import annotations

import re

FLAGS = re.IGNORECASE | re.MULTILINE

NOUN = (
    r"(?:(?:response|answer|assistant|output|option|model|candidate|summary|reply|completion|choice|text)(?:'s)?"
    r"|回答|回复|答案|选项|助手|模型|输出|答复)"
)
ORDINAL = (
    r"(?:first|second)\s+(?:response|answer|assistant|output|option|model|candidate|summary|reply|one)\b"
    r"|第[一二](?:个|份|条)?(?:回答|回复|答案|选项|助手|模型|输出)"
)
TIE = (
    r"(?:an?\s+)?(?:tie|draw)\b|(?:both\s+(?:are\s+)?)?equal(?:ly\s+good)?\b|neither\s+is\s+better\b"
    r"|平局|平手|不分高下|不分上下|不相上下|一样好|同样好|难分高下"
)
SUBJECT = (
    r"(?:\b(?:verdict|answer|winner|choice|preference|decision|judge?ment|selection|conclusion)"
    r"|\b(?:better|best|preferred|superior)\s+(?:response|answer|assistant|output|option|one|summary|reply)"
    r"|结论|答案|判断|判定|裁决|评判|胜者|选择|(?:更好|较好|更优|更佳)的(?:回答|回复|答案|选项|一个|是)?)"
)
COPULA = r"\s*(?:\bis\b\s*:?|:|=|(?<=\s)[-–—](?=\s)|->|→|应该是|应为|应是|是|为)\s*"
CHOOSE = (
    r"(?:\b(?:I|we)(?:'d|'ll)?(?:\s+(?:would|will|must|therefore|thus|finally|have\s+to))*"
    r"\s+(?:choose|chose|pick|select|prefer|favou?r|go\s+with)\s+"
    r"|(?:我|因此|所以|最终|最后|应该?|故)(?:会|应该|将|最终|更)?(?:选择|选|喜欢|倾向于?|偏好)\s*"
    r"|^\s*(?:choose|pick|select)\s+|^\s*选择?\s*)"
)
BETTER = (
    r"(?:\s+(?:is|was)\s+(?:(?:clearly|slightly|overall|much|definitely|significantly|marginally|therefore|thus|the)\s+)*"
    r"(?:better|superior|best|preferable|preferred|stronger|winner)\b(?:\s+(?:response|answer|output|choice|option|one)\b)?"
    r"|\s+wins\b|\s*(?:明显|显然|总体上?|整体上?|略微?|稍微?|要|的质量|质量)*(?:更好|更优|更佳|较好|较优|更胜一筹|胜出|获胜|优于|好于))"
)
BOTH_EQUAL = (
    r"\b(?:both|they|the\s+two|the)(?:\s+(?:responses|answers|outputs))?\s+are\s+(?:about\s+)?"
    r"(?:equally\s+(?:good|helpful|strong)\b|of\s+equal\s+quality|equal\b|tied\b)|\bit(?:'s|\s+is)\s+a\s+(?:tie|draw)\b"
    r"|(?:两个?(?:回答|者)?|二者)(?:质量)?(?:不相上下|一样好|同样好|平局|不分上下|不分高下|难分高下)"
)
ALSO = r"\s*(?:/|\bor\b|\band\b|&|\||、|或者?|和|与|还是)\s*"

ASPECT = re.compile(
    r"\s*(?:at|in|on|for|when|with\s+respect|regarding|as\s+far\s+as|structured|written|formatted|suited|organi[sz]ed)\b"
    r"(?!\s+(?:overall|general|every|all|terms\s+of\s+overall|my|this\s+case))",
    FLAGS,
)
CONDITION = re.compile(r"\s*(?:\bif\b|\bwhen\b|\bunless\b|如果|若|当)", FLAGS)
CONDITIONAL = re.compile(
    r"(?:\b(?:if|unless|whether)\b(?!\s+(?:I|we)\s+(?:had|have|must))|如果|假如|倘若)[^.!?\n。]*$", FLAGS
)
VOID = re.compile(
    r"\b(?:not|never|cannot|hardly|whether|if|unless|would\s+be|could|might|may|although|though|while|either|says|said"
    r"|claims?|claimed|tells?|told|asks?|asked|instructs?|instructed|instructions?\s+to|attempts?|tries|trying|demands?"
    r"|insists?|wants?|writes?|wrote|contains?|states?|ignore)\b|n't\b"
    r"|不(?!相上下|分|仅|过|错)|没有|是否|如果|若|假如|无法|虽然|尽管|声称|要求|指示|让我|试图|写道|可能|或许|(?<!来)说(?!明)",
    FLAGS,
)
CLAUSE_END = re.compile(
    r"[.;!?\n,。]|\b(?:so|therefore|thus|hence|but|however|because)\b|所以|因此|但是?|然而|因为|故而|综上",
    FLAGS,
)
COMPARED_WITH = re.compile(r"(?:比|比起|\bthan)\s*$", FLAGS)
QUOTED = re.compile(r"\"([^\"\n]*)\"|“([^”\n]*)”|「([^」\n]*)」|『([^』\n]*)』")
JSON_KEYS = frozenset(
    {
        "verdict",
        "final_verdict",
        "answer",
        "final_answer",
        "winner",
        "choice",
        "preferred",
        "preference",
        "better",
        "better_response",
        "best",
        "decision",
        "judgment",
        "judgement",
        "selection",
        "结论",
        "最终结论",
        "答案",
        "选择",
        "胜者",
        "更好的回答",
    }
)
