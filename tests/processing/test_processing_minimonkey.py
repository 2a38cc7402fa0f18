import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoProcessor, AutoTokenizer

from modeling_minimonkey.conversion.convert import load_original_processor
from processing_minimonkey import MiniMonkeyProcessor, plan_pyramid
from tests.processing.chats import PHOTO, SANITIZES, assistant, image_block, is_refused, text_of, tokenized, user
from tests.recorded import read_arrays, read_case, read_cases, read_json


SYSTEM = "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
CASE = "blobs_demo_evalorder"


# The published prompts, for both published families of language models.


class Published:
    """Recorded cases of one family, and a processor from its original checkpoint."""

    def __init__(self, golden, family):
        self.golden, folder = golden, golden / "model" / family
        self.cases = read_cases(folder)
        self.extra = read_json(folder / "cases.json")["extra"]
        self.ids = read_arrays(folder / "extra.npz")
        self.single = read_case(folder, CASE)
        self.processor = load_original_processor(folder / "checkpoint")

    def image(self, case: str) -> Image.Image:
        return Image.open(self.golden / self.cases[case]["image"])


@pytest.fixture(scope="module", params=["internlm2", "qwen2"])
def published(request, golden) -> Published:
    return Published(golden, request.param)


def test_prompt_equals_the_published_one_byte_by_byte(published):
    case, truth = published.cases[CASE], published.extra["prompt_text"]
    image = published.image(truth["case"])
    prompt = published.processor.apply_chat_template([user(image, case["question"])], add_generation_prompt=True)
    counted = published.processor._get_num_multimodal_tokens(image_sizes=[image.size[::-1]])
    assert (
        prompt.replace("<IMG_CONTEXT>", f"<img><IMG_CONTEXT>*{counted.num_image_tokens[0] - 2}</img>") == truth["text"]
    )


