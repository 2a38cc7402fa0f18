"""What the language model said before it learned to read: plain questions to keep, and answers to train on again."""

import itertools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.sawtooth.pretrained.questions import explainable_words


COLORS = "red blue green yellow orange purple pink black white brown gray".split()
FRUITS = "apple banana orange grape strawberr mango pear peach cherr kiwi pineapple lemon".split()
# Twenty plain questions that SmolLM2-135M-Instruct answers right (greedy, float32), the beginnings of words that a
# right answer has, and how many of them. None is trained.
PLAIN = (
    ("What is the capital of France?", ("paris",), 1),
    ("What is the capital of Japan?", ("tokyo",), 1),
    ("What is the capital of Italy?", ("rome",), 1),
    ("How many days are in a week?", ("7", "seven"), 1),
    ("How many legs does a dog have?", ("4", "four"), 1),
    ("What is the opposite of hot?", ("cold",), 1),
    ("What is the largest ocean on Earth?", ("pacific",), 1),
    ("Who painted the Mona Lisa?", ("leonardo", "vinci"), 1),
    ("What language is spoken in Brazil?", ("portuguese",), 1),
    ("What is the first month of the year?", ("january",), 1),
    ("What is the currency of the United States?", ("dollar",), 1),
    ("What organ pumps blood through the body?", ("heart",), 1),
    ("Name three colors.", COLORS, 3),
    ("Name three fruits.", FRUITS, 3),
    ("What is the tallest mountain in the world?", ("everest",), 1),
    ("What is the name of the star at the center of our solar system?", ("sun",), 1),
    ("Which season comes after winter?", ("spring",), 1),
    ("What do cows produce that people drink?", ("milk",), 1),
    ("What is the plural of mouse?", ("mice",), 1),
    ("Which country has the Eiffel Tower?", ("france",), 1),
)
MEANING = 'What does the word "{0}" mean?'
THINGS = (
    "a tree,a river,a mountain,the moon,the rain,a storm,a volcano,a desert,a forest,an island,a cat,"
    "a horse,an elephant,a bird,a fish,a whale,a butterfly,an ant,a lion,a rabbit,a car,a train,a ship,"
    "a bicycle,an airplane,a bridge,a house,a school,a hospital,a library,a museum,a kitchen,a garden,"
    "a farm,a city,a village,a computer,a telephone,a camera,a clock,a book,a letter,a song,a painting,"
    "a game,bread,cheese,rice,soup,tea,coffee,salt,sugar,gold,iron,glass,paper,wood,music,history,"
    "science,friendship,patience,courage,happiness,fear,sleep,exercise,money,a bank,a market,a doctor,"
    "a teacher,a farmer,a king,a soldier,an artist,a pilot,a holiday,a birthday,winter sports,football,"
    "chess,electricity,gravity,light,sound,heat,energy,an atom,a cell,a vaccine,a planet,a comet,"
    "the ocean,the internet,democracy,a law"
).split(",")
COUNTRIES = (
    "Spain,Germany,Portugal,Greece,Norway,Sweden,Poland,Austria,Egypt,Kenya,Nigeria,India,China,Thailand,Canada,Mexico,"
    "Argentina,Peru,Chile,Australia,Russia,Turkey,Ireland,Hungary,Vietnam,Cuba,Morocco,Finland,Denmark,Belgium"
).split(",")
GROUPS = (
    "animals,birds,vegetables,countries in Europe,rivers,sports,musical instruments,tools,flowers,trees,cities,metals,"
    "drinks,insects,professions,languages,kinds of weather,pieces of furniture,parts of the body,school subjects"
).split(",")
OPPOSITES = "small fast happy old light dark early strong rich full open near hard wet loud clean deep".split()
TEMPLATES = {
    "What is {0}?": THINGS,
    "Tell me something about {0}.": THINGS,
    "Write a short sentence about {0}.": THINGS,
    "Why is {0} important?": THINGS,
    "Write a two-line poem about {0}.": THINGS,
    "Explain {0} to a child.": THINGS,
    "Ask me a question about {0}.": THINGS,
    "Where does one find {0}?": THINGS,
    'Use the word "{0}" in a sentence.': explainable_words(held_out=False)[::4],
    "What is the capital of {0}?": COUNTRIES,
    "Tell me one fact about {0}.": COUNTRIES,
    "Where is {0}?": COUNTRIES,
    "What do people eat in {0}?": COUNTRIES,
    "Name two {0}.": GROUPS,
    "Name five {0}.": GROUPS,
    "What is the opposite of {0}?": OPPOSITES,
    "Give me a synonym for {0}.": OPPOSITES,
    "What is {0}": [f"{a} plus {b}?" for a, b in itertools.product(range(3, 9), range(4, 8))],
    "How do I {0}?": (
        "learn a language,bake bread,write a letter,stay healthy,save money,plant a tree,make tea,sleep better,"
        "make friends,clean a window,draw a face,cook rice,prepare for an exam,ride a bicycle,calm down,start a diary"
    ).split(","),
    "{0}": (
        "Hello!",
        "Hi, how are you?",
        "Thank you!",
        "Who are you?",
        "What is your name?",
        "What can you do?",
        "Tell me a joke.",
        "Tell me a short story.",
        "Good morning!",
        "Can you help me?",
        "Good night!",
        "Give me some advice.",
        "What should I read?",
        "I am tired.",
        "I am bored.",
        "Which color do you like?",
        "How many days are in a year?",
        "Who wrote Hamlet?",
        "Which ocean is the smallest?",
        "What does a baker do?",
    ),
}

Said = tuple[tuple[int, ...], bool]  # ids, and whether the answer came to an end


def chat_prompts(n: int | None = None, seed: int = 0) -> list[str]:
    """Everyday prompts that are no questions of `PLAIN`, in random order; the first `n`, by default all of them."""
    plain = {question for question, _, _ in PLAIN}
    prompts = {template.format(thing) for template, things in TEMPLATES.items() for thing in things} - plain
    return [str(prompt) for prompt in np.random.default_rng(seed).permutation(sorted(prompts))][:n]


def is_right(answer: str, accepted: Sequence[str], least: int) -> bool:
    """Whether words of an answer begin with `least` different ones of those accepted, whatever their case."""
    return sum(bool(re.search(rf"\b{beginning}", answer.lower())) for beginning in accepted) >= least


def remember(path: Path, prompts: Sequence[str], answer: Callable[[list[str]], list[Said]]) -> dict[str, Said]:
    """
    The answers to `prompts`, by prompt, from a file or, if they aren't all there, from `answer`.

    Args:
        path: of JSON lines; it is written anew where answers were missing.
        answer: gives the answers to a list of prompts.
    """
    known = {}
    if path.exists():
        for row in map(json.loads, path.read_text().splitlines()):
            known[row["prompt"]] = (tuple(row["ids"]), row["ended"])
    missing = [prompt for prompt in prompts if prompt not in known]
    if missing:
        known |= dict(zip(missing, answer(missing), strict=True))
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = ({"prompt": prompt, "ids": ids, "ended": ended} for prompt, (ids, ended) in known.items())
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {prompt: known[prompt] for prompt in prompts}
