"""
The published model in plain PyTorch, straight from original tensor names and the original config.json: one sequence,
one head, one layer after the other, in float64. It is the truth for the converter because nothing in it is clever, and
because it is itself compared with recorded outputs of the published code.

    tensors, config = read_original(folder)
    logits = original_logits(tensors, config, input_ids, pixel_values, image_token_id)  # (length, vocab_size)
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn import functional as F


def read_original(folder: Path) -> tuple[dict, dict]:
    """Tensors of an original folder under their names, without LoRA and in float64, and the content of config.json."""
    tensors, config = {}, json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for path in folder.glob("*.safetensors"):
        tensors |= load_file(path)
    for path in folder.glob("*.bin"):
        tensors |= torch.load(path, weights_only=True)
    return merge_naively({name: tensor.double() for name, tensor in tensors.items()}, config), config


def merge_naively(tensors: dict, config: dict) -> dict:
    """Plain tensors from PEFT-wrapped ones: W + alpha / rank * B A, where the published code has alpha = 2 * rank."""
    merged = {}
    for name, tensor in tensors.items():
        if ".lora_" in name:
            continue
        plain = name.replace(".base_model.model.", ".").replace(".base_layer.", ".")
        module = name.removesuffix(".weight").removesuffix(".base_layer")
        if name.endswith(".weight") and f"{module}.lora_A.default.weight" in tensors:
            a, b = (tensors[f"{module}.lora_{side}.default.weight"] for side in "AB")
            rank = config["use_backbone_lora"] if name.startswith("vision_model.") else config["use_llm_lora"]
            tensor = tensor + 2 * rank / rank * b @ a
        merged[plain] = tensor
    return merged


def linear(tensors: dict, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, tensors[f"{name}.weight"], tensors.get(f"{name}.bias"))


def rms_norm(tensors: dict, name: str, x: torch.Tensor, eps: float) -> torch.Tensor:
    return tensors[f"{name}.weight"] * x / torch.sqrt((x * x).mean(dim=-1, keepdim=True) + eps)


def layer_norm(tensors: dict, name: str, x: torch.Tensor, eps: float) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], tensors[f"{name}.weight"], tensors[f"{name}.bias"], eps)


def attend(queries, keys, values, visible=None) -> tuple[torch.Tensor, torch.Tensor]:
    """Heads `(length, head_dim)` -> values `(length, heads * head_dim)` and weights `(heads, length, length)`."""
    mixed, weights = [], []
    for head, query in enumerate(queries):
        shared = head // (len(queries) // len(keys))
        scores = query @ keys[shared].T / math.sqrt(query.shape[-1])
        if visible is not None:
            scores = scores.masked_fill(~visible, -torch.inf)
        weights.append(scores.softmax(dim=-1))
        mixed.append(weights[-1] @ values[shared])
    return torch.cat(mixed, dim=-1), torch.stack(weights)


def vision_hidden_states(tensors: dict, config: dict, pixels: torch.Tensor) -> list[torch.Tensor]:
    """One tile `(channels, height, width)` -> embeddings and every layer's output, `(1 + patches, hidden)` each."""
    vision = config["vision_config"]
    eps, heads = vision["layer_norm_eps"], vision["num_attention_heads"]
    norm = {"layer_norm": layer_norm, "rms_norm": rms_norm}[vision["norm_type"]]
    embeddings = "vision_model.embeddings"
    patches = F.conv2d(
        pixels,
        tensors[f"{embeddings}.patch_embedding.weight"],
        tensors[f"{embeddings}.patch_embedding.bias"],
        stride=vision["patch_size"],
    )
    x = torch.cat((tensors[f"{embeddings}.class_embedding"][0], patches.flatten(1).T))
    x = x + tensors[f"{embeddings}.position_embedding"][0]
    states = [x]
    for number in range(vision["num_hidden_layers"]):
        layer = f"vision_model.encoder.layers.{number}"
        query, key, value = linear(tensors, f"{layer}.attn.qkv", norm(tensors, f"{layer}.norm1", x, eps)).chunk(3, -1)
        if vision["qk_normalization"]:  # over all heads at once
            query = rms_norm(tensors, f"{layer}.attn.q_norm", query, eps)
            key = rms_norm(tensors, f"{layer}.attn.k_norm", key, eps)
        mixed, _ = attend(*(part.chunk(heads, dim=-1) for part in (query, key, value)))
        x = x + tensors[f"{layer}.ls1"] * linear(tensors, f"{layer}.attn.proj", mixed)
        inner = F.gelu(linear(tensors, f"{layer}.mlp.fc1", norm(tensors, f"{layer}.norm2", x, eps)))
        x = x + tensors[f"{layer}.ls2"] * linear(tensors, f"{layer}.mlp.fc2", inner)
        states.append(x)
    return states