def test_inputs_of_one_image_equal_the_published_ones(published):
    conversation = [user(published.image(CASE), published.cases[CASE]["question"])]
    inputs = tokenized(published.processor, conversation)
    assert inputs["input_ids"].tolist() == [published.single["input_ids"].tolist()]
    np.testing.assert_allclose(inputs["pixel_values"], published.single["pixel_values"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("sanitize", [False, True])
def test_ids_of_conversations_equal_the_published_ones(published, sanitize):
    def ids(conversation):
        return tokenized(published.processor, conversation, sanitize_control_tokens=sanitize)["input_ids"][0].tolist()

    extra = published.extra
    assert ids([user(extra["text_only"]["question"])]) == published.ids["text_only.input_ids"].tolist()

    turns = extra["multi_turn"]
    (first, first_answer), (second, second_answer) = turns["history"]
    conversation = [
        user(published.image(turns["pixel_values_of"]), first.removeprefix("<image>\n")),
        assistant(first_answer),
        {"role": "user", "content": second},
        {"role": "assistant", "content": [{"type": "text", "text": second_answer}]},
        user(turns["question"]),
    ]
    assert ids(conversation) == published.ids["multi_turn.input_ids"].tolist()

    # The line break after an image is the template's, or the user's: both ways to write it are the published prompt.
    two = extra["two_images"]
    images = [published.image(case) for case in two["pixel_values_of"]]
    assert two["question"] == "Image-1: <image>\nImage-2: <image>\nWhich one has more text?"
    for break_ in ("", "\n"):
        content = ["Image-1: ", images[0], f"{break_}Image-2: ", images[1], f"{break_}Which one has more text?"]
        assert ids([user(*content)]) == published.ids["two_images.input_ids"].tolist()


@pytest.mark.parametrize("sanitize", [False, True])
def test_batches_are_padded_on_the_left_as_published(published, sanitize):
    batch = published.extra["batch"]
    conversations = [
        [user(published.image(case), question)]
        for case, question in zip(batch["pixel_values_of"], batch["questions"], strict=True)
    ]
    inputs = tokenized(
        published.processor, conversations, sanitize_control_tokens=sanitize, processor_kwargs={"padding": True}
    )
    np.testing.assert_array_equal(inputs["input_ids"], published.ids["batch.input_ids"])
    np.testing.assert_array_equal(inputs["attention_mask"], published.ids["batch.attention_mask"])


# The chat template.


def test_system_message_replaces_the_default(processor):
    rest = "<|im_end|><|im_start|>user\nhi<|im_end|>"
    assert processor.apply_chat_template([user("hi")]) == f"<|im_start|>system\n{SYSTEM}{rest}"
    for content in ("Be brief.", [{"type": "text", "text": "Be brief."}]):
        conversation = [{"role": "system", "content": content}, user("hi")]
        assert processor.apply_chat_template(conversation) == f"<|im_start|>system\nBe brief.{rest}"
    assert processor.apply_chat_template([{"role": "system", "content": ""}, user("hi")]) == (
        f"<|im_start|>system\n{rest}"
    )


def test_text_and_images_keep_their_order(processor):
    conversation = [
        user("a", PHOTO, "b", PHOTO, "\nc", PHOTO),
        assistant("d"),
        user(PHOTO, PHOTO, "e"),
    ]
    prompt = processor.apply_chat_template(conversation, add_generation_prompt=True)
    assert prompt.endswith(
        "<|im_start|>user\na<IMG_CONTEXT>\nb<IMG_CONTEXT>\nc<IMG_CONTEXT>\n<|im_end|><|im_start|>assistant\nd<|im_end|>"
        "<|im_start|>user\n<IMG_CONTEXT>\n<IMG_CONTEXT>\ne<|im_end|><|im_start|>assistant\n"
    )


def test_answer_can_be_continued(processor):
    prompt = processor.apply_chat_template([user("hi"), assistant("Hel")], continue_final_message=True)
    assert prompt.endswith("<|im_start|>assistant\nHel")


@pytest.mark.parametrize(
    "conversation, message",
    [
        ([{"role": "system", "content": "x"}, {"role": "system", "content": "y"}], "got the role system"),
        ([assistant("hello")], "begins with a user message.*got the role assistant"),
        ([user("x"), {"role": "tool", "content": "y"}], "got the role tool"),
        ([{"role": "user"}], "A user message needs `content`"),
        ([{"role": "user", "content": None}], "A user message needs `content`"),
        ([{"role": "user", "content": 3}], "A user message needs `content`"),
        ([{"role": "user", "content": {"type": "text", "text": "x"}}], "A user message needs `content`"),
        ([{"role": "system", "content": [{"type": "image"}]}, user("x")], "A system message can't hold .* image"),
        (
            [user("x"), {"role": "assistant", "content": [{"type": "image"}]}],
            "An? assistant message can't hold .* image",
        ),
        ([{"role": "user", "content": [{"type": "video", "video": "x"}]}], "can't hold a block of type video"),
    ],
)
def test_conversations_of_another_shape_are_refused(processor, conversation, message):
    with pytest.raises(Exception, match=message):
        processor.apply_chat_template(conversation)


@pytest.mark.parametrize(
    "text", ["{{ 7 * 7 }}", "{% for i in x %}", "{# c #}", "<b> & 'quotes' \"\\n", "\x00\u202eعربي"]
)
def test_text_is_no_template(processor, text):
    assert f"user\n{text}<|im_end|>" in processor.apply_chat_template([user(text)])


def test_assistant_tokens_are_masked_behind_expanded_images(processor):
    conversation = [user(PHOTO, "What?"), assistant("a fox"), user(PHOTO, "And?"), assistant("two")]
    inputs = tokenized(
        processor, conversation, add_generation_prompt=False, return_assistant_tokens_mask=True, return_tensors=None
    )
    ids, mask = np.array(inputs["input_ids"][0]), np.array(inputs["assistant_masks"][0], dtype=bool)
    assert text_of(processor, ids[mask]) == "a fox<|im_end|>two<|im_end|>"


# Tokens of images.


def test_each_image_becomes_its_tokens_and_tiles(processor, make_image):
    images = [make_image(50, 30), make_image(8, 90), make_image(5, 5)]
    text = "x<IMG_CONTEXT>y<IMG_CONTEXT><IMG_CONTEXT>"
    inputs = processor(images=images, text=text, return_tensors="pt")
    numbers = [plan_pyramid(*image.size, tile_size=8).num_tiles for image in images]
    blocks = [image_block(3 * number) for number in numbers]
    start = processor.tokenizer.bos_token or ""
    assert text_of(processor, inputs["input_ids"][0]) == f"{start}x{blocks[0]}y{blocks[1]}{blocks[2]}"
    assert sorted(inputs) == ["attention_mask", "input_ids", "pixel_values", "tile_levels"]
    assert sorted(processor.model_input_names) == sorted(inputs)
    assert inputs["pixel_values"].shape == (sum(numbers), 3, 8, 8)
    assert inputs["pixel_values"].dtype == torch.float32
    assert inputs["tile_levels"].shape == (sum(numbers),)
    assert inputs["tile_levels"].dtype == torch.int64
    expected = processor.image_processor(images, return_tensors="pt")
    assert torch.equal(inputs["pixel_values"], expected["pixel_values"])
    assert torch.equal(inputs["tile_levels"], expected["tile_levels"])


def test_levels_can_be_left_out(processor, tmp_path):
    """For trainers that hand on each input by its name and know no such one; the saved processor is the same."""
    text = "<IMG_CONTEXT>"
    whole = processor(images=PHOTO, text=text)
    processor.unused_input_names = ("num_patches", "tile_levels")
    assert sorted(processor(images=PHOTO, text=text)) == ["attention_mask", "input_ids", "pixel_values"]
    assert sorted(processor.model_input_names) == ["attention_mask", "input_ids", "pixel_values"]
    processor.save_pretrained(tmp_path)
    loaded = MiniMonkeyProcessor.from_pretrained(tmp_path)
    assert loaded(images=PHOTO, text=text).keys() == whole.keys()


def test_rows_of_a_batch_equal_single_rows(processor, make_image):
    rows = [[], [make_image(50, 30)], [make_image(8, 90), make_image(40, 40), make_image(70, 20)]]
    conversations = [
        [user("no image")],
        [user(rows[1][0], "one")],
        [user(rows[2][0], "first"), assistant("a"), user("then", rows[2][1], rows[2][2])],
    ]
    batch = tokenized(processor, conversations, processor_kwargs={"padding": True})
    singles = [tokenized(processor, conversation) for conversation in conversations]
    for ids, mask, single in zip(batch["input_ids"], batch["attention_mask"], singles, strict=True):
        assert mask.diff().min() >= 0  # left padding: zeros, then ones
        assert torch.equal(ids[mask.bool()], single["input_ids"][0])
    for name in ("pixel_values", "tile_levels"):
        assert torch.equal(batch[name], torch.cat([single[name] for single in singles if name in single]))
    assert "pixel_values" not in singles[0]
    flat = processor(
        images=[image for row in rows for image in row],
        text=processor.apply_chat_template(conversations, add_generation_prompt=True),
        padding=True,
        return_tensors="pt",
    )
    assert torch.equal(flat["input_ids"], batch["input_ids"])


@pytest.mark.parametrize("empty", [[], None], ids=str)
def test_rows_may_have_no_image(processor, empty):
    without = processor(text=["a", "b"])
    assert processor(text=["a", "b"], images=[empty, empty]).data == without.data
    mixed = processor(text=["a", "b<IMG_CONTEXT>"], images=[empty, [PHOTO]])
    assert mixed["input_ids"][0] == without["input_ids"][0]
    assert len(mixed["pixel_values"]) == len(processor.image_processor(PHOTO)["pixel_values"])


@pytest.mark.parametrize("options", [{"padding_side": "right"}, {"text_kwargs": {"padding_side": "right"}}])
def test_padding_side_can_be_chosen(processor, options):
    def mask(**options):
        return processor(text=["a", "abc"], padding=True, **options)["attention_mask"][0]

    assert mask(**options)[-2:] == [0, 0]
    assert mask()[:2] == [0, 0]
    processor.tokenizer.init_kwargs["padding_side"] = processor.tokenizer.padding_side = "right"  # as it was saved
    assert mask()[-2:] == [0, 0]


sides = st.integers(1, 20_000)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=3), st.sampled_from(["demo", "docvqa", "train"]))
def test_counted_tokens_are_those_produced(shared_processor, sizes, pyramid):
    processor = shared_processor
    sizes = [(height, min(width, max(1, 1_000_000 // height))) for height, width in sizes]
    images = [Image.new("L", (width, height)) for height, width in sizes]
    counted = processor._get_num_multimodal_tokens(image_sizes=sizes, pyramid=pyramid)
    inputs = processor(
        images=images,
        text=["<IMG_CONTEXT>"] * len(images),
        pyramid=pyramid,
        return_mm_token_type_ids=True,
        padding=True,
    )
    assert [sum(row) for row in inputs["mm_token_type_ids"]] == counted.num_image_tokens
    assert sum(counted.num_image_patches) == len(inputs["pixel_values"]) == len(inputs["tile_levels"])


def test_nothing_is_counted_without_sizes(processor):
    assert processor._get_num_multimodal_tokens().num_image_tokens is None


def test_settings_of_a_count_are_those_of_a_call(processor):
    sizes = [(30, 50)]
    flat, default = (processor._get_num_multimodal_tokens(sizes, **more) for more in ({"pyramid": "train"}, {}))
    nested = processor._get_num_multimodal_tokens(sizes, images_kwargs={"pyramid": "train"}, padding=True, fps=2)
    assert flat.num_image_patches == nested.num_image_patches != default.num_image_patches
    with pytest.raises(TypeError, match="no argument `pyramids`. Did you mean `pyramid`"):
        processor._get_num_multimodal_tokens(sizes, pyramids="train")


def test_offsets_of_replacements_are_given_to_runtimes(processor):
    offsets = processor(images=PHOTO, text="a<IMG_CONTEXT>b", return_text_replacement_offsets=True)
    (replacement,) = offsets["text_replacement_offsets"][0]
    assert replacement["span"] == (1, 14)
    assert replacement["replacement"].startswith("<img><IMG_CONTEXT>")


# Arguments.


def test_arguments_may_be_flat_or_in_dictionaries(processor):
    conversations = [[user(PHOTO, "a")], [user("longer than the other one", PHOTO)]]
    nested = {"text_kwargs": {"padding": True}, "images_kwargs": {"pyramid": "train"}}
    expected = tokenized(processor, conversations, processor_kwargs={**nested})
    mixed = tokenized(processor, conversations, padding=True, processor_kwargs={"pyramid": "train"})
    given = {"images": [[PHOTO], [PHOTO]], "return_tensors": "pt"}
    prompts = processor.apply_chat_template(conversations, add_generation_prompt=True)
    for other in (mixed, processor(text=prompts, **given, **nested)):
        assert expected.keys() == other.keys()
        for name in expected:
            assert torch.equal(expected[name], other[name])
    default = processor(text=prompts, padding=True, **given)
    assert len(default["pixel_values"]) != len(expected["pixel_values"])


def test_keys_that_are_none_are_missing_keys(processor):
    expected = tokenized(processor, [{"role": "user", "content": ""}])["input_ids"]
    message = {"role": "user", "content": [], "name": None}
    assert torch.equal(tokenized(processor, [message])["input_ids"], expected)
    with pytest.raises(TypeError, match="A user message needs `content`.*got None"):
        tokenized(processor, [{"role": "user", "content": None}])


def test_conversations_are_left_as_they_are(processor):
    conversation = [{"role": "user", "content": [{"type": "text", "text": "a"}], "name": None}]
    tokenized(processor, conversation, sanitize_control_tokens=True)
    assert conversation == [{"role": "user", "content": [{"type": "text", "text": "a"}], "name": None}]


def test_images_beside_the_conversation(processor):
    conversation = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "a"}]}]

    def encode():
        return tokenized(processor, conversation, processor_kwargs={"images": [PHOTO]})

    if not SANITIZES:
        with pytest.raises(ValueError, match="`images` in `processor_kwargs` need Transformers 5.23"):
            encode()
    else:
        assert torch.equal(encode()["input_ids"], tokenized(processor, [user(PHOTO, "a")])["input_ids"])


