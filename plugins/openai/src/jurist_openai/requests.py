"""Requests as the chat completions protocol has them."""

from __future__ import annotations

from typing import Any

from jurist.chat import ChatRequest
from jurist.errors import ProviderError
from jurist_openai.failures import PROVIDED_BY
from jurist_openai.options import OpenAIOptions


def body_of(request: ChatRequest, options: OpenAIOptions) -> dict[str, Any]:
    """What is sent.

    Raises:
        ProviderError: the request ends with the assistant's turn, which OpenAI's own models cannot continue.
    """
    sampling = request.sampling
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    body: dict[str, Any] = {"model": options.model, "messages": messages, **options.extra}
    if options.reasons:
        body["max_completion_tokens"] = sampling.max_tokens + options.thinking_tokens
    else:
        body["max_completion_tokens" if options.official else "max_tokens"] = sampling.max_tokens
        body["temperature"] = sampling.temperature
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        if sampling.stop:
            body["stop"] = list(sampling.stop)
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if request.choices:
        body |= _choice_fields(request, options)
    if request.messages[-1].role == "assistant":
        body |= _continuation(options)
    return body


def _choice_fields(request: ChatRequest, options: OpenAIOptions) -> dict[str, Any]:
    """How the log-probabilities of the choices are asked for, or else one of them by a schema."""
    if not options.reasons:
        return {"logprobs": True, "top_logprobs": options.top_logprobs}
    if not options.structured:
        return {}
    numbers = all(choice.isdigit() for choice in request.choices)
    name = "score" if numbers else "answer"  # what the readers of scores and verdicts look for
    kind = "integer" if numbers else "string"
    values = [int(choice) if numbers else choice for choice in request.choices]
    schema = {
        "type": "object",
        "properties": {name: {"type": kind, "enum": values}},
        "required": [name],
        "additionalProperties": False,
    }
    described = {"name": "choice", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": described}}


def _continuation(options: OpenAIOptions) -> dict[str, Any]:
    """How the server is asked to continue the last message."""
    if options.official or options.api_version is not None:
        raise ProviderError(
            f"{options.model} cannot continue an assistant message.",
            provided_by=PROVIDED_BY,
            hint="end the messages with the user's turn, or use a server of your own (vLLM, SGLang)",
        )
    return {"add_generation_prompt": False, "continue_final_message": True}