def pixel_shuffle(patches: torch.Tensor, ratio: float, version: str) -> torch.Tensor:
    """`(rows, columns, hidden)` -> `(tokens, hidden / ratio^2)`; the older version "v1" walks down the columns."""
    side, tokens = round(1 / ratio), []
    rows, columns = (range(0, size, side) for size in patches.shape[:2])
    places = [(row, column) for row in rows for column in columns]
    if version == "v1":
        places = [(row, column) for column in columns for row in rows]
    for row, column in places:
        tokens.append(torch.cat([patches[row + i, column + j] for i in range(side) for j in range(side)]))
    return torch.stack(tokens)


def image_features(tensors: dict, config: dict, pixel_values: torch.Tensor) -> torch.Tensor:
    """`(tiles, channels, height, width)` -> `(tiles * tokens, hidden of the language model)`."""
    features = []
    for pixels in pixel_values.double():
        state = vision_hidden_states(tensors, config, pixels)[config["select_layer"]]
        side = math.isqrt(len(state) - 1)
        patches = state[1:].unflatten(0, (side, side))
        x = pixel_shuffle(patches, config["downsample_ratio"], config["ps_version"])
        x = F.gelu(linear(tensors, "mlp1.1", layer_norm(tensors, "mlp1.0", x, 1e-5)))
        features.append(linear(tensors, "mlp1.3", x))
    return torch.cat(features)


