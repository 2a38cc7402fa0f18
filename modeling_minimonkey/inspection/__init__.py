"""Inspect scale compression: what it keeps, and a naive version to compare it with. Not part of a Hub folder."""
