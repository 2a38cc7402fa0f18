"""Model: inputs that do not fit it or each other."""

import logging

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from modeling_minimonkey import MiniMonkeyForConditionalGeneration
from tests.modeling.conftest import PAD_TOKEN_ID, randomize, tiny_config
from tests.robustness.cases import Case, cases, refused, works


POSITIONS = 48
LONG = {"levels": "00000000012"}  # 54 tokens, 36 of them detailed
TOO_LONG = f"has 54 tokens, but the language model has {POSITIONS} positions"


class Subject:
    """A tiny model, and inputs of one row with an image: 26 ids, four tiles of four tokens, two of them detailed."""

    def __init__(self, **config):
        model = MiniMonkeyForConditionalGeneration(tiny_config(**config)).eval()
        randomize(model)
        model.generation_config.suppress_tokens = [model.config.image_token_id]
        model.generation_config.pad_token_id = PAD_TOKEN_ID
        model.generation_config.eos_token_id = None
        self.model = model

    @staticmethod
    def inputs(levels: str = "0012", text: int = 5, **changes) -> dict:
        ids = torch.tensor([[8] * 3 + [5] + [7] * 4 * len(levels) + [6] + [9] * text])
        generator = torch.Generator().manual_seed(0)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if levels:
            inputs["pixel_values"] = torch.randn(len(levels), 3, 28, 28, generator=generator)
            inputs["tile_levels"] = torch.tensor([int(level) for level in levels])
        for name, change in changes.items():
            inputs[name] = change(inputs[name]) if callable(change) else change
        return {name: value for name, value in inputs.items() if value is not None}

    @torch.no_grad()
    def forward(self, **changes) -> torch.Tensor:
        return self.model(**self.inputs(**changes)).logits

    def generate(self, **changes) -> torch.Tensor:
        return self.model.generate(**self.inputs(**changes), max_new_tokens=3, do_sample=False)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject()


@pytest.fixture(scope="module")
def short() -> Subject:
    """One with 48 positions."""
    return Subject(text={"max_position_embeddings": POSITIONS})


def both(tried: str, words: str, error: type[Exception] = ValueError, **changes) -> list[Case]:
    """Three cases: `forward`, `generate`, and `generate` with compression, refuse the changed inputs."""
    return [
        refused(f"{tried}, forward", lambda s: s.forward(**changes), words, error),
        refused(f"{tried}, generate", lambda s: s.generate(**changes), words, error),
        refused(f"{tried}, compressed", lambda s: s.generate(**{"keep_ratio": 0.5} | changes), words, error),
    ]


@cases(
    [
        *both("a tile too few", "got the shape (4,)", pixel_values=lambda p: p[:3]),
        *both(
            "a tile and its level too few",
            "do not match: the text has 16 image tokens, but the images have 12",
            pixel_values=lambda p: p[:3],
            tile_levels=lambda levels: levels[:3],
        ),
        *both(
            "a tile and its level too many",
            "do not match: the text has 16 image tokens, but the images have 20",
            pixel_values=lambda p: torch.cat((p, p[:1])),
            tile_levels=lambda levels: torch.cat((levels, levels[:1])),
        ),
        *both("image tokens without pixels", "image tokens, but", pixel_values=None, tile_levels=None),
        *both("tiles of half the height", "(tiles, 3, 28, 28)", pixel_values=lambda p: p[:, :, :14]),
        *both("tiles of one channel", "(tiles, 3, 28, 28)", pixel_values=lambda p: p[:, :1]),
        *both("tiles with channels last", "(tiles, 3, 28, 28)", pixel_values=lambda p: p.permute(0, 2, 3, 1)),
        *both("a batch of batches of tiles", "(tiles, 3, 28, 28)", pixel_values=lambda p: p[None]),
        *both("pixels of uint8", "got torch.uint8", pixel_values=lambda p: p.byte()),
        *both("complex pixels", "got torch.complex64", pixel_values=lambda p: p.to(torch.complex64)),
        *both("pixels as an array", "must be a tensor", TypeError, pixel_values=lambda p: p.numpy()),
        *both("pixels as a list", "must be a tensor, got a list of 4", TypeError, pixel_values=list),
        *both("pixels as text", "must be a tensor, got 'x'", TypeError, pixel_values="x"),
        *both("a level as a list", "`tile_levels` must be a tensor", TypeError, tile_levels=lambda t: t.tolist()),
        *both("levels that are no whole numbers", "must hold whole numbers", tile_levels=lambda t: t + 0.5),
        *both("levels in two dimensions", "`tile_levels` must have one level for each", tile_levels=lambda t: t[None]),
        *both("features as a number", "`mm_encoder_outputs` must be a dictionary", TypeError, mm_encoder_outputs=3),
        *both(
            "features of a video",
            'must have the key "image" alone',
            mm_encoder_outputs={"video": 3},
            pixel_values=None,
        ),
        *both(
            "pixels and features", "not both", mm_encoder_outputs={"image": type("Output", (), {"pooler_output": 0})}
        ),
        *both("a vision layer that there is not", "must be a whole number from -3 to 2", vision_feature_layer=10**9),
        *both("a vision layer as text", "must be a whole number from -3 to 2", vision_feature_layer="last"),
        *both("the class token among the features", 'must be "default"', vision_feature_select_strategy="full"),
        refused(
            "levels above 2, with compression",
            lambda s: s.generate(tile_levels=lambda t: t + 3, keep_ratio=0.5),
            "must be 0, 1 or 2",
        ),
        refused(
            "no levels, with compression", lambda s: s.generate(tile_levels=None, keep_ratio=0.5), "`tile_levels`"
        ),
    ]
)
def test_images(case, subject):
    case.check(subject)


