"""The phrases in which judges give their verdicts, in English and Chinese, as regular expressions."""

from __future__ import annotations

import re

FLAGS = re.IGNORECASE | re.MULTILINE

NOUN = (
    r"(?:(?:response|answer|assistant|output|option|model|candidate|summary|reply|completion|choice|text"
    r"|solution|submission|code)(?:'s|\s+number)?"
    r"|回答|回复|答案|选项|助手|模型|输出|答复)"
)
ORDINAL = (
    r"(?:first|second)\s+(?:response|answer|assistant|output|option|model|candidate|summary|reply|one)\b"
    r"|第[一二](?:个|份|条)?(?:回答|回复|答案|选项|助手|模型|输出)"
)
TIE = (
    r"(?:an?\s+)?(?:tie|draw)\b|(?:both\s+(?:are\s+)?)?equal(?:ly\s+good)?\b|neither\s+is\s+better\b"
    r"|(?:两者|二者|两个回答)?(?:平局|平手|不分高下|不分上下|不相上下|一样好|同样好|难分高下)"
)
SUBJECT = (
    # The correct answer is that of a multiple-choice question, not the judge's.
    r"(?<!correct )(?<!right )(?<!reference )(?<!正确)(?<!标准)(?<!参考)"
    r"(?:\b(?:verdict|answer|winner|choice|preference|decision|judge?ment|selection|conclusion)"
    r"|\b(?:better|best|preferred|superior|selected|chosen|winning)"
    r"\s+(?:response|answer|assistant|output|option|one|summary|reply)"
    r"|\bmy\s+(?:pick|vote)|\b(?:overall|final|result|outcome|preferred|ranking)(?=\s*:)"
    r"|结论|答案|判断|判定|裁决|评判|胜者|选择|(?:结果|总体|整体|^\s*答)(?=\s*:)"
    r"|(?:更好|较好|更优|更佳)的(?:回答|回复|答案|选项|一个|是)?)"
)
COPULA = r"\s*(?:\bis\b\s*:?|:|=|(?<=\s)[-–—](?=\s)|->|→|】\s*:?|(?:应该是|应为|应是|是|为)\s*:?)\s*"
CHOOSE = (
    r"(?:\b(?:I|we)(?:'d|'ll|'m|\s+am)?(?:\s+(?:would|will|must|therefore|thus|finally|have\s+to))*"
    r"\s+(?:choose|chose|pick|select|prefer|favou?r|vote\s+for|go(?:ing)?\s+with)\s+"
    r"|(?:我|因此|所以|最终|最后|应该?|故)(?:会|应该|将|最终|更)?(?:倾向于?选择|选择|选|喜欢|倾向于?|偏好)\s*"
    r"|^\s*(?:choose|pick|select)\s+|^\s*选择?\s*)"
)
RECOMMEND = (
    r"(?:\b(?:I|we)(?:'d)?(?:\s+(?:would|therefore))*\s+recommend\s+"
    r"(?:(?:choosing|using|picking|selecting|that\s+(?:you|users|the\s+user)\s+choose)\s+)?"
    r"|(?:我|因此|所以|更|最终)推荐\s*)"
)
ADVERBS = (
    r"(?:(?:clear(?:ly)?|slightly|overall|much|definitely|significantly|marginally"
    r"|therefore|thus|the|an?)\s+)*"
)
BETTER = (
    rf"(?:\s+(?:gave|gives|provide[sd]|offer(?:s|ed))\s+{ADVERBS}(?:better|best|superior|stronger)\s+{NOUN}"
    rf"|\s+(?:is|was|as)\s+{ADVERBS}(?:better|superior|best|preferable|preferred|stronger|winner)\b"
    rf"(?:\s+(?:{NOUN}|one)\b)?"
    r"|(?:\s+(?:has|gets))?\s+(?:the|a)\s+(?:slight\s+|clear\s+)?edge\b"
    rf"|\s+wins\b|\s+(?:outperforms|beats|surpasses)\s+(?:{NOUN}\s*)?\w+"
    r"|\s*(?:明显|显然|总体上?|整体上?|略微?|稍微?|要|的质量|质量)*"
    # In 更好地 and 更好理解 the word says how, not which.
    r"(?:(?:更好|更优|更佳|较好|较优|略好|稍好)(?!(?![一些点了吧呢也但而因且])[一-鿿])"
    r"|(?:更胜一筹|略胜一筹|胜出|获胜|优于|好于)|是(?:更好|较好|更优|更佳)的))"
)
WORSE = rf"(?:\s+(?:is|was)\s+{ADVERBS}(?:worse\s+than|weaker\s+than|inferior\s+to)|\s*(?:不如|劣于))\s*"
EQUAL = (
    r"(?:\s+are\s+(?:about\s+)?"
    r"(?:equally\s+(?:good|bad|poor|helpful|strong)\b|of\s+equal\s+quality|equal\b|equivalent\b|tied\b)"
    r"|(?:的?质量)?(?:不相上下|一样好|同样好|平局|不分上下|不分高下|难分高下|(?:相当|差不多)(?=\s*(?:[,.。;!]|$))))"
)
BOTH_EQUAL = (
    r"(?:\b(?:both|they|the\s+two|the)(?:\s+(?:responses|answers|outputs|assistants))?|两个?(?:回答|者)?|二者)"
    rf"{EQUAL}|\b(?:it(?:'s|\s+is)|this\s+is|call\s+it)\s+a\s+(?:tie|draw)\b|这是(?:一个|一场)?平局"
    rf"|\bneither(?:\s+{NOUN})?\s+is\s+better(?:\s+than\s+the\s+other)?\b"
)
ALSO = r"\s*(?:/|\bor\b|\band\b|&|\||、|或者?|和|与|还是)\s*"

