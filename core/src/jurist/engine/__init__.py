"""The engine: calls made durable, limited, retried, paid for and streamed."""
