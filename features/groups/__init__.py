"""One module a feature group."""
