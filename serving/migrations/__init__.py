"""The database's tables, one step a file in `versions`; `serving.migrate.migrate` runs them.

A new step is a new file there with its own `revision` and the one before as `down_revision`.
"""