def rotary(llm: dict, length: int, longest_so_far: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Cosine and sine of every position, `(length, head_dim)`; in float32, as published. Dynamic scaling goes by the
    longest sequence that the model has seen.
    """
    dim = llm["hidden_size"] // llm["num_attention_heads"]
    base, stretch, attention_factor = llm["rope_theta"], torch.ones(dim // 2), 1.0
    positions, maximum = torch.arange(length).float(), llm["max_position_embeddings"]
    scaling = llm.get("rope_scaling") or {"type": None}
    if scaling["type"] == "linear":
        positions = positions / scaling["factor"]
    longest = max(length, longest_so_far)
    if scaling["type"] == "dynamic" and longest > maximum:
        base = base * (scaling["factor"] * longest / maximum - (scaling["factor"] - 1)) ** (dim / (dim - 2))
    if scaling["type"] in ("su", "yarn"):
        trained = llm["original_max_position_embeddings"]
        stretch = torch.tensor(scaling["long_factor" if length > trained else "short_factor"])
        scale = max(maximum / trained, 1.0)
        attention_factor = math.sqrt(1 + math.log(scale) / math.log(trained))
        if scaling["type"] == "yarn":
            attention_factor = 0.1 * math.log(scale) + 1
    angles = torch.outer(positions, 1 / (stretch * base ** (torch.arange(0, dim, 2).float() / dim)))
    angles = torch.cat((angles, angles), dim=-1)
    return (angles.cos() * attention_factor).double(), (angles.sin() * attention_factor).double()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def query_key_value(tensors: dict, llm: dict, layer: str, x: torch.Tensor) -> tuple[list, list, list]:
    """The heads of queries, keys and values, `(length, head_dim)` each."""
    heads, groups = llm["num_attention_heads"], llm["num_key_value_heads"]
    head_dim = llm["hidden_size"] // heads
    if llm["model_type"] == "internlm2":  # each group: its queries, then its key, then its value
        packed = list(linear(tensors, f"{layer}.attention.wqkv", x).split(head_dim, dim=-1))
        queries, keys, values = [], [], []
        for _ in range(groups):
            for _ in range(heads // groups):
                queries.append(packed.pop(0))
            keys.append(packed.pop(0))
            values.append(packed.pop(0))
        return queries, keys, values
    if llm["model_type"] == "phi3":  # all queries, then all keys, then all values
        packed = linear(tensors, f"{layer}.self_attn.qkv_proj", x).split(head_dim, dim=-1)
        return packed[:heads], packed[heads : heads + groups], packed[heads + groups :]
    return tuple(linear(tensors, f"{layer}.self_attn.{name}_proj", x).split(head_dim, dim=-1) for name in "qkv")


def gate_up(tensors: dict, llm: dict, layer: str, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if llm["model_type"] == "internlm2":
        return linear(tensors, f"{layer}.feed_forward.w1", x), linear(tensors, f"{layer}.feed_forward.w3", x)
    if llm["model_type"] == "phi3":
        return linear(tensors, f"{layer}.mlp.gate_up_proj", x).chunk(2, dim=-1)
    return linear(tensors, f"{layer}.mlp.gate_proj", x), linear(tensors, f"{layer}.mlp.up_proj", x)


LLAMA_NAMES = {
    "embeddings": "language_model.model.embed_tokens",
    "head": "language_model.lm_head",
    "attention_norm": "input_layernorm",
    "mlp_norm": "post_attention_layernorm",
    "attention_out": "self_attn.o_proj",
    "mlp_out": "mlp.down_proj",
}
INTERNLM2_NAMES = {
    "embeddings": "language_model.model.tok_embeddings",
    "head": "language_model.output",
    "attention_norm": "attention_norm",
    "mlp_norm": "ffn_norm",
    "attention_out": "attention.wo",
    "mlp_out": "feed_forward.w2",
}


def names_of(llm: dict) -> dict[str, str]:
    return INTERNLM2_NAMES if llm["model_type"] == "internlm2" else LLAMA_NAMES


def language_model(tensors, config, embeds, longest_so_far: int = 0) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """`(length, hidden)` -> logits `(length, vocab_size)` and the attention weights of every layer."""
    llm, length = config["llm_config"], len(embeds)
    names, eps = names_of(llm), llm["rms_norm_eps"]
    cos, sin = rotary(llm, length, longest_so_far)
    rows, columns = torch.arange(length)[:, None], torch.arange(length)
    visible = columns <= rows
    if llm["model_type"] == "phi3" and llm.get("sliding_window"):
        visible &= columns > rows - llm["sliding_window"]
    x, attentions = embeds, []
    for number in range(llm["num_hidden_layers"]):
        layer = f"language_model.model.layers.{number}"
        normed = rms_norm(tensors, f"{layer}.{names['attention_norm']}", x, eps)
        queries, keys, values = query_key_value(tensors, llm, layer, normed)
        queries, keys = ([rotate(head, cos, sin) for head in heads] for heads in (queries, keys))
        mixed, weights = attend(queries, keys, values, visible)
        attentions.append(weights)
        x = x + linear(tensors, f"{layer}.{names['attention_out']}", mixed)
        normed = rms_norm(tensors, f"{layer}.{names['mlp_norm']}", x, eps)
        gate, up = gate_up(tensors, llm, layer, normed)
        x = x + linear(tensors, f"{layer}.{names['mlp_out']}", F.silu(gate) * up)
    head = names["embeddings"] if llm["tie_word_embeddings"] else names["head"]
    return F.linear(rms_norm(tensors, "language_model.model.norm", x, eps), tensors[f"{head}.weight"]), attentions


def input_embeds(tensors, config, input_ids, pixel_values=None, image_token_id=None) -> torch.Tensor:
    """Embeddings of one sequence `(length,)`, image features in place of the image tokens: `(length, hidden)`."""
    embeds = tensors[f"{names_of(config['llm_config'])['embeddings']}.weight"][input_ids]
    if pixel_values is not None:
        embeds[input_ids == image_token_id] = image_features(tensors, config, pixel_values)
    return embeds


@torch.no_grad()
def original_logits(tensors, config, input_ids, pixel_values=None, image_token_id=None) -> torch.Tensor:
    """Ids of one sequence `(length,)` and its tiles -> logits `(length, vocab_size)`."""
    return language_model(tensors, config, input_embeds(tensors, config, input_ids, pixel_values, image_token_id))[0]


@torch.no_grad()
def original_answer(
    tensors, config, input_ids, pixel_values, image_token_id, steps: int, detailed_tiles: int = 0, keep_ratio=1.0
) -> list[int]:
    """
    Greedy answer of `steps` tokens, none an image token. With a `keep_ratio` the first `detailed_tiles` are
    compressed: of their tokens those stay to which layer 1 pays most attention, on average over the queries after
    them and over the heads.
    """
    embeds = input_embeds(tensors, config, input_ids, pixel_values, image_token_id)
    whole_length = len(embeds)
    image_tokens = (input_ids == image_token_id).nonzero()[:, 0]
    detailed = image_tokens[: detailed_tiles * len(image_tokens) // len(pixel_values)]
    if keep_ratio < 1:
        _, attentions = language_model(tensors, config, embeds)
        scores = attentions[1][:, detailed[-1] + 1 :, detailed].mean(dim=(0, 1))
        dropped = detailed[scores.argsort(descending=True)[int(len(detailed) * keep_ratio) :]]
        embeds = embeds[[token for token in range(len(embeds)) if token not in dropped]]
    answer = []
    for _ in range(steps):
        logits = language_model(tensors, config, embeds, whole_length)[0][-1]
        logits[image_token_id] = -torch.inf
        answer.append(int(logits.argmax()))
        embeds = torch.cat((embeds, input_embeds(tensors, config, torch.tensor(answer[-1:]))))
    return answer
