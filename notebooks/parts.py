"""The parts of the model, for 04: their names, the shapes between them, and one layer of attention by hand."""

import numpy as np
import torch


def parts_of(model) -> dict:
    """Four parts by name, in the order of the data; of the language model, its table of embeddings apart."""
    whole, language = model.model, model.model.language_model
    return {
        "vision tower": whole.vision_tower,
        "projector": whole.multi_modal_projector,
        "language: embeddings": language.embed_tokens,
        "language: layers": torch.nn.ModuleList([language.layers, language.norm]),
        "head": model.lm_head,
    }


def count(model) -> dict:
    """How many parameters each of the parts has."""
    return {
        part: sum(p.numel() for p in module.parameters())
        for part, module in parts_of(model).items()
    }


def size_rows(configs: dict) -> tuple[list, list]:
    """Head and rows of a table of the sizes in some configurations, which are given by name, side by side."""
    columns = []
    for config in configs.values():
        vision, text = config.vision_config, config.text_config
        keys, rope = text.num_key_value_heads, text.rope_parameters
        base = f"{rope['rope_theta']:,.0f}"
        if rope["rope_type"] == "dynamic":
            base += f", more beyond {text.max_position_embeddings:,} tokens"
        columns.append(
            {
                "tower: layers": vision.num_hidden_layers,
                "tower: heads": vision.num_attention_heads,
                "tower: width": f"{vision.hidden_size:,}",
                "tile, px": vision.image_size[0],
                "patch, px": vision.patch_size[0],
                "tokens per tile": config.image_seq_length,
                "language model: layers": text.num_hidden_layers,
                "language model: heads of queries, of keys and values": f"{text.num_attention_heads}, {keys}",
                "language model: width": f"{text.hidden_size:,}",
                "language model: width inside the MLP": f"{text.intermediate_size:,}",
                "language model: base of RoPE": base,
                "vocabulary": f"{text.vocab_size:,}",
            }
        )
    rows = [[name, *(each[name] for each in columns)] for name in columns[0]]
    return ["size", *configs], rows


def run_and_watch(model, inputs):
    """
    Run a model once, and note what leaves its parts.

    Args:
        model: A `MiniMonkeyForConditionalGeneration`.
        inputs: What the processor returned.

    Returns:
        A dict from the name of a step to a shape; the logits.
    """
    whole, language_model = model.model, model.model.language_model
    shapes = {
        "tiles": tuple(inputs["pixel_values"].shape),
        "token ids": tuple(inputs["input_ids"].shape),
    }

    def note(name):
        def hook(module, arguments, output):
            shapes[name] = tuple(getattr(output, "last_hidden_state", output).shape)

        return hook

    def note_before(name):
        def hook(module, arguments, named):
            shapes[name] = tuple([*arguments, named.get("inputs_embeds")][0].shape)

        return hook

    watched = {
        "patch embedding": whole.vision_tower.embeddings,
        "vision tower": whole.vision_tower.encoder,
        "projector": whole.multi_modal_projector,
        "token embeddings": language_model.embed_tokens,
        "language model": language_model.norm,
        "head": model.lm_head,
    }
    arriving = {"pixel shuffle": whole.multi_modal_projector, "scatter": language_model}
    hooks = [
        module.register_forward_hook(note(name)) for name, module in watched.items()
    ]
    for name, module in arriving.items():  # neither is a module: see what they hand on
        hooks.append(
            module.register_forward_pre_hook(note_before(name), with_kwargs=True)
        )
    logits = model(**inputs).logits
    for hook in hooks:
        hook.remove()
    return shapes, logits


def ids_of_crops(processor, page, *sizes) -> list:
    """Ids of the prompts of a page's upper left corners, one of each size (width, height), without marks of a chat."""
    text = f"{processor.image_token}Read the text."
    return [
        processor(images=page.crop((0, 0, *size)), text=text)["input_ids"]
        for size in sizes
    ]


