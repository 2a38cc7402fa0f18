"""Inspect scale compression: what it keeps, and the naive implementation that it must agree with. Not part of a Hub folder."""
