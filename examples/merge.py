"""Merge a LoRA adapter into its base model: a folder that loads, is served and is pushed like any other.

    python examples/merge.py mine mine-merged

The base model is the one that the adapter was trained on; `--base` names where it is now, if it has moved.
"""

import os


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

import argparse
import json
import shutil
import sys
from pathlib import Path

from cards import TRAINING, write_card
from compression_options import check_options, set_options
from peft import PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor

import modeling_minimonkey  # noqa: F401  (makes the Auto classes know the model)
import processing_minimonkey  # noqa: F401


def merge(
    adapter: Path,
    folder: Path,
    base: str | None = None,
    dtype: str = "auto",
    keep_ratio: float | None = None,
    queries: str | None = None,
    scoring_layer: int | None = None,
    positions: str | None = None,
) -> None:
    """
    Write base model and adapter as one model, with the adapter's processor and a card.

    Args:
        adapter (`Path`): what `finetune.py --train lora` wrote.
        folder (`Path`): where the model goes; it must not exist.
        base (`str`, *optional*): folder or Hub id of the base model; by default what the adapter names.
        dtype (`str`, *optional*, defaults to `"auto"`): of the merged weights; by default that of the base model.
        keep_ratio, queries, scoring_layer, positions (*optional*):
            The merged model's own settings of scale compression, which adapters don't hold; by default the base
            model's. `scoring_layer` is `layer` of [`ScaleCompressionConfig`].

    Raises:
        ValueError: `adapter` holds no adapter, or a setting is none that the model takes.
        FileExistsError: `folder` exists.
    """
    if not (adapter / "adapter_config.json").is_file():
        raise ValueError(f"{adapter} holds no adapter (adapter_config.json); `finetune.py --train lora` writes one.")
    if folder.exists():
        raise FileExistsError(f"{folder} exists already; give a folder that does not.")
    options = {
        "keep_ratio": keep_ratio,
        "queries": queries,
        "scoring_layer": scoring_layer,
        "positions": positions,
    }
    check_options(options)
    settings = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    base = base or settings["base_model_name_or_path"]
    try:
        model = AutoModelForImageTextToText.from_pretrained(base, trust_remote_code=True, dtype=dtype)
    except OSError as error:
        raise ValueError(
            f"The base model {base!r} can't be loaded; `--base` names where it is now. {error}"
        ) from error
    set_options(model.config, options)
    model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    model.save_pretrained(folder)
    AutoProcessor.from_pretrained(adapter, trust_remote_code=True).save_pretrained(folder)
    for name in (TRAINING, "loss.png"):
        if (adapter / name).is_file():
            shutil.copyfile(adapter / name, folder / name)
    write_card(folder, f"you/{folder.name}", base)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", help="folder or Hub id of the base model, where it isn't where it was")
    parser.add_argument("--dtype", default="auto", help="of the merged weights, such as bfloat16")
    parser.add_argument("--keep-ratio", type=float, help="share of the detailed tokens that the merged model keeps")
    parser.add_argument("--queries", help="whose attention scores the tokens: all, question or none")
    parser.add_argument("--scoring-layer", type=int, help="the layer whose attention it is")
    parser.add_argument("--positions", help="of the kept tokens: repack or keep")
    arguments = parser.parse_args()
    try:
        merge(**vars(arguments))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.folder} is a whole model. Next: python examples/push.py {arguments.folder} you/name")


if __name__ == "__main__":
    main()
