"""Drawings of how something goes: boxes and arrows, blocks of a cache; each gives a matplotlib figure."""

from dataclasses import dataclass

from matplotlib import pyplot
from matplotlib.patches import FancyBboxPatch, Rectangle

from course import BLACK, GRAY, PURPLE, SKY, YELLOW


@dataclass(frozen=True)
class Box:
    """
    A step of a drawing.

    Args:
        column, row: Of its middle; rows count downwards.
        title: Its first line, in bold.
        text: Below the title.
        color: Of its frame.
    """

    column: float
    row: float
    title: str
    text: str = ""
    color: str = SKY


SHARING = {  # what 09 does; it compares the sizes with those of its files
    "folder": Box(
        0,
        0,
        "training folder",
        "model.safetensors:\n26.4 MB; config.json,\ntokenizer.json, the\ncode, and more",
    ),
    "push": Box(
        1,
        0,
        "push",
        "checks the files,\nwrites README.md (the\ncard), and uploads all\nin one commit",
    ),
    "hub": Box(
        2,
        0,
        "Hub: me/reader",
        "a commit per push;\nmain is the newest,\na tag is a name, and\na hash never moves",
    ),
    "load": Box(
        3,
        0,
        "from_pretrained",
        '"me/reader", with\nrevision="v2" and\ntrust_remote_code',
    ),
    "process": Box(
        4,
        0,
        "fresh process",
        "has Transformers,\nand nothing of ours;\nanswers the same",
    ),
    "home": Box(
        0,
        1,
        "stays at home",
        "optimizer.pt, 30.5 MB\ntraining_args.bin\ntrainer_state.json",
        GRAY,
    ),
    "refused": Box(
        1,
        1,
        "refused",
        '"hf_abc...", a token of\nthe Hub; a local path,\n"/home/..."; no other\nsecret is known',
        PURPLE,
    ),
    "code": Box(
        3,
        1,
        "cache",
        "model.safetensors;\nthe code in a package,\ntransformers_modules.\nme.reader.<commit>",
    ),
}
WAY = [
    ("folder", "push", ""),
    ("push", "hub", ""),
    ("hub", "load", ""),
    ("load", "process", ""),
    ("folder", "home", ""),
    ("push", "refused", ""),
    ("load", "code", ""),
]


def check_sizes(sizes: dict[str, int]) -> None:
    """
    The two largest files are those whose sizes `SHARING` names.

    Args:
        sizes: Bytes of the files of a training folder, by name.
    """
    largest = sorted(sizes, key=sizes.get)[-2:]
    for name, box in zip(largest, ("folder", "home"), strict=True):
        if f"{sizes[name] / 1e6:.1f} MB" not in SHARING[box].text:
            raise ValueError(f"{name} has {sizes[name]} bytes.")


def plot_flow(
    boxes: dict[str, Box],
    arrows: list[tuple[str, str, str]],
    size: tuple[float, float],
    width: float = 0.76,
    height: float = 0.6,
):
    """
    Boxes and the arrows between them.

    Args:
        boxes: From a name to a box.
        arrows: Names of two boxes, and what stands beside the arrow.
        size: Of the figure, in inches.
        width, height: Of a box, in columns and rows.
    """
    figure, axis = pyplot.subplots(figsize=size, layout="constrained")
    for box in boxes.values():
        corner = box.column - width / 2, box.row - height / 2
        style = {"boxstyle": "round,pad=0,rounding_size=0.06", "linewidth": 2}
        style |= {"facecolor": "white", "edgecolor": box.color}
        axis.add_patch(FancyBboxPatch(corner, width, height, **style))
        top = box.row - 0.05 * (1 + len(box.text.splitlines()))
        center = {"ha": "center", "va": "top", "linespacing": 1.25}
        axis.text(box.column, top, box.title, weight="bold", fontsize=10.5, **center)
        axis.text(box.column, top + 0.13, box.text, fontsize=9.5, **center)
    style = {"arrowstyle": "-|>", "color": BLACK, "linewidth": 1.3, "shrinkA": 0}
    style |= {"shrinkB": 0, "mutation_scale": 13}
    for first, second, label in arrows:
        start, end = boxes[first], boxes[second]
        if start.row == end.row:
            side = width / 2 if end.column > start.column else -width / 2
            ends = (start.column + side, start.row), (end.column - side, end.row)
            place, anchor = (0, -0.05), {"ha": "center", "va": "bottom"}
        else:
            side = height / 2 if end.row > start.row else -height / 2
            ends = (start.column, start.row + side), (end.column, end.row - side)
            place, anchor = (0.04, 0), {"ha": "left", "va": "center"}
        axis.annotate("", ends[1], ends[0], arrowprops=style)
        (left, top), (right, bottom) = ends
        middle = (left + right) / 2 + place[0], (top + bottom) / 2 + place[1]
        axis.text(*middle, label, fontsize=9, linespacing=1.2, **anchor)
    columns, rows = zip(*((box.column, box.row) for box in boxes.values()), strict=True)
    axis.set_xlim(min(columns) - width / 2 - 0.05, max(columns) + width / 2 + 0.05)
    axis.set_ylim(max(rows) + height / 2 + 0.05, min(rows) - height / 2 - 0.05)
    axis.set_axis_off()
    return figure


def plot_blocks(lengths: dict[str, int], longest: int, block: int = 16):
    """
    Caches of several prompts: each in one piece as large as the longest may be, and in blocks of one pool.

    Args:
        lengths: Tokens of each prompt.
        longest: Tokens for which each piece has room.
        block: Tokens of a block.
    """
    colors = dict(zip(lengths, (PURPLE, SKY, YELLOW, BLACK), strict=False))
    figure, (pieces, pool) = pyplot.subplots(
        2, 1, figsize=(10, 4.4), layout="constrained", height_ratios=(1, 0.9)
    )
    for row, (name, tokens) in enumerate(lengths.items()):
        pieces.barh(row, longest, 0.7, color="white", edgecolor=GRAY, hatch="//")
        pieces.barh(row, tokens, 0.7, color=colors[name])
        label = f"{tokens} used, {longest - tokens} kept free"
        pieces.text(longest + 4, row, label, va="center", fontsize=9.5)
    pieces.set_yticks(range(len(lengths)), list(lengths))
    pieces.invert_yaxis()
    pieces.set(xlim=(0, 1.3 * longest), xlabel="tokens")
    pieces.set_title("one piece each, as large as the longest may be", loc="left")
    # The prompts come one after the other, so that answers take blocks in turns
    filled = []
    for name, tokens in lengths.items():
        filled += [(name, min(block, tokens - at)) for at in range(0, tokens, block)]
    across = 24
    for place, (name, tokens) in enumerate(filled):
        row, column = divmod(place, across)
        size = {"width": 0.9, "height": 0.8}
        frame = {"facecolor": "white", "edgecolor": GRAY, "hatch": "//"}
        pool.add_patch(Rectangle((column, row), **size, **frame))
        size["width"] *= tokens / block
        pool.add_patch(Rectangle((column, row), **size, color=colors[name]))
    free = len(filled) * block - sum(lengths.values())
    title = f"{len(filled)} blocks of {block} from one pool: {free} slots kept free"
    pool.set_title(title, loc="left")
    rows = -(-len(filled) // across)
    pool.set(xlim=(-0.1, 1.15 * across), ylim=(rows, -0.1))
    pool.set_axis_off()
    return figure
