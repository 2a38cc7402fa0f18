"""
Small checkpoints in the original `internvl_chat` format: every family of language models and every variant that was
published, with random weights in which no symmetry hides a mistake.

    write_original(folder, "phi3", vision="6b", llm_lora=4)

No two sizes are equal that need not be, and no number in config.json is the default of a Transformers class.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.modeling.conversion.original_model import names_of
from tests.modeling.conversion.original_tokenizers import write_tokenizer


IMAGE_SIZE, PATCH_SIZE = 28, 7  # 4 x 4 patches: 4 tokens per tile, 1 at a downsample ratio of 0.25
HEAD_DIM = 8  # of the language model

# The family's `model_type`, its class and the `template` of the published checkpoints. Llama's has two tokenizers.
FAMILIES = {
    "internlm2": ("internlm2", "InternLM2ForCausalLM", "internlm2-chat"),
    "qwen2": ("qwen2", "Qwen2ForCausalLM", "Hermes-2"),
    "phi3": ("phi3", "Phi3ForCausalLM", "phi3-chat"),
    "llama": ("llama", "LlamaForCausalLM", "Hermes-2"),
    "llama3": ("llama", "LlamaForCausalLM", "internlm2-chat"),
}
VISION = {
    "300m": {
        "hidden_size": 24,
        "intermediate_size": 40,
        "norm_type": "layer_norm",
        "layer_norm_eps": 1e-3,
        "qk_normalization": False,
        "qkv_bias": True,
    },
    "6b": {
        "hidden_size": 40,
        "intermediate_size": 52,
        "norm_type": "rms_norm",
        "layer_norm_eps": 1e-6,
        "qk_normalization": True,
        "qkv_bias": False,
    },
}
VISION_LORA = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
LLAMA_LORA = tuple(f"self_attn.{name}_proj" for name in "qkvo") + tuple(
    f"mlp.{name}_proj" for name in ("gate", "up", "down")
)
LANGUAGE_MODEL_LORA = {
    "internlm2": ("attention.wqkv", "attention.wo", "feed_forward.w1", "feed_forward.w2", "feed_forward.w3"),
    "phi3": ("mlp.down_proj", "mlp.gate_up_proj", "self_attn.o_proj", "self_attn.qkv_proj"),
    "qwen2": LLAMA_LORA,
    "llama": LLAMA_LORA,
}


def write_original(
    folder: Path,
    family: str,
    *,
    vision: str = "300m",
    key_value_heads: int = 2,
    queries_per_head: int = 3,
    bias: bool = False,
    tie_word_embeddings: bool = False,
    select_layer: int = -1,
    downsample_ratio: float = 0.5,
    llm_config: dict | None = None,
    vision_config: dict | None = None,
    llm_lora: int = 0,
    backbone_lora: int = 0,
    base_layer: bool = True,
    dtype: torch.dtype = torch.float32,
    shards: int = 1,
    pickle: bool = False,
    seed: int = 0,
) -> Path:
    """
    Write a complete original folder.

    Args:
        folder (`Path`): Where; made if it is not there.
        family (`str`): `"internlm2"`, `"qwen2"`, `"phi3"`, `"llama"` or `"llama3"`.
        vision (`str`): `"300m"` (layer norm, bias) or `"6b"` (rms norm, also of queries and keys, no bias).
        key_value_heads, queries_per_head (`int`): Heads of the language model, which set its hidden size.
        bias (`bool`): Bias of the attention of InternLM2 and Llama.
        tie_word_embeddings (`bool`): Without an output layer of its own.
        select_layer, downsample_ratio: As in config.json.
        llm_config, vision_config (`dict`): Further entries of these sections.
        llm_lora, backbone_lora (`int`): Rank of the LoRA that wraps this part; 0 for none.
        base_layer (`bool`): False for the names of old PEFT versions, `X.weight` beside `X.lora_A.default.weight`.
        dtype (`torch.dtype`): Of all weights.
        shards (`int`): Number of weight files, with an index if there are more than one.
        pickle (`bool`): Weights in pytorch_model.bin instead of model.safetensors.
        seed (`int`): Of the weights.

    Returns:
        `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model_type, architecture, template = FAMILIES[family]
    own = {"architectures": [architecture], "tie_word_embeddings": tie_word_embeddings}
    if model_type in ("internlm2", "llama"):
        own["bias" if model_type == "internlm2" else "attention_bias"] = bias
    llm = _llm_config(model_type, write_tokenizer(folder, family), key_value_heads, queries_per_head)
    config = {
        "architectures": ["InternVLChatModel"],
        "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"},
        "model_type": "internvl_chat",
        "template": template,
        "force_image_size": IMAGE_SIZE,
        "downsample_ratio": downsample_ratio,
        "select_layer": select_layer,
        "ps_version": "v2",
        "use_backbone_lora": backbone_lora,
        "use_llm_lora": llm_lora,
        "llm_config": llm | own | (llm_config or {}),
        "vision_config": _vision_config(vision) | (vision_config or {}),
        "torch_dtype": str(dtype).removeprefix("torch."),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    tensors = random_tensors(config, seed)
    if tie_word_embeddings and pickle:  # a state dict holds both names, safetensors only one
        names = names_of(config["llm_config"])
        tensors[f"{names['head']}.weight"] = tensors[f"{names['embeddings']}.weight"]
    tensors = wrap_lora(tensors, "language_model", LANGUAGE_MODEL_LORA[model_type], llm_lora, base_layer, seed + 1)
    tensors = wrap_lora(tensors, "vision_model", VISION_LORA, backbone_lora, base_layer, seed + 2)
    _save({name: tensor.to(dtype) for name, tensor in tensors.items()}, folder, shards, pickle)
    return folder


def _vision_config(vision: str) -> dict:
    shared = {
        "architectures": ["InternVisionModel"],
        "model_type": "intern_vit_6b",
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "hidden_act": "gelu",
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH_SIZE,
        "num_channels": 3,
        "attention_dropout": 0.0,
        "dropout": 0.0,
        "drop_path_rate": 0.0,
    }
    return shared | VISION[vision]


def _llm_config(model_type: str, vocab_size: int, key_value_heads: int, queries_per_head: int) -> dict:
    heads = key_value_heads * queries_per_head
    shared = {
        "model_type": model_type,
        "vocab_size": vocab_size,
        "hidden_size": heads * HEAD_DIM,
        "intermediate_size": heads * HEAD_DIM + 12,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value_heads,
        "hidden_act": "silu",
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-3,
        "rope_theta": 3000.0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    own = {
        "internlm2": {"rope_scaling": {"type": "dynamic", "factor": 2.0}},
        "qwen2": {
            "attention_dropout": 0.0,
            "use_sliding_window": False,
            "sliding_window": 1024,
            "max_window_layers": 2,
            "bos_token_id": 0,
            "pad_token_id": None,
        },
        "phi3": {
            "attention_dropout": 0.0,
            "embd_pdrop": 0.0,
            "resid_pdrop": 0.0,
            "original_max_position_embeddings": 64,
            "rope_scaling": {
                "type": "su",
                "short_factor": [1.1, 1.3, 1.2, 1.7],
                "long_factor": [1.5, 4.0, 9.0, 20.0],
            },
            "sliding_window": 2048,
        },
        "llama": {"attention_dropout": 0.0, "pretraining_tp": 1, "rope_scaling": None},
    }
    return shared | own[model_type]


def shapes(config: dict) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all tensors of an original checkpoint without LoRA."""
    llm, vision = config["llm_config"], config["vision_config"]
    shuffled = vision["hidden_size"] * round(1 / config["downsample_ratio"]) ** 2
    projector = {"mlp1.0": (shuffled,), "mlp1.1": (llm["hidden_size"], shuffled), "mlp1.3": (llm["hidden_size"],) * 2}
    found = _vision_shapes(vision) | _language_model_shapes(llm)
    for name, shape in projector.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found


def _vision_shapes(vision: dict) -> dict:
    hidden, inner = vision["hidden_size"], vision["intermediate_size"]
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    found = {
        "embeddings.class_embedding": (1, 1, hidden),
        "embeddings.position_embedding": (1, 1 + patches, hidden),
        "embeddings.patch_embedding.weight": (hidden, 3, vision["patch_size"], vision["patch_size"]),
        "embeddings.patch_embedding.bias": (hidden,),
    }
    linear = {"attn.qkv": (3 * hidden, hidden), "attn.proj": (hidden, hidden)}
    linear |= {"mlp.fc1": (inner, hidden), "mlp.fc2": (hidden, inner)}
    for number in range(vision["num_hidden_layers"]):
        layer = f"encoder.layers.{number}"
        found |= {f"{layer}.{name}": (hidden,) for name in ("ls1", "ls2", "norm1.weight", "norm2.weight")}
        if vision["norm_type"] == "layer_norm":
            found |= {f"{layer}.norm1.bias": (hidden,), f"{layer}.norm2.bias": (hidden,)}
        if vision["qk_normalization"]:
            found |= {f"{layer}.attn.q_norm.weight": (hidden,), f"{layer}.attn.k_norm.weight": (hidden,)}
        for name, shape in linear.items():
            found[f"{layer}.{name}.weight"] = shape
            if name != "attn.qkv" or vision["qkv_bias"]:
                found[f"{layer}.{name}.bias"] = shape[:1]
    return {f"vision_model.{name}": shape for name, shape in found.items()}


def _language_model_shapes(llm: dict) -> dict:
    model_type, hidden, inner = llm["model_type"], llm["hidden_size"], llm["intermediate_size"]
    shared = llm["num_key_value_heads"] * hidden // llm["num_attention_heads"]
    packed = (hidden + 2 * shared, hidden)
    if model_type == "internlm2":
        linear = {"attention.wqkv": packed, "attention.wo": (hidden, hidden)}
        linear |= {"feed_forward.w1": (inner, hidden), "feed_forward.w3": (inner, hidden)}
        linear |= {"feed_forward.w2": (hidden, inner)}
    elif model_type == "phi3":
        linear = {"self_attn.qkv_proj": packed, "self_attn.o_proj": (hidden, hidden)}
        linear |= {"mlp.gate_up_proj": (2 * inner, hidden), "mlp.down_proj": (hidden, inner)}
    else:
        linear = {"self_attn.q_proj": (hidden, hidden), "self_attn.o_proj": (hidden, hidden)}
        linear |= {"self_attn.k_proj": (shared, hidden), "self_attn.v_proj": (shared, hidden)}
        linear |= {"mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden), "mlp.down_proj": (hidden, inner)}
    biased = ()
    if model_type == "qwen2":
        biased = tuple(f"self_attn.{name}_proj" for name in "qkv")
    elif llm.get("bias") or llm.get("attention_bias"):
        biased = tuple(name for name in linear if "att" in name)

    names = names_of(llm)
    found = {f"{names['embeddings']}.weight": (llm["vocab_size"], hidden)}
    if not llm["tie_word_embeddings"]:
        found[f"{names['head']}.weight"] = (llm["vocab_size"], hidden)
    found["language_model.model.norm.weight"] = (hidden,)
    for number in range(llm["num_hidden_layers"]):
        layer = f"language_model.model.layers.{number}"
        found |= {f"{layer}.{names[norm]}.weight": (hidden,) for norm in ("attention_norm", "mlp_norm")}
        found |= {f"{layer}.{name}.weight": shape for name, shape in linear.items()}
        found |= {f"{layer}.{name}.bias": linear[name][:1] for name in biased}
    return found


def random_tensors(config: dict, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights of a size that lets every tensor move the logits, whose spread is a few units."""
    generator, tensors = torch.Generator().manual_seed(seed), {}
    for name, shape in shapes(config).items():
        noise = torch.randn(shape, generator=generator)
        if "embed" in name:
            # Small, as in trained models: only so does a wrong epsilon of the norms show.
            tensors[name] = 0.1 / math.sqrt(math.prod(shape[1:]) if "patch" in name else 1) * noise
        elif name.endswith(("output.weight", "lm_head.weight")):
            tensors[name] = 3 / math.sqrt(shape[1]) * noise
        elif name == "language_model.model.norm.weight" and config["llm_config"]["tie_word_embeddings"]:
            tensors[name] = 5 * (1 + 0.3 * noise)
        elif name.endswith((".ls1", ".ls2")):
            tensors[name] = 0.7 + 0.3 * noise
        elif len(shape) == 1:
            tensors[name] = name.endswith("weight") + 0.3 * noise
        else:
            tensors[name] = 1.5 / math.sqrt(shape[1]) * noise
    return tensors


def wrap_lora(tensors: dict, root: str, targets: tuple, rank: int, base_layer: bool, seed: int) -> dict:
    """The names that PEFT gives the part `root` of a model, and LoRA matrices beside the target modules' weights."""
    if rank == 0:
        return tensors
    generator, wrapped = torch.Generator().manual_seed(seed), {}
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        if not name.startswith(f"{root}."):
            wrapped[name] = tensor
            continue
        module = module.replace(f"{root}.", f"{root}.base_model.model.", 1)
        is_target = module.endswith(tuple(f".{target}" for target in targets))
        wrapped[f"{module}.base_layer.{kind}" if is_target and base_layer else f"{module}.{kind}"] = tensor
        if is_target and kind == "weight":
            rows, columns = tensor.shape
            down, up = torch.randn(rank, columns, generator=generator), torch.randn(rows, rank, generator=generator)
            wrapped[f"{module}.lora_A.default.weight"] = 0.5 / math.sqrt(columns) * down
            wrapped[f"{module}.lora_B.default.weight"] = 0.5 / math.sqrt(rank) * up
    return wrapped


def _save(tensors: dict, folder: Path, shards: int, pickle: bool) -> None:
    stem, suffix = ("pytorch_model", "bin") if pickle else ("model", "safetensors")
    save = torch.save if pickle else save_file
    if shards == 1:
        save(tensors, folder / f"{stem}.{suffix}")
        return
    files = [f"{stem}-{number:05}-of-{shards:05}.{suffix}" for number in range(1, shards + 1)]
    weight_map = {name: files[index % shards] for index, name in enumerate(tensors)}
    for file in files:
        save({name: tensor for name, tensor in tensors.items() if weight_map[name] == file}, folder / file)
    size = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": size}, "weight_map": weight_map}
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")
