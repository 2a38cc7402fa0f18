"""Adapters for evaluation harnesses. Not part of a Hub folder."""