# Errors.


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"text": "<IMG_CONTEXT><IMG_CONTEXT>", "images": [PHOTO]}, ValueError, "found 2 tokens and 1 images"),
        ({"text": "<IMG_CONTEXT>", "images": [PHOTO, PHOTO]}, ValueError, "found 1 tokens and 2 images"),
        ({"text": "none", "images": PHOTO}, ValueError, "found 0 tokens and 1 images"),
        ({"text": "<IMG_CONTEXT>"}, ValueError, "found 1 tokens and 0 images"),
        ({"text": "<IMG_CONTEXT>", "images": []}, ValueError, "found 1 tokens and 0 images"),
        (
            {"text": ["<IMG_CONTEXT>", "<IMG_CONTEXT>" * 2], "images": [[PHOTO, PHOTO], [PHOTO]]},
            ValueError,
            r"text\[0\] has 1 <IMG_CONTEXT> but images\[0\] has 2 images",
        ),
        (
            {"text": ["<IMG_CONTEXT>" * 2], "images": [[PHOTO], [PHOTO]]},
            ValueError,
            "`images` has 2 rows but `text` has 1",
        ),
        ({"text": ["<IMG_CONTEXT>"] * 2, "images": [PHOTO, None]}, TypeError, r"images\[1\] must be .*NoneType"),
        ({"text": "<IMG_CONTEXT>", "images": [[[PHOTO]]]}, TypeError, r"images\[0\]\[0\]"),
        ({"images": PHOTO}, ValueError, "`text` is missing"),
        ({}, ValueError, "`text` is missing"),
        ({"text": [1, 2]}, ValueError, "`text` must be a string or list of strings"),
        ({"text": [None]}, ValueError, "`text` must be a string or list of strings"),
        ({"text": 5}, ValueError, "`text` must be a string or list of strings"),
        ({"text": []}, ValueError, "`text` must be a string or list of strings, at least one"),
        ({"text": "x", "videos": [PHOTO]}, ValueError, "no `videos`"),
        ({"text": "x", "audio": [0.0]}, ValueError, "no `audio`"),
        ({"text": "x", "detaild_tiles": (1, 2)}, TypeError, "no argument `detaild_tiles`. Did you mean `detailed_til"),
        ({"text": "x", "max_lenght": 2}, TypeError, "no argument `max_lenght`. Did you mean `max_length`"),
        (
            {"text": "<IMG_CONTEXT>", "images": PHOTO, "detailed_tiles": (3, 2)},
            ValueError,
            "`detailed_tiles` must .* got 3 > 2",
        ),
    ],
)
def test_wrong_inputs_are_named(processor, arguments, error, message):
    with pytest.raises(error, match=message):
        processor(**arguments)


