"""LiteLLM, imported so that it touches neither the network nor standard output."""

from __future__ import annotations

import os

# Before the import: LiteLLM otherwise fetches its table of prices.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

import litellm

# It prints advertisements on errors, and fetches tokenizers to count.
litellm.suppress_debug_info = True
litellm.disable_hf_tokenizer_download = True

__all__ = ["litellm"]