@cases(
    [
        *both("an id beyond the vocabulary", "from 0 to 99, got 100", input_ids=lambda i: i.masked_fill(i == 9, 100)),
        *both("a negative id", "from 0 to 99, got -1", input_ids=lambda i: i.masked_fill(i == 9, -1)),
        *both("ids as floats", "whole numbers of 32 or 64 bits", input_ids=lambda i: i.float()),
        *both("ids as booleans", "whole numbers of 32 or 64 bits", input_ids=lambda i: i.bool()),
        *both("ids without rows", "(batch_size, sequence_length), got (26,)", input_ids=lambda i: i[0]),
        *both("ids in three dimensions", "(batch_size, sequence_length)", input_ids=lambda i: i[None]),
        *both("ids as a list", "`input_ids` must be a tensor", TypeError, input_ids=lambda i: i.tolist()),
        *both("no rows", "at least one row", input_ids=lambda i: i[:0], attention_mask=lambda m: m[:0]),
        *both("no ids", "at least one row", input_ids=lambda i: i[:, :0], attention_mask=lambda m: m[:, :0]),
        *both("a mask that is too short", "`attention_mask` must have the shape", attention_mask=lambda m: m[:, :5]),
        *both("a mask that is too long", "`attention_mask` must have the shape", attention_mask=torch.ones(1, 99)),
        *both("a mask of two rows", "`attention_mask` must have the shape", attention_mask=lambda m: m.repeat(2, 1)),
        *both("a mask as text", "`attention_mask` must be a tensor", TypeError, attention_mask="all"),
        *both("too few positions", "`position_ids` must have the shape", position_ids=torch.arange(5)[None]),
        refused("neither ids nor embeddings", lambda s: s.forward(input_ids=None), "exactly one of"),
        refused("ids and embeddings", lambda s: s.forward(inputs_embeds=torch.zeros(1, 26, 32)), "exactly one of"),
        refused(
            "embeddings of another size",
            lambda s: s.forward(inputs_embeds=torch.zeros(1, 26, 31), input_ids=None),
            "`inputs_embeds` must have the hidden size 32",
        ),
        refused("a misspelled argument", lambda s: s.forward(keep_ration=0.5), "Did you mean `keep_ratio`?"),
        refused(
            "labels that are too short", lambda s: s.forward(labels=torch.zeros(1, 4).long()), "`labels` must have"
        ),
        refused(
            "labels as floats", lambda s: s.forward(labels=torch.zeros(1, 26)), "`labels` must hold whole numbers"
        ),
        refused(
            "a label beyond the vocabulary",
            lambda s: s.forward(labels=torch.full((1, 26), 100)),
            "`labels` must hold ids from 0 to 99, got 100",
        ),
        refused(
            "a negative label that is not -100",
            lambda s: s.forward(labels=torch.full((1, 26), -1)),
            "`labels` must hold ids from 0 to 99, got -1",
        ),
        refused("labels as text", lambda s: s.forward(labels="x"), "`labels` must be a tensor", TypeError),
    ]
)
def test_text(case, subject):
    case.check(subject)


