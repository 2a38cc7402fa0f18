"""`transformers serve` for Mini-Monkey models, for any client of OpenAI's API, strangers among them.

    python examples/serve.py checkpoints/minimonkey-tiny --trust-remote-code --port 8000

`transformers serve` by itself only finds the library's own model classes, opens every path and fetches every address
that a client names, and logs a traceback for what it can't read. This script adds our class to its models and puts the
checks of serve_checks.py before its application. It takes the options of `transformers serve` and those of this file.
Prompts are compressed by the model's configured `keep_ratio`; answers are greedy unless generation_config.json says
`do_sample`.
"""

import os


os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: threads that spin while they wait block the others

import argparse
import sys
from pathlib import Path
from typing import Any

from push import check_whole
from serve_checks import Limits, add_checks
from transformers.cli.serving import server
from transformers.cli.transformers import main
from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES

from modeling_minimonkey.input_checks import check_length


MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES.setdefault("minimonkey", "MiniMonkeyForConditionalGeneration")


LIMITS = {
    "images": "most images in a request",
    "tiles": "most tiles of all images of a request",
    "megapixels": "most pixels of all images of a request",
    "megabytes": "largest request, and largest image of --allow-path and --allow-host",
    "characters": "longest text of a request",
    "tokens": "longest answer",
    "waiting": "most requests that have arrived and are not answered",
    "seconds": "longest time for a request to arrive, its images to be fetched, its answer to be taken",
}


def arguments() -> tuple[str, Limits, list[str]]:
    """The model, the options of this file, and those of the library's command."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s MODEL [options]",
        description=__doc__.partition("\n")[0],
        epilog="All other options are those of `transformers serve`, which lists them with --help.",
        allow_abbrev=False,
    )
    parser.add_argument("--allow-path", action="append", default=[], metavar="FOLDER", help="open images here")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="fetch images here")
    for name, text in LIMITS.items():
        number = getattr(Limits, name)
        parser.add_argument(f"--max-{name}", type=int, default=number, metavar="N", help=f"{text} ({number})")
    ours, theirs = parser.parse_known_args(sys.argv[1:])
    if not sys.argv[1:] or sys.argv[1].startswith("-"):
        parser.error("MODEL comes first: a folder, or a name on the Hub. It is the only one that clients can ask.")
    numbers = {name: getattr(ours, f"max_{name}") for name in LIMITS}
    if min(numbers.values()) < 1:
        parser.error("every limit must be at least 1.")
    return sys.argv[1], Limits(tuple(ours.allow_path), tuple(ours.allow_host), **numbers), theirs


def serve() -> None:
    """The library's command for one whole model, behind our checks."""
    model, limits, options = arguments()
    try:
        check_whole(Path(model))
        _add_checks_to_server(limits)
        sys.argv[1:] = ["serve", *options]
        main()
    except (OSError, ValueError, ImportError) as error:  # the model, an option, a missing package
        sys.exit(f"error: {error}")


def _add_checks_to_server(limits: Limits) -> None:
    """Have the library's command build its application with our checks, and its processor with our limits."""
    build = server.build_server

    def build_checked(model_manager: Any, *handlers: Any, **options: Any):
        name = model_manager.process_model_name(model_manager.force_model)
        model, processor = model_manager.load_model_and_processor(name)
        # Refuses a folder or a host that is none now, and not at a client's first request
        processor.image_processor.checked_settings({"allow_paths": limits.paths, "allow_urls": limits.hosts})
        processor.max_text_length = limits.characters
        processor.image_processor.max_images = limits.images
        processor.image_processor.max_tiles = limits.tiles
        processor.image_processor.max_pixels = limits.megapixels * 1_000_000
        _refuse_long_prompts(model, processor)
        return add_checks(build(model_manager, *handlers, **options), limits)

    server.build_server = build_checked  # `transformers serve` has no public way to add to its application


def _refuse_long_prompts(model: Any, processor: Any) -> None:
    """As `generate` does, but before a streamed answer begins, whose status can only be 200 from then on."""
    prepare = processor.apply_chat_template

    def prepare_checked(*args: Any, **kwargs: Any):
        inputs = prepare(*args, **kwargs)
        check_length(model.config, inputs["input_ids"], is_compressed=model.config.keep_ratio < 1)
        return inputs

    processor.apply_chat_template = prepare_checked


if __name__ == "__main__":
    serve()
