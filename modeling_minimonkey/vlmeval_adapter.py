"""An old import path in VLMEvalKit's configurations; the adapter is in `harnesses/vlmeval.py`."""

from .harnesses.vlmeval import MiniMonkeyForVLMEval


__all__ = ["MiniMonkeyForVLMEval"]
