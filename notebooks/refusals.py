"""What 12 refuses: the model's doubt beside the sum of a receipt, and a run with more receipts that is kept."""

import json
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot

from course import BLACK, GRAY, PURPLE, SKY, sign_test, table
from scans import outcomes, share_of


STORED = Path(__file__).with_name("receipts.json")  # of a run with more of them
RECORDS = {  # of an answer: what a program may believe
    "bread 320\nmilk 145": {"bread": 320, "milk": 145},
    'Here you are: {"bread": 320, "milk": 145}': {"bread": 320, "milk": 145},
    '{"bread": "320"}': {"bread": 320},
    '{"bread": 3.20}': None,
    '{"bread": true}': None,
    '{"bread": null}': None,
    "bread 3_20": None,
    "bread 3z0": None,
    "bread 320 g": None,
    "bread 320\nbread 145": None,
    '{"bread": 320, "bread": 145}': None,
    "": None,
}
CHECK_HEAD = ["refused by", "refused", "wrong, and given", "right, and refused"]
CHECK_HEAD += ["by chance: wrong and given", "by chance: all wrong decisions"]


def letter_chances(logits: tuple, ids, end) -> list:
    """
    The probability of each letter of each answer, and of its end.

    Args:
        logits: Of each step, as `generate` gives them: (rows, tokens that there are).
        ids: What was written, (rows, steps).
        end: The id, or ids, that end an answer; what comes behind the first one is padding.
    """
    likeliest = torch.stack([step.softmax(dim=-1).amax(dim=-1) for step in logits], 1)
    ends = torch.isin(ids, torch.tensor(end, device=ids.device)).int()
    written = ends.cumsum(dim=1) - ends == 0
    return [row[there] for row, there in zip(likeliest, written, strict=True)]


def in_doubt(sure: list[float], refused: list[bool]) -> list[bool]:
    """Which answers the check by doubt refuses: the least sure ones, as many as are `refused` by the sum."""
    limit = sorted(sure)[sum(refused)]
    return [each < limit for each in sure]


def check_rows(
    title: str, sure: list[float], right: list[bool], refused: list[bool]
) -> list:
    """
    Rows of a table (`CHECK_HEAD`): two checks that refuse equally many records, how many wrong ones they give, and
    right ones refuse; and how often chance parts the two checks so, by wrong records given and by wrong decisions.

    Args:
        title: Of the scans.
        sure: Of each record a number; the check by doubt refuses the lowest ones.
        right: Which records have no error.
        refused: Which ones the sum refuses.
    """
    doubted, rows = in_doubt(sure, refused), []
    for name, check in (("sum", refused), ("doubt", doubted)):
        pairs = list(zip(check, right, strict=True))
        given, lost = pairs.count((False, False)), pairs.count((True, True))
        rows.append([f"{name}, {title}", sum(check), given, lost])
    # A record that only one of both refuses is a wrong decision of exactly one
    apart = list(zip(right, refused, doubted, strict=True))
    by_sum, by_doubt = (
        apart.count((False, False, True)),
        apart.count((False, True, False)),
    )
    chances = [sign_test(by_doubt, by_sum)]
    by_sum += apart.count((True, True, False))
    by_doubt += apart.count((True, False, True))
    chances.append(sign_test(by_doubt, by_sum))
    rows[0] += ["", ""]
    rows[1] += ["< 0.001" if chance < 0.0005 else f"{chance:.3f}" for chance in chances]
    return rows


def reasons(records: list, wanted: list, adds_up) -> str:
    """Why the sum refuses records, a line; and in how many of these all numbers are right."""
    refused = [(a, b) for a, b in zip(records, wanted, strict=True) if not adds_up(a)]
    there = [(a, b) for a, b in refused if a is not None]
    nameless = sum("total" not in a for a, _ in there)
    right = sum([*a.values()] == [*b.values()] for a, b in there)
    return (
        f"{len(refused)} refused: {nameless} have no 'total', {len(there) - nameless} don't add up, "
        f"{len(refused) - len(there)} are no record; all numbers right in {right}"
    )


def behind_list(records: list, wanted: list, adds_up, mended, sure: list) -> dict:
    """
    What is given when names are mended and then the sum decides; and, of the same records, when doubt decides.

    Args:
        records, wanted: What was read, and what is right.
        adds_up: Says of a record whether its sum fits.
        mended: Gives a record with names of the shop, or `None`.
        sure: Of each record a number; the check by doubt refuses the lowest ones.
    """
    better = [mended(found) for found in records]
    right = [a == b for a, b in zip(better, wanted, strict=True)]
    wrong = [
        [found, given, want]
        for found, given, want in zip(records, better, wanted, strict=True)
        if adds_up(given) and given != want
    ]
    checks = check_rows("mended", sure, right, [not adds_up(each) for each in better])
    stages = outcomes(records, wanted, adds_up, mended)
    why = reasons(records, wanted, adds_up)
    return {"reasons": why, "stages": stages, "checks": checks, "wrong": wrong}