def without_ink(tiles, paper, side: int = 8):
    """
    Tiles with blank paper in place of every patch that has ink on it.

    Args:
        tiles: (tiles, 3, size, size), with ink.
        paper: As many tiles without.
        side: Patches along the side of a tile.

    Returns:
        The tiles without ink, and which patches had none, (tiles, patches).
    """
    number, _, size, _ = tiles.shape
    patch = size // side
    dark = tiles.mean(dim=1) < paper.mean(dim=1).min()  # darker than any paper
    inked = dark.reshape(number, side, patch, side, patch).any(dim=4).any(dim=2)
    covered = inked.repeat_interleave(patch, 1).repeat_interleave(patch, 2)
    return torch.where(covered[:, None], paper, tiles), ~inked.flatten(1)


def scores_over_distance(layer, turned, query, key, distances):
    """
    What one query of a layer gives one key, by head, if it stands so many positions behind it.

    Args:
        layer: Of the language model.
        turned: RoPE, which takes queries or keys, (heads, tokens, d), and their positions.
        query, key: States of both tokens, (width,).
        distances: Positions from the key to the query, at least 0.

    Returns:
        Scores before the softmax, (heads, distances).
    """
    part, d = layer.self_attn, layer.self_attn.head_dim
    q, k = (
        matrix(layer.input_layernorm(state)).view(-1, 1, d)
        for matrix, state in ((part.q_proj, query), (part.k_proj, key))
    )
    q = turned(q.expand(-1, len(distances), d), distances)
    return (q * turned(k, torch.zeros(1))).sum(dim=-1) / d**0.5


def distance_rows(page, maps: dict) -> list:
    """
    Mean distances where there is ink, and on blank paper in the upper and the lower half of the page.

    Args:
        page: A PIL image whose upper half alone has ink.
        maps: From a title to distances, laid out like the page.
    """
    ink, rows = np.asarray(page.convert("L")) < 160, []
    for title, values in maps.items():
        high, wide = values.shape
        block = page.height // high
        inked = ink.reshape(high, block, wide, block).any(axis=(1, 3))
        upper = (np.arange(high) < high // 2)[:, None]
        means = (
            values[chosen].mean() for chosen in (inked, ~inked & upper, ~inked & ~upper)
        )
        rows.append([title, *(f"{mean:.1f}" for mean in means)])
    return rows


def distances(vectors):
    """
    How far vectors are from the median of all, in a map of the page.

    Args:
        vectors: (tiles, places, width), of 3 x 2 tiles.
    """
    size = int(vectors.shape[1] ** 0.5)
    typical = vectors.reshape(-1, vectors.shape[-1]).median(dim=0).values
    far = (vectors - typical).norm(dim=-1).reshape(2, 3, size, size)
    return far.swapaxes(1, 2).reshape(2 * size, 3 * size).numpy()


def attention_rows(of_layers: list, groups: dict, has_ink) -> tuple[list, list]:
    """
    Head and rows of a table: what share of its attention a token gives to whom, layer by layer.

    Args:
        of_layers: Weights of the token in each layer, (tokens,).
        groups: From a name to the number of its tokens, in the order of the prompt.
        has_ink: Which of the detailed tokens have ink.
    """
    rows = []
    for number, each in enumerate(of_layers):
        split = dict(zip(groups, each.split(list(groups.values())), strict=True))
        shares = [float(part.sum()) for part in split.values()]
        inked = float(split["detailed"][has_ink].sum() / split["detailed"].sum())
        rows.append([number, *(f"{100 * share:.1f}" for share in (*shares, inked))])
    head = ["last token, layer", *(f"{name}, %" for name in groups)]
    return [*head, "of detailed, on ink, %"], rows


def doubts(processor, steps: list) -> tuple[list[str], list[float], list[str]]:
    """
    What was written at each step, the probability of all else, and the second choice.

    Args:
        steps: Probabilities of the tokens at each step; the last one ends the answer.
    """

    def as_text(token) -> str:
        return repr(processor.decode([int(token)]))[1:-1].replace(" ", "space")

    written = [as_text(step.argmax()) for step in steps[:-1]] + ["end"]
    seconds = [as_text(step.topk(2).indices[1]) for step in steps]
    return written, [float(1 - step.max()) for step in steps], seconds