ASPECT = re.compile(
    # What it is better than may stand between.
    rf"(?:\s+(?:than|to)\s+(?:the\s+)?(?:{NOUN}\s*)?[\w()]+(?:['’]s)?(?:\s+{NOUN})?)?"
    r"\s*(?:at|in|on|for|when|with\s+respect|regarding|as\s+far\s+as)\b"
    r"(?!\s+(?:overall|general|every|all|terms\s+of\s+overall|my|this\s+case))",
    FLAGS,
)
ASPECT_FIRST = re.compile(
    r"(?:(?:^|[.!?;]|,\s*(?:but|and|while|whereas))\s*(?:in\s+terms\s+of|with\s+(?:respect|regard)\s+to|regarding"
    r"|as\s+for|when\s+it\s+comes\s+to|on(?!\s+(?:balance|reflection|the\s+(?:whole|other\s+hand))))\b"
    r"|(?:就|从|在(?!我))(?!总体|整体|综合)[^,。;\n]{1,15}(?:而言|来说|来看|方面|上))"
    r"(?:(?!\b(?:but|however|overall|so|therefore|thus|hence)\b|但|然而|总体|整体|总的|综|所以|因此)[^.!?。;\n])*$",
    FLAGS,
)
"""An aspect is named before it is said who is better: nothing is said of the whole."""
CONDITION = re.compile(r"\s*(?:\bif\b|\bwhen\b|\bunless\b|如果|若|当)", FLAGS)
CONDITIONAL = re.compile(
    r"(?:\b(?:if|unless|whether|assuming|suppos(?:e|ing)|provided\s+that)\b(?!\s+(?:I|we)\s+(?:had|have|must))"
    r"|\b(?:in\s+theory|on\s+paper|at\s+first\s+(?:sight|glance))\b|(?:如果|假如|倘若|若(?!干))(?!必须|一定要|非要|只能))[^.!?\n。]*$",
    FLAGS,
)
DENIED = re.compile(
    r"\b(?:not|never|cannot|hardly|far\s+from|whether|if|unless|would\s+be|could|might|may|although|though|while"
    r"|either|initially|originally|at\s+first)\b|n't\b"
    r"|不(?!相上下|分|仅|过|错)|没有|是否|如果|若|假如|无法|虽然|尽管|可能|或许|起初|最初|一开始",
    FLAGS,
)
REPORTED = re.compile(
    r"\b(?:says|said|claims?|claimed|tells?|told|asks?|asked|instructs?|instructed|instructions?\s+to|attempts?"
    r"|tries|trying|demands?|insists?|wants?|writes?|wrote|contains?|states?|ignore|includes?|ends|ended|concludes"
    r"|concluded|prints?|printed)\b"
    rf"|\b(?:people|users?|readers?|judges?|reviewers?|students?|they|both|{NOUN}s)\s+(?:(?!I\b|we\b)\w+\s+){{0,2}}"
    r"(?:say|believe|think|feel|find|found|argue|prefer)s?\b"
    r"|['’]s\s+(?:code|program|script|(?:last|final)\s+line|conclusion)\b"
    r"|(?:用户|学生|评审|读者|作者|大家|人|回答|助手|模型)[^,。\n]{0,3}(?:认为|觉得)|声称|要求|指示|让我|试图|写道|写着|(?<!来)说(?!明)",
    FLAGS,
)
NOT_GIVEN = re.compile(
    r"(?:\brather\s+than|\binstead\s+of|\bover|而不是|而非|\b(?:its|their|his|her|your)(?:\s+\w+)?"
    r"|(?<!judge)(?<!reviewer)(?<!evaluator)['’]s(?:\s+\w+)?|(?:题目?|问题|学生|用户|作者|他|她|它|(?:回答|模型|助手)\w?)的(?:最终)?)\s*$",
    FLAGS,
)
"""What stands before an answer that was turned down, or is somebody else's."""
RETRACTED = re.compile(
    r"\b(?:scratch\s+that|tak(?:e|ing)\s+(?:that|it)\s+back|no\s+longer\s+sure|changed?\s+my\s+mind"
    r"|I\s+mis(?:read|judged|took)|correction\s*:|on\s+second\s+thoughts?)"
    r"|(?:^|[.!?])\s*(?:no,?\s+)?(?:wait\b|actually\b)|更正|看错|收回|[.。]\s*等等",
    FLAGS,
)
"""The writer takes back what was said before."""
CLAUSE_END = re.compile(
    r"[.;!?\n,。]|\b(?:so|therefore|thus|hence|but|however|because)\b|所以|因此|但是?|然而|因为|故而|综上",
    FLAGS,
)
YET = re.compile(r"[\s,.。;]*(?:but|however|although|though|yet|except|但|不过|只是|尽管)", FLAGS)
"""What follows a tie that was only conceded."""
COMPARED_WITH = re.compile(r"(?:比|比起|\bthan)\s*$", FLAGS)
LABEL_END = re.compile(
    r"(?:['’]s\b(?:\s+\w+)?)?[ \t]*(?:$|(?![:=+'’]|-(?:$|[,.]))[^\w\s]|\w+\s*:"
    r"|(?:of|so|between|because|since|as|for|over|by|due|with|although|though|but|while|whereas|given|on|in|at|and|than|rather"
    r"|instead|if|unless|when|here|overall|to|again)\b|因为|由于|作为|而|吧|了|和|与|或|还是)",
    FLAGS,
)
"""What follows a name that is an answer; else it begins a sentence: ``Verdict: A close call``."""
ARTICLE_END = re.compile(r"\s*(?:$|[.,;!。])", FLAGS)
"""What follows a lower-case name that is an answer: ``a`` is also an article."""
LEADS_IN = re.compile(
    r"(?:^|[^\w\s(]|[为得觉体来说看下中此以但而断论比定是]"
    r"|\b(?:that|so|but|and|overall|think|believe|find|say|therefore|thus|hence|because|since|while|then|clearly))\s*$",
    re.IGNORECASE,
)
"""What stands before a bare letter that names a response: not ``Vitamin B``."""
QUOTED = re.compile(
    r"\"([^\"\n]*)\"|“([^”\n]*)”|「([^」\n]*)」|『([^』\n]*)』|«([^»\n]*)»|‘([^’\n]*)’|(?<!\w)'([^'\n]*)'(?!\w)"
)
KEY = (
    r"(?:(?:final[_ -]?)?(?:verdict|answer|winner|choice|preference|preferred|better(?:[_ ]response)?|best"
    r"|decision|judge?ment|selection|conclusion)|(?:最终)?结论|答案|选择|胜者|更好的回答)"
)
"""Names of the tags and JSON fields that hold a verdict."""
WHOLE_KEY = rf"(?:{KEY}|(?:final[_ ]?)?(?:overall|result|evaluation)|总体|结果)"
"""Names of JSON objects that may hold the verdict one level down; those of an aspect do not count."""
