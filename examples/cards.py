"""Model cards from what a folder holds: its sizes, its base model, its training. No figure that nobody measured."""

import json
import math
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.errors import EntryNotFoundError
from safetensors import safe_open


TEMPLATE = Path(__file__).with_name("card_template.md")
PUBLISHED_CARD = Path(__file__).resolve().parents[1] / "model_card.md"
PUBLISHED = "mx262/MiniMonkey"
PLACEHOLDER = "you/minimonkey-2b"  # the repository in the published card's code
TRAINING = "training.md"  # what finetune.py says of a training
ORIGINAL_FILES = "original"  # a folder that the converter makes, and that no `save_pretrained` copies


def make_card(folder: Path, repository: str, base_model: str | None = None, license: str | None = None) -> ModelCard:
    """
    The card of a folder: its own README.md, the published card for an unchanged conversion of `mx262/MiniMonkey`, or
    one that is made from the folder's files.

    Args:
        folder (`Path`): a model with its processor.
        repository (`str`): where it goes, `user/name`.
        base_model (`str`, *optional*): Hub id of what was converted or fine-tuned.
        license (`str`, *optional*): as the Hub writes it; by default that of the folder's card, or the base model's.

    Raises:
        ValueError: there is no license to be found.
    """
    own = folder / "README.md"
    is_conversion = (folder / ORIGINAL_FILES).is_dir() and base_model == PUBLISHED
    if own.exists():
        card = ModelCard(own.read_text(encoding="utf-8").replace(f"you/{folder.name}", repository))
    elif is_conversion:
        card = ModelCard(PUBLISHED_CARD.read_text(encoding="utf-8").replace(PLACEHOLDER, repository))
    else:
        card = describe(folder, repository)
    data = card.data
    data.base_model = base_model or data.base_model
    data.license = license or data.license or license_of(data.base_model)
    if not data.license:
        raise ValueError(
            f"`license` is missing: neither {own} nor the base model's card names one. Give it (`--license mit`); the "
            "base model's license binds you, too."
        )
    data.library_name, data.pipeline_tag = "transformers", "image-text-to-text"
    data.tags = list(dict.fromkeys([*(data.tags or []), read_config(folder)["model_type"], "custom_code"]))
    return card


def write_card(folder: Path, repository: str, base_model: str) -> None:
    """Write the README.md of a model that was fine-tuned from `base_model`, a folder or Hub id, with its license."""
    card = describe(folder, repository)
    card.data.base_model = None if Path(base_model).exists() else base_model
    card.data.license = license_of(base_model)
    card.save(folder / "README.md")


def describe(folder: Path, repository: str) -> ModelCard:
    """A card from the configuration, the processor, the weights and `training.md` of a folder, if that is there."""
    config = read_config(folder)
    images = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))["image_processor"]
    text, vision = config["text_config"], config["vision_config"]
    compression, training = config["scale_compression_config"], folder / TRAINING
    kind = (config.get("original_format") or {}).get("llm_config.model_type", text["model_type"])
    parameters, dtypes = count_parameters(folder)
    return ModelCard.from_template(
        ModelCardData(tags=["mini-monkey", "ocr"]),
        template_path=str(TEMPLATE),
        name=repository.split("/")[-1],
        repository=repository,
        tower=f"{vision['num_hidden_layers']} layers of width {vision['hidden_size']}",
        tile_size=images["size"]["height"],
        tokens=config["image_seq_length"],
        language_model=f"{kind}, {text['num_hidden_layers']} layers of width {text['hidden_size']}",
        parameters=f"{parameters / 1e6:,.1f} million, {', '.join(dtypes)}",
        detailed=_range(images.get("detailed_tiles")),
        adaptive=_range(images.get("adaptive_tiles")),
        complementarity=images.get("complementarity"),
        keep_ratio=compression["keep_ratio"],
        positions=compression["positions"],
        layer=compression["layer"],
        queries=compression.get("queries", "all"),  # which earlier files lack
        training=training.read_text(encoding="utf-8") if training.is_file() else "Not described yet.",
    )


def read_config(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def license_of(base_model: str | list[str] | None) -> str | None:
    """The license in the card of a folder or of a Hub repository, `None` where it can't be found out."""
    if not isinstance(base_model, str):
        return None
    own = Path(base_model, "README.md")
    try:
        return ModelCard.load(own if own.exists() else base_model, ignore_metadata_errors=True).data.license
    except (EntryNotFoundError, OSError, ValueError):  # no card, no network or no such name
        return None


def count_parameters(folder: Path) -> tuple[int, list[str]]:
    """How many numbers the weight files hold, and their dtypes."""
    total, dtypes = 0, set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():
                part = file.get_slice(name)
                total += math.prod(part.get_shape())
                dtypes.add(part.get_dtype())
    return total, sorted(dtypes)


def _range(tiles: list[int] | None) -> str:
    return "none" if tiles is None else f"{tiles[0]} to {tiles[1]}"