def test_options_of_absent_modalities_change_nothing(processor):
    text = "<IMG_CONTEXT> and a text"
    options = {"num_frames": 2, "fps": None, "do_sample_frames": False, "sampling_rate": 16000, "videos_kwargs": {}}
    plain, served = processor(images=PHOTO, text=text), processor(images=PHOTO, text=text, **options)
    assert plain.keys() == served.keys()
    for name in plain:
        np.testing.assert_array_equal(plain[name], served[name])


def test_expanded_prompts_are_not_expanded_again(processor):
    processor.image_seq_length = 1
    single_tile = {"detailed_tiles": (1, 1), "adaptive_tiles": None}
    text = "<IMG_CONTEXT>"
    ids = processor(images=PHOTO, text=text, **single_tile)["input_ids"][0]
    expanded = processor.decode(ids, skip_special_tokens=False)
    assert expanded.endswith("<img><IMG_CONTEXT></img>")  # as many placeholders as images: counts can't tell
    with pytest.raises(ValueError, match=r"text\[1\] is expanded already"):
        processor(images=[PHOTO, PHOTO], text=[text, expanded], **single_tile)


@pytest.mark.parametrize("sanitize", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_truncation_never_cuts_an_image(processor, side, sanitize):
    processor.tokenizer.truncation_side = side
    conversation = [user("before", PHOTO, "after")]

    def cut(length):
        kwargs = {"truncation": True, "max_length": length}
        return tokenized(processor, conversation, sanitize_control_tokens=sanitize, processor_kwargs=kwargs)

    whole = tokenized(processor, conversation, sanitize_control_tokens=sanitize)["input_ids"][0].tolist()
    first, last = whole.index(processor.start_image_token_id), whole.index(processor.end_image_token_id)
    # What remains must hold all from <img> to </img>, and the start token that a tokenizer adds after truncation.
    needed = last + 1 if side == "right" else len(whole) - first
    if side == "left" and not sanitize:
        needed += processor.tokenizer.num_special_tokens_to_add()
    for length in range(first if side == "right" else len(whole) - last - 1, len(whole) + 2):
        if length >= needed:
            ids = cut(length)["input_ids"][0].tolist()
            assert len(ids) == min(length, len(whole))
            assert ids.count(processor.image_token_id) == whole.count(processor.image_token_id)
        elif length > 0:
            with pytest.raises(ValueError, match=f"cuts into an image.* `max_length` = {len(whole)}"):
                cut(length)


def test_cut_images_are_seen_without_the_check_of_transformers(processor, monkeypatch):
    """Which looks at lost tokens alone, and is called by no public name."""
    monkeypatch.setattr(type(processor).__mro__[1], "_check_special_mm_tokens", lambda *args, **kwargs: None)
    whole = processor(text="abc<IMG_CONTEXT>d", images=PHOTO)["input_ids"][0]
    for length in range(1, len(whole) - 1):
        with pytest.raises(ValueError, match=f"cuts into an image.* `max_length` = {len(whole)}"):
            processor(text="abc<IMG_CONTEXT>d", images=PHOTO, truncation=True, max_length=length)
    assert processor(text="abc<IMG_CONTEXT>d", images=PHOTO, truncation=True, max_length=len(whole) - 1)


def test_what_else_fails_under_truncation_keeps_its_own_sentence(processor):
    with pytest.raises(ValueError, match="[Uu]nable to create tensor"):  # rows of two lengths
        processor(
            text=["<IMG_CONTEXT>", "ab<IMG_CONTEXT>"],
            images=[PHOTO] * 2,
            truncation=True,
            max_length=5000,
            return_tensors="pt",
        )
    with pytest.raises(ValueError, match="images can't be used"):
        processor(text="<IMG_CONTEXT>", images=Image.new("RGB", (0, 4)), truncation=True, max_length=5)


def test_any_text_can_be_encoded(processor):
    start = [processor.tokenizer.bos_token_id] if processor.tokenizer.bos_token else []
    assert processor(text="")["input_ids"] == [start]
    for text in (" ", "\x00", "\u202eشكرا", "x" * 100_000, "<image>"):
        ids = processor(text=text)["input_ids"][0]
        assert ids[: len(start)] == start
        assert text_of(processor, ids[len(start) :]) == text


@pytest.mark.parametrize("image_seq_length", [0, -1, 2.0, True, None])
def test_image_seq_length_is_checked(processor, image_seq_length):
    with pytest.raises(ValueError, match="`image_seq_length` must"):
        MiniMonkeyProcessor(processor.image_processor, processor.tokenizer, image_seq_length=image_seq_length)


def test_tokenizer_without_image_tokens_is_refused(processor):
    tokenizer = pickle.loads(pickle.dumps(processor.tokenizer))
    del tokenizer._special_tokens_map["end_image_token"]
    with pytest.raises(ValueError, match="`tokenizer` has no `end_image_token`"):
        MiniMonkeyProcessor(processor.image_processor, tokenizer)


# Saving.


@pytest.mark.parametrize("load", [MiniMonkeyProcessor.from_pretrained, AutoProcessor.from_pretrained])
def test_saved_and_loaded_it_is_the_same(processor, tmp_path, load):
    processor.image_processor = type(processor.image_processor)(
        size=8, pyramid="train", tile_order=("adaptive", "detailed", "global")
    )
    processor.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert type(loaded) is MiniMonkeyProcessor
    saved = processor.to_dict()
    del saved["auto_map"]  # added by saving; loading gives it to the class, not to the settings
    assert loaded.to_dict() == saved
    assert loaded.chat_template == processor.chat_template
    assert loaded.image_seq_length == 3
    conversation = [user(PHOTO, "What?"), assistant("a fox"), user("more")]
    before, after = tokenized(processor, conversation), tokenized(loaded, conversation)
    for name in before:
        assert torch.equal(before[name], after[name])
    assert AutoTokenizer.from_pretrained(tmp_path).context_image_token == "<IMG_CONTEXT>"


def test_saved_folder_holds_the_code(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "processor_config.json").read_text())
    assert config["auto_map"]["AutoProcessor"] == "processing_minimonkey.MiniMonkeyProcessor"
    assert (
        config["image_processor"]["auto_map"]["AutoImageProcessor"]
        == "image_processing_minimonkey.MiniMonkeyImageProcessor"
    )
    code = {path.name for path in tmp_path.glob("*.py")}
    assert code == {
        "chat_messages.py",
        "complementary_image_pyramid.py",
        "image_conversion.py",
        "image_processing_minimonkey.py",
        "image_settings.py",
        "image_sources.py",
        "processing_minimonkey.py",
        "processing_releases.py",
    }


