"""What a failed call means: an answer of a kind, try again, give up the item, or stop the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jurist.engine.http_failures import http_failure
from jurist.errors import ProviderError
from jurist.records import Usage
from jurist_openai.options import OpenAIOptions

PROVIDED_BY = "jurist-openai (jurist_openai.model:OpenAIChatModel)"

_REFUSED_CODE = re.compile(r"content_filter(ed)?|content_policy(_violation)?", re.IGNORECASE)
_REFUSED = re.compile(
    r"\bcontent_policy_violation\b|\bContentPolicyViolationError\b|\bcontent management policy\b"
    r"|\binput was flagged\b|\bcode\W+content_filter\b",
    re.IGNORECASE,
)
"""How messages say it where there is no code. Mere words would do for parameters of such names, too."""
_TOO_LONG = re.compile(r"context.length|maximum context|too many tokens", re.IGNORECASE)
_MEANT = {"no connected db": 401, "invalid model name passed": 404}
"""What the LiteLLM proxy says with status 400 to a wrong key or an unknown model → what it means."""
_USER = re.compile(r"//[^/@]*@")
"""A user and a password in an address."""
_SHOWN = 500


def is_refusal(status: int, body: Any) -> bool:
    """Whether a content filter stopped the call; an answer of a kind, not a fault."""
    code, message = _said(body)
    said = _REFUSED_CODE.fullmatch(code) or _REFUSED.search(message)
    return status in (400, 403) and said is not None


def status_error(status: int, headers: Mapping[str, str], body: Any, options: OpenAIOptions) -> ProviderError:
    """The error for a reply with a faulty status."""
    code, message = _said(body)
    status = next((meant for said, meant in _MEANT.items() if said in message.lower()), status)
    return http_failure(
        f"{options.model} gave no answer",
        status,
        {name.lower(): value for name, value in headers.items()},
        provided_by=PROVIDED_BY,
        cause=shown(message, options) or None,
        unpaid=code == "insufficient_quota",
        hint=_hint(status, f"{code} {message}", options),
    )


def connection_error(error: BaseException, options: OpenAIOptions) -> ProviderError:
    """The error for a connection that could not be made or broke."""
    return ProviderError(
        f"{options.model} at {_USER.sub('//', options.address)} did not answer.",
        retryable=True,
        provided_by=PROVIDED_BY,
        cause=shown(f"{type(error).__name__}: {error}", options),
    )


def no_reply(cause: str, options: OpenAIOptions, usage: Usage | None = None) -> ProviderError:
    """The error for something in place of a reply, which another try may get; ``usage``: what it cost."""
    return ProviderError(
        f"{options.model} sent something that is no reply.",
        retryable=True,
        usage=usage,
        provided_by=PROVIDED_BY,
        cause=shown(cause, options),
    )


def missing_key(options: OpenAIOptions) -> ProviderError:
    """The error for a server that wants a key when there is none."""
    return ProviderError(
        f"{options.model} needs a key, and there is none.",
        fatal=True,
        provided_by=PROVIDED_BY,
        hint=f"export {_variable(options)}=…, or give the option api_key: ${{NAME}}",
    )


def shown(text: str, options: OpenAIOptions) -> str:
    """What is shown of a server's ``text``: its start, with the key blotted out, should it be repeated."""
    return (text.replace(options.secret, "***") if options.secret else text)[:_SHOWN]


def _said(body: Any) -> tuple[str, str]:
    """The code and the message of an error's body, in whatever shape it came."""
    fault = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(fault, dict):
        code = fault.get("code") or fault.get("type") or ""
        return str(code), str(fault.get("message") or fault.get("detail") or fault)
    return "", str(fault)


def _hint(status: int, said: str, options: OpenAIOptions) -> str | None:
    if 300 <= status < 400:
        return "the server sends one elsewhere, which is not followed: the key is for the address in base_url"
    if status == 404:
        return "check the options model and base_url: the server does not know this model or address"
    if status in (401, 403):
        return f"set {_variable(options)} to a valid key, or give the option api_key"
    if _TOO_LONG.search(said):
        return "shorten the prompt, lower max_tokens, or use a model with a longer context"
    return None


def _variable(options: OpenAIOptions) -> str:
    return "AZURE_OPENAI_API_KEY" if options.api_version else "OPENAI_API_KEY"
