"""`transformers serve` for Mini-Monkey models, with the same options, for any client of OpenAI's API.

    python examples/serve.py checkpoints/minimonkey-tiny --trust-remote-code --port 8000

`transformers serve` by itself only finds the library's own model classes; this script adds ours to them first. Prompts
are compressed by the model's configured `keep_ratio`.
"""

import os


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

import sys
from pathlib import Path

from push import check_whole
from transformers.cli.transformers import main
from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES


MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES.setdefault("minimonkey", "MiniMonkeyForConditionalGeneration")


def serve() -> None:
    """The library's command, for whole models."""
    try:
        for argument in sys.argv[1:]:
            check_whole(Path(argument))
        sys.argv.insert(1, "serve")
        main()
    except (OSError, ValueError, ImportError) as error:  # the model, an option, a missing package
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    serve()