@cases(
    [
        *[
            refused(f"keep_ratio {value!r}, {name}", lambda s, v=value, n=name: getattr(s, n)(keep_ratio=v), words)
            for name in ("forward", "generate")
            for value, words in [
                (0, "got 0."),
                (-0.5, "got -0.5."),
                (1.5, "got 1.5."),
                (float("nan"), "got nan."),
                (float("inf"), "got inf."),
                ("0.5", "got str: '0.5'"),
                (True, "got bool: True"),
                ([0.5], "got list: [0.5]"),
                (0.5j, "got complex"),
            ]
        ],
        refused("keep_ratio as a tensor", lambda s: s.generate(keep_ratio=torch.tensor(0.5)), "got Tensor"),
        refused("keep_ratio of 1300 bits", lambda s: s.generate(keep_ratio=10**400), "a whole number of 1329 bits"),
        works(
            "keep_ratio as numbers of NumPy",
            lambda s: [s.generate(keep_ratio=kind(0.5)) for kind in (float, np.float64, np.float32, np.float16)],
            "the answers of a float",
            lambda answers, s: all(torch.equal(each, answers[0]) for each in answers),
        ),
        works(
            "keep_ratio 1",
            lambda s: [s.forward(keep_ratio=1), s.forward(tile_levels=None)],
            "bit for bit the logits without compression",
            lambda logits, s: torch.equal(*logits),
        ),
        works(
            "keep_ratio so small that nothing would stay",
            lambda s: s.generate(keep_ratio=1e-300),
            "one token of each image stays",
            lambda ids, s: ids.shape == (1, 29),
        ),
        works(
            "an image without detailed tiles, and one of a single detailed tile",
            lambda s: [s.generate(levels=levels, keep_ratio=0.5) for levels in ("12", "0")],
            "answers",
            lambda ids, s: [len(each[0]) for each in ids] == [10 + 4 * tiles + 3 for tiles in (2, 1)],
        ),
        works(
            "tokens with equal scores",
            lambda s: [s.generate(pixel_values=torch.zeros_like, keep_ratio=0.5) for _ in range(3)],
            "the same answer each time",
            lambda ids, s: torch.equal(ids[0], ids[1]) and torch.equal(ids[1], ids[2]),
        ),
    ]
)
def test_compression(case, subject):
    case.check(subject)


@cases(
    [
        works(
            "a mask of zeros",
            lambda s: s.forward(attention_mask=torch.zeros_like),
            "finite logits",
            lambda logits, s: bool(logits.isfinite().all()),
        ),
        refused(
            "a mask of zeros, with compression",
            lambda s: s.generate(attention_mask=torch.zeros_like, keep_ratio=0.5),
            "every row needs a token",
        ),
        works(
            "embeddings instead of ids, with pixels",
            lambda s: [s.forward(), s.forward(**as_embeddings(s, {}))],
            "the same logits",
            lambda logits, s: torch.equal(*logits),
        ),
        works(
            "labels on every token, with compression",
            lambda s: s.model(**s.inputs(labels=s.inputs()["input_ids"], keep_ratio=0.5)).loss,
            "a finite loss",
            lambda loss, s: bool(loss.isfinite()),
        ),
        works(
            "text alone after an image",
            lambda s: [s.generate(levels=""), s.generate(keep_ratio=0.5), s.generate(levels="")],
            "the answer that it had before",
            lambda ids, s: torch.equal(ids[0], ids[2]),
        ),
    ]
)
def test_what_is_defined(case, subject):
    case.check(subject)


@cases(
    [
        *[
            refused(
                f"new_num_tokens {size!r}", lambda s, size=size: s.model.resize_token_embeddings(size), words, error
            )
            for size, words, error in [
                (7, "at least 8 tokens must stay", ValueError),
                (0, "at least 8 tokens must stay", ValueError),
                (-1, "`new_num_tokens` must be from 0", ValueError),
                (10**10, "`new_num_tokens` must be from 0 to 10,000,000", ValueError),
                ("100", "`new_num_tokens` must be a whole number", TypeError),
                (True, "`new_num_tokens` must be a whole number", TypeError),
            ]
        ],
        works(
            "a vocabulary that ends with the placeholder",
            lambda s: Subject().model.resize_token_embeddings(8),
            "8 rows",
            lambda embeddings, s: embeddings.num_embeddings == 8,
        ),
    ]
)
def test_vocabulary(case, subject):
    case.check(subject)


