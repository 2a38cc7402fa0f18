"""Mini-Monkey in serving engines. Not part of a Hub folder."""
