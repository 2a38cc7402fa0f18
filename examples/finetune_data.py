"""Load chats with images to fine-tune on, from JSON Lines or a data set of the Hub, and make batches with labels.

A line of the file is a chat in the format of `processor.apply_chat_template`; images are paths, relative to the file:

    {"messages": [{"role": "user", "content": [{"type": "image", "image": "pages/1.png"},
                                               {"type": "text", "text": "Read the text."}]},
                  {"role": "assistant", "content": "fresh bread"}]}

A data set has the columns `messages`, whose images are `{"type": "image"}`, and `images`, as TRL wants them.
"""

import json
from pathlib import Path

import torch
from datasets import Dataset, Image, IterableDataset, List, load_dataset


def load_chats(source: str, split: str = "train", streaming: bool = False) -> Dataset | IterableDataset:
    """
    Load chats from a `.jsonl` file, or a data set by its folder or Hub id.

    Args:
        source (`str`): file, folder or Hub id.
        split (`str`, *optional*, defaults to `"train"`): of a data set; a file has no splits.
        streaming (`bool`, *optional*, defaults to `False`):
            Read a data set on demand, instead of fetching all of it first; a file is always loaded.

    Returns:
        `datasets.Dataset` or `IterableDataset` with `messages` and `images`; images are read on demand.

    Raises:
        ValueError: a line is no chat, or an image isn't there.
    """
    if not source.endswith(".jsonl"):
        found = load_dataset(source, split=split, streaming=streaming)
        if found.column_names and not {"messages", "images"} <= set(found.column_names):
            raise ValueError(f"{source} must have the columns `messages` and `images`, got {found.column_names}.")
        return found
    with Path(source).open(encoding="utf-8-sig") as file:
        lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    if not lines:
        raise ValueError(f"{source} is empty; it needs a chat per line.")
    rows = [_read_line(line, f"{source}, line {number}", Path(source).parent) for number, line in lines]
    return Dataset.from_list(rows).cast_column("images", List(Image()))


def _read_line(line: str, place: str, folder: Path) -> dict:
    """The chat with every message's content as a list of blocks, and the paths of its images in their order."""
    try:
        messages = json.loads(line)["messages"]
        images, chat = [], []
        for message in messages:
            content = message["content"]
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            images += [str(folder / block["image"]) for block in blocks if block["type"] == "image"]
            texts = [{"type": block["type"], "text": block.get("text")} for block in blocks]
            chat.append({"role": message["role"], "content": texts})
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{place}: not a chat in one line as {Path(__file__).name} describes it ({error!r})."
        ) from error
    missing = [image for image in images if not Path(image).is_file()]
    if missing:
        raise ValueError(f"{place}: the image {missing[0]} is not there.")
    if not any(message["role"] == "assistant" for message in chat):
        raise ValueError(f"{place}: the chat has no message of the assistant, from which to learn.")
    return {"messages": chat, "images": images}


class ChatCollator:
    """
    Turns chats into padded inputs with `labels`: the assistant's messages and the tokens that end them, else -100.

    Args:
        processor ([`MiniMonkeyProcessor`]): its chat template must mark the answers (`{% generation %}`).
        images_kwargs: settings of the image processor for training, such as `pyramid="train"`.
    """

    def __init__(self, processor, **images_kwargs):
        if "{% generation" not in (processor.chat_template or "").replace("{%-", "{%"):
            raise ValueError("`processor.chat_template` must mark the answers by {% generation %}, it doesn't.")
        self.processor, self.images_kwargs = processor, images_kwargs

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        inputs = self.processor.apply_chat_template(
            [_with_images(row["messages"], row["images"]) for row in rows],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            return_assistant_tokens_mask=True,  # rules out `sanitize_control_tokens`: train on chats that you trust
            processor_kwargs={"padding": True, "images_kwargs": self.images_kwargs},
        )
        answers = inputs.pop("assistant_masks").bool()
        return {**inputs, "labels": inputs["input_ids"].masked_fill(~answers, -100)}


def _with_images(messages: list[dict], images: list) -> list[dict]:
    """Put the images into the blocks that stand for them, and leave out what a data set's columns fill with None."""
    images, chat = iter(images), []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = [
                {"type": "image", "image": next(images)}
                if block["type"] == "image"
                else {"type": "text", "text": block["text"]}
                for block in content
            ]
        chat.append({"role": message["role"], "content": content})
    return chat