@cases(
    [
        *both("more tokens than positions", TOO_LONG, keep_ratio=1.0, **LONG),
        refused(
            "more text than positions",
            lambda s: s.generate(levels="", text=50),
            "has 55 tokens, but the language model has 48 positions",
        ),
        refused("more tokens than positions, in training", lambda s: training_step(s, **LONG), TOO_LONG),
        refused("more embeddings than positions", lambda s: s.forward(**as_embeddings(s)), "has 54 tokens"),
        refused(
            "more tokens than positions, compressed too little",
            lambda s: s.generate(**LONG, keep_ratio=0.9),
            "has 50 tokens",
        ),
        works(
            "more tokens than positions, compressed enough",
            lambda s: s.generate(**LONG, keep_ratio=0.5),
            "an answer: 36 tokens are left",
            lambda ids, s: ids.shape == (1, 57),
        ),
        works(
            "the same, forward",
            lambda s: s.forward(**LONG, keep_ratio=0.5),
            "logits",
            lambda logits, s: logits.shape[1] == 54,
        ),
        refused(
            "the same, where tokens keep their positions",
            lambda s: keeping(s).generate(**LONG, keep_ratio=0.5),
            TOO_LONG,
        ),
        refused(
            "a conversation that outgrows the positions, turn by turn",
            lambda s: continued(s, 30),
            "has 56 tokens, but the language model has 48 positions",
        ),
        works(
            "padding beyond the positions",
            lambda s: s.forward(**padded(s)),
            "logits: padding needs no positions",
            lambda logits, s: logits.shape[1] == 76,
        ),
        works(
            "rows of several short texts, packed",
            lambda s: s.forward(levels="", text=95, position_ids=torch.arange(20).repeat(5)[None]),
            "logits: no text is longer than the positions",
            lambda logits, s: logits.shape[1] == 100,
        ),
        works(
            "the vision tower, when the prompt is too long",
            lambda s: images_encoded(s),
            "does not run",
            lambda calls, s: calls == 0,
        ),
    ]
)
def test_length(case, short):
    case.check(short)


def training_step(subject: Subject, **changes):
    subject.model(**subject.inputs(**changes, labels=subject.inputs(**changes)["input_ids"])).loss.backward()


def as_embeddings(subject: Subject, prompt: dict = LONG) -> dict:
    ids = subject.inputs(**prompt)["input_ids"]
    return prompt | {"inputs_embeds": subject.model.get_input_embeddings()(ids).detach(), "input_ids": None}


def keeping(subject: Subject) -> Subject:
    return Subject(text={"max_position_embeddings": POSITIONS}, scale_compression_config={"positions": "keep"})


def continued(subject: Subject, more: int):
    """Read a prompt of 26 tokens into a cache, then `more` tokens."""
    inputs, cache = subject.inputs(), DynamicCache(config=subject.model.config.text_config)
    with torch.no_grad():
        subject.model(**inputs, past_key_values=cache)
        subject.model(torch.full((1, more), 9), past_key_values=cache)


def padded(subject: Subject) -> dict:
    inputs = subject.inputs()
    pad = torch.full((1, 50), PAD_TOKEN_ID)
    return {
        "input_ids": torch.cat((pad, inputs["input_ids"]), dim=1),
        "attention_mask": torch.cat((torch.zeros_like(pad), inputs["attention_mask"]), dim=1),
    }


def images_encoded(subject: Subject) -> int:
    calls = []
    hook = subject.model.model.vision_tower.register_forward_hook(lambda *arguments: calls.append(1))
    for call in (subject.forward, subject.generate):
        with pytest.raises(ValueError):
            call(**LONG)
    hook.remove()
    return len(calls)


ROPES = {
    "dynamic": ({"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}, None),
    "linear": ({"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}, 96),
    "yarn": ({"rope_type": "yarn", "factor": 2.0, "rope_theta": 1e4, "original_max_position_embeddings": 48}, 96),
}


@pytest.mark.parametrize("name", ROPES)
def test_scaled_positions(name, caplog):
    """A longer prompt than there are positions, where they are scaled: a warning, once, and an answer"""
    from modeling_minimonkey import input_checks

    rope, most = ROPES[name]
    subject = Subject(text={"max_position_embeddings": POSITIONS, "rope_parameters": rope})
    input_checks.logger.warning_once.cache_clear()
    logging.getLogger("transformers").propagate = True
    with caplog.at_level(logging.WARNING):
        assert subject.generate(**LONG).shape == (1, 57)
        assert subject.generate(**LONG).shape == (1, 57)
    assert sum("has 54 tokens, the language model was configured for 48" in each for each in caplog.messages) == 1
    if most is not None:
        with pytest.raises(ValueError, match="has 105 tokens"):
            subject.generate(levels="", text=100)


def test_answers_beyond_the_positions(short, caplog):
    """A prompt that fits, an answer that may not: a warning, once, and an answer"""
    from modeling_minimonkey import input_checks

    input_checks.logger.warning_once.cache_clear()
    logging.getLogger("transformers").propagate = True
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert short.model.generate(**short.inputs(), max_new_tokens=30).shape == (1, 56)
    assert sum("may need more than the language model's 48" in each for each in caplog.messages) == 1
