"""What 12 refuses: the model's doubt beside the sum of a receipt, and a run with more receipts that is kept."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib import pyplot

from course import BLACK, GRAY, PURPLE, SKY, sign_test, table
from scans import outcomes, share_of
from tables import folded


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


def count_checks(sure: list[float], right: list[bool], refused: list[bool]) -> dict:
    """
    Two checks that refuse equally many records: of each how many it refuses, how many wrong ones it gives, how many
    right ones it refuses, and in how many of these the other one decides right.

    Args:
        sure: Of each record a number; the check by doubt refuses the lowest ones.
        right: Which records have no error.
        refused: Which ones the sum refuses.
    """
    checks = {"sum": refused, "doubt": in_doubt(sure, refused)}
    cases, found = list(zip(*checks.values(), right, strict=True)), {}
    for name, check in checks.items():
        pairs = list(zip(check, right, strict=True))
        # The checks decide unlike where only one of them refuses: one of the two is wrong
        given = (False, True, False) if name == "sum" else (True, False, False)
        refuses = (True, False, True) if name == "sum" else (False, True, True)
        found[name] = {
            "refused": sum(check),
            "wrong and given": pairs.count((False, False)),
            "right and refused": pairs.count((True, True)),
            "wrong and given by it alone": cases.count(given),
            "right and refused by it alone": cases.count(refuses),
        }
    return found


def check_rows(counted: dict) -> list:
    """
    Rows of a table (`CHECK_HEAD`): what two checks refuse and give, and how often chance parts the two so, by wrong
    records given and by wrong decisions.

    Args:
        counted: From a title of the scans to what `count_checks` found.
    """
    rows = []
    for title, checks in counted.items():
        numbers = {name: list(check.values()) for name, check in checks.items()}
        given, refused = zip(*(each[3:] for each in numbers.values()), strict=True)
        wrong = [sum(each) for each in zip(given, refused, strict=True)]
        chances = [sign_test(*given), sign_test(*wrong)]
        texts = ["< 0.001" if each < 0.0005 else f"{each:.3f}" for each in chances]
        ends = {"sum": ["", ""], "doubt": texts}
        for name, each in numbers.items():
            rows.append([f"{name}, {title}", *each[:3], *ends[name]])
    return rows


def why(records: list, wanted: list, adds_up) -> dict[str, int]:
    """How many records the sum refuses, by what is wrong; and in how many of these all numbers are right."""
    refused = [(a, b) for a, b in zip(records, wanted, strict=True) if not adds_up(a)]
    there = [(a, b) for a, b in refused if a is not None]
    nameless = sum("total" not in a for a, _ in there)
    return {
        "refused": len(refused),
        "no total": nameless,
        "another sum": len(there) - nameless,
        "no record": len(refused) - len(there),
        "right numbers": sum([*a.values()] == [*b.values()] for a, b in there),
    }


def reasons(found: dict[str, int]) -> str:
    """What `why` found, as a line."""
    return (
        f"{found['refused']} refused: no 'total' in {found['no total']}, another sum in {found['another sum']}, "
        f"no record in {found['no record']}; all numbers right in {found['right numbers']}"
    )


def after_mending(records: list, wanted: list, adds_up, mended, sure: list) -> dict:
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
        {"read": found, "given": given, "right": want}
        for found, given, want in zip(records, better, wanted, strict=True)
        if adds_up(given) and given != want
    ]
    return {
        "reasons": why(records, wanted, adds_up),
        "stages": outcomes(records, wanted, adds_up, mended),
        "checks": count_checks(sure, right, [not adds_up(each) for each in better]),
        "wrong": wrong,
    }


def show_found(receipts: int, scans: dict, checks: dict, fold=False, **_) -> None:
    """
    Display what is given and wrong, why the sum refuses, and both checks, before and after mending.

    Args:
        receipts: How many there are.
        scans: From a title to what `after_mending` found.
        checks: From a title to what `count_checks` found before it.
        fold: Whether the table is collapsed.
    """
    rows = check_rows(checks)
    for title, found in scans.items():
        right, wrong, _ = list(found["stages"].values())[-1]
        print(f"{receipts} receipts, {title}, as read, {reasons(found['reasons'])}")
        print(f"  names mended: given and wrong {share_of(wrong, right + wrong)}")
        for each in found["wrong"]:
            names = (f"{name} {list(each[name])}" for name in each)
            print(f"  {', '.join(names)}")
        rows += check_rows({f"mended, {title}": found["checks"]})
    title = f"{receipts} receipts, refused by"
    show = partial(folded, f"Both checks on {receipts} receipts") if fold else table
    show([title, *CHECK_HEAD[1:]], rows)


def plot_doubt(panels: dict):
    """
    How sure a model is of right and of wrong answers, hollow where the sum refuses them, crossed where doubt does;
    below the share of wrong records among those given, for every limit of doubt, and by the sum.

    Args:
        panels: From a title to what `count_checks` takes: how sure, which are right, which are refused.
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