def store(n: int, scans: dict, rows: list) -> None:
    """Keep what a run with `FAST=0` found: how many receipts, `behind_list` of each blur, and `check_rows`."""
    found = {"receipts": n, "scans": scans, "checks": rows}
    STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def stored() -> dict:
    """What `store` kept."""
    return json.loads(STORED.read_text(encoding="utf-8"))


def show_found(n: int, scans: dict, rows: list) -> None:
    """Display what is given and wrong of `n` receipts, why the sum refuses, and both checks, before and after."""
    checks = list(rows)
    for title, found in scans.items():
        right, wrong, _ = list(found["stages"].values())[-1]
        print(f"{title}, as read, {found['reasons']}")
        print(f"  names mended: given and wrong {share_of(wrong, right + wrong)}")
        for read, given, want in found["wrong"]:
            print(f"  read {list(read)}, given {list(given)}, right {list(want)}")
        checks += [[f"{row[0]}, {title}", *row[1:]] for row in found["checks"]]
    table([f"{n} receipts, refused by", *CHECK_HEAD[1:]], checks)


def plot_doubt(panels: dict):
    """
    How sure a model is of right and of wrong answers, hollow where the sum refuses them, crossed where doubt does;
    below the share of wrong records among those given, for every limit of doubt, and by the sum.

    Args:
        panels: From a title to what `check_rows` takes: how sure, which are right, which are refused.
    """
    figure, axes = pyplot.subplots(
        2, len(panels), figsize=(10.5, 5.8), layout="constrained", sharey="row"
    )
    ends = [end for sure, *_ in panels.values() for end in (min(sure), max(sure))]
    reach = 0.013 * (max(ends) - min(ends))  # half a dot, nearly
    for (dots, curve), (title, (sure, right, refused)) in zip(
        axes.T, panels.items(), strict=True
    ):
        doubted = in_doubt(sure, refused)
        for kind, color in ((True, BLACK), (False, PURPLE)):
            own = [number for number, each in enumerate(right) if each == kind]
            step = min(0.11, 6 / len(sure))  # many dots stand closer
            heights = swarm([sure[number] for number in own], 2 * reach, step)
            for number, height in zip(own, heights, strict=True):
                fill = {"markerfacecolor": "white" if refused[number] else color}
                place = (sure[number], kind + height)
                dots.plot(*place, "o", color=color, markersize=6.5, **fill)
                if doubted[number]:
                    dots.plot(*place, "x", color=BLACK, markersize=11, mew=1.2)
        dots.set(title=title, xlabel="mean probability of the letters")
        dots.set(xlim=(min(ends) - 3 * reach, max(ends) + 3 * reach), ylim=(-0.6, 1.6))
        dots.set_yticks((0, 1), ("wrong", "right"))
        order = np.argsort(sure)[::-1]
        given = np.arange(1, len(sure) + 1)
        risks = np.cumsum(~np.array(right)[order]) / given
        curve.plot(given / len(sure), risks, "x-", color=GRAY, mec=BLACK, markersize=4)
        curve.lines[-1].set_label("by doubt, each limit")
        believed = [kind for kind, no in zip(right, refused, strict=True) if not no]
        point = len(believed) / len(sure), believed.count(False) / len(believed)
        curve.plot(*point, "D", color=SKY, markersize=9, mec=BLACK, label="by the sum")
        curve.set(
            xlabel="share of the records given", xlim=(0, 1.02), ylim=(-0.02, 0.75)
        )
    axes[1, 0].set_ylabel("share wrong\nof the records given")
    axes[1, 0].legend(frameon=False, loc="upper left")
    marks = {
        "right": {"marker": "o", "color": BLACK},
        "wrong": {"marker": "o", "color": PURPLE},
        "refused by the sum": {"marker": "o", "color": GRAY, "mfc": "white"},
        "refused by doubt": {"marker": "x", "color": BLACK, "markersize": 11},
    }
    handles = [
        pyplot.Line2D([], [], linestyle="", label=label, **style)
        for label, style in marks.items()
    ]
    style = {"frameon": False, "ncols": 4, "loc": "outside upper center"}
    figure.legend(handles=handles, **style)
    return figure


def swarm(values: list[float], width: float, step: float) -> list[float]:
    """Heights of dots about 0, so that none covers another: those nearer than `width` are apart by a `step`."""
    heights, placed = [0.0] * len(values), []
    for number in np.argsort(values):
        near = {level for value, level in placed if values[number] - value < width}
        levels = (sign * k for k in range(len(values) + 1) for sign in (1, -1))
        level = next(level for level in levels if level not in near)
        placed.append((values[number], level))
        heights[number] = step * level
    return heights