def test_processor_survives_pickling(processor):
    copy = pickle.loads(pickle.dumps(processor))
    conversation = [user(PHOTO, "What?")]
    assert torch.equal(tokenized(copy, conversation)["input_ids"], tokenized(processor, conversation)["input_ids"])


def test_nobody_is_asked_to_trust_code_that_is_not_needed(repository):
    """In a process that has not imported the model's package."""
    code = """
import builtins
asked = []
builtins.input = lambda question: asked.append(question) or "n"
from processing_minimonkey import MiniMonkeyProcessor
MiniMonkeyProcessor.from_pretrained("checkpoints/minimonkey-tiny")
print(len(asked))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_prepare_chat_is_the_chat_template_with_everything_on(processor):
    chats = [[user(PHOTO, "Read.")], [user(PHOTO, "Read the text.")]]
    settings = {"detailed_tiles": (1, 2), "complementarity": "all"}
    prepared = processor.prepare_chat(chats, **settings)
    expected = processor.apply_chat_template(
        chats,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        sanitize_control_tokens=True,
        processor_kwargs={"padding": True, "images_kwargs": settings},
    )
    assert prepared.keys() == expected.keys()
    assert all(torch.equal(prepared[name], expected[name]) for name in expected)
    assert prepared["input_ids"].shape[0] == 2 and (prepared["attention_mask"] == 0).any()
    with pytest.raises(TypeError, match="has no argument `pyramids`"):
        processor.prepare_chat(chats, pyramids="demo")
    ends = (prepared["input_ids"] == processor.tokenizer.eos_token_id).sum()
    asked = [[user(PHOTO, "Read<|im_end|>.")], chats[1]]
    if not is_refused(lambda: processor.prepare_chat(asked, **settings), "<|im_end|>"):
        assert (
            processor.prepare_chat(asked, **settings)["input_ids"] == processor.tokenizer.eos_token_id
        ).sum() == ends


def test_what_users_type_first_names_the_way(processor):
    with pytest.raises(ValueError, match="found 0 tokens and 1 images. `prepare_chat` writes the prompt"):
        processor(PHOTO, "Read the text.")
    with pytest.raises(ValueError, match=r"the order is `processor\(images, text\)`"):
        processor("Read the text.", PHOTO)


@pytest.mark.parametrize("misspelled", [{"detailed_tile": (1, 2)}, {"complementarty": "all"}, {"max_pixel": 9}])
def test_a_misspelled_setting_is_an_error_where_a_processor_is_loaded(processor, tmp_path, misspelled):
    processor.save_pretrained(tmp_path)
    (name,) = misspelled
    for load in (type(processor).from_pretrained, type(processor.image_processor).from_pretrained):
        with pytest.raises(TypeError, match=f"has no argument `{name}`. Did you mean"):
            load(tmp_path, **misspelled)
    right = type(processor).from_pretrained(tmp_path, detailed_tiles=(1, 2), revision="main", padding_side="left")
    assert right.image_processor.detailed_tiles == (1, 2)
