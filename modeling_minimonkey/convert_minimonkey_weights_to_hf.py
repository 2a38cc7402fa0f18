"""
Convert an original checkpoint, in the `internvl_chat` format of `mx262/MiniMonkey` and `OpenGVLab/InternVL2-*`:

    convert_minimonkey_weights_to_hf SOURCE TARGET
    convert_minimonkey_weights_to_hf --reverse SOURCE TARGET

SOURCE is a folder or the id of a Hub repository, TARGET a folder that does not exist yet or is empty. TARGET gets
everything that `AutoModelForImageTextToText` and `AutoProcessor` need, code included; with `--reverse`, what the
published code needs to load a model that was fine-tuned here. [`load_original`] loads the model without writing. No
code of SOURCE is run.
"""

import argparse
import sys

import torch
from huggingface_hub import HfApi

from .conversion.convert import convert, load_original, load_original_processor, revert
from .conversion.weight_files import DTYPES


__all__ = ["convert", "load_original", "load_original_processor", "revert"]


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Convert an original Mini-Monkey or InternVL2 checkpoint.")
    parser.add_argument("source", help="folder or id of a Hub repository, in the internvl_chat format")
    parser.add_argument("target", help="folder to make; it must not exist, or be empty")
    parser.add_argument("--revision", help="branch, tag or commit of the Hub repository")
    parser.add_argument("--dtype", choices=list(DTYPES.values()), help="by default that of each tensor")
    parser.add_argument(
        "--max-shard-size", default="5GB", help="most bytes of tensors in one file (default: %(default)s)"
    )
    parser.add_argument(
        "--allow-pickle", action="store_true", help="read pytorch_model*.bin if there are no safetensors"
    )
    parser.add_argument(
        "--verify", action="store_true", help="reload, generate and compare ids and logits with the source's"
    )
    parser.add_argument("--push-to-hub", metavar="REPO", help="upload the result to this repository of the Hub")
    parser.add_argument("--private", action="store_true", help="with --push-to-hub: make a private repository")
    parser.add_argument("--reverse", action="store_true", help="from this project's format to the original one")
    parser.add_argument("--original", help="with --reverse: where to take code and tokenizer from (folder or Hub id)")
    return parser


def main() -> None:
    parser = make_parser()
    arguments = parser.parse_args()
    if arguments.original and not arguments.reverse:
        parser.error("--original goes with --reverse")
    try:
        _run(arguments)
    except (OSError, ValueError, TypeError, ImportError, RuntimeError) as error:  # the message is enough
        sys.exit(f"error: {' '.join(str(error).split())}")


def _run(arguments: argparse.Namespace) -> None:
    api = HfApi()
    if arguments.push_to_hub:  # first, so that a missing permission is seen before the work
        api.create_repo(arguments.push_to_hub, private=arguments.private, exist_ok=True)
    options = {name: getattr(arguments, name) for name in ("revision", "max_shard_size", "allow_pickle", "verify")}
    options["dtype"] = arguments.dtype and getattr(torch, arguments.dtype)
    if arguments.reverse:
        found = revert(arguments.source, arguments.target, original=arguments.original, **options)
    else:
        found = convert(arguments.source, arguments.target, **options)
    if found:
        print(f"{found}\nOK: ids and logits agree with those of {arguments.source}.")
    if not arguments.push_to_hub and not arguments.reverse:
        print(f"Next: python examples/ask.py IMAGE QUESTION --model {arguments.target}")
    if arguments.push_to_hub:
        print(api.upload_folder(repo_id=arguments.push_to_hub, folder_path=arguments.target, commit_message="Convert"))


if __name__ == "__main__":
    main()
