"""Targets that wait for somebody's client."""
