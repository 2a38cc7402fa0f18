"""Where VLMEvalKit's configurations import the adapter from; it is in `harnesses/vlmeval.py`."""

from .harnesses.vlmeval import MiniMonkeyForVLMEval


__all__ = ["MiniMonkeyForVLMEval"]
