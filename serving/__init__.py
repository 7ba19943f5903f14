"""Decides which version answers, and answers with it."""
