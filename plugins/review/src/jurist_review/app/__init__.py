"""The review app: a local web page on which people look at a run and judge what its jury judged."""
