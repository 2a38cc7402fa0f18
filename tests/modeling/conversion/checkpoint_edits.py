"""Changes to a copy of a checkpoint, as a user's folder may have gone wrong."""

import json

import torch
from safetensors.torch import load_file, save_file


def edit_config(source, section=None, **values):
    config = json.loads((source / "config.json").read_text())
    (config if section is None else config[section]).update(values)
    (source / "config.json").write_text(json.dumps(config))


def edit_tensors(source, change):
    tensors = load_file(source / "model.safetensors")
    change(tensors)
    save_file(tensors, source / "model.safetensors")


def read_tensors(folder):
    """All tensors of a folder, whatever files they are in."""
    return {key: value for path in sorted(folder.glob("*.safetensors")) for key, value in load_file(path).items()}


def same_tensors(ours, others):
    return ours.keys() == others.keys() and all(
        ours[key].dtype == others[key].dtype and torch.equal(ours[key], others[key]) for key in ours
    )
