"""Converts original checkpoints to this project's format and back. Not part of a Hub folder."""
