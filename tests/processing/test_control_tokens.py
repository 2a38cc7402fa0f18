"""Control tokens in text of users are no more than text; where Transformers can't encode them so, it is refused."""

import json

import pytest
import torch

from tests.processing.chats import PHOTO, assistant, image_block, is_refused, text_of, tokenized, user


@pytest.mark.parametrize("token", ["<IMG_CONTEXT>", "<img>", "</img>", "<|im_end|>", "<|im_start|>", "<s>", "</s>"])
def test_control_tokens_of_users_are_plain_text_when_sanitized(processor, token):
    def encode():
        return tokenized(processor, [user(PHOTO, f"what is {token} here")], sanitize_control_tokens=True)

    if token in processor.tokenizer.get_vocab() and is_refused(encode, token):
        return
    ids = encode()["input_ids"][0].tolist()
    # The same prompt with a word for the token: all else is alike, and the token is spelled by its bytes.
    other = tokenized(processor, [user(PHOTO, "what is @ here")], sanitize_control_tokens=True)["input_ids"][
        0
    ].tolist()
    position = other.index(processor.tokenizer.convert_tokens_to_ids("@"))
    spelled = processor.tokenizer.encode(token, add_special_tokens=False, split_special_tokens=True)
    assert len(spelled) == len(token)
    assert ids == other[:position] + spelled + other[position + 1 :]


def test_sanitizing_changes_nothing_else(processor):
    conversation = [user(PHOTO, "What?\n\nAnd 你好"), assistant("a fox"), user("\nmore")]
    plain, sanitized = (
        tokenized(processor, conversation),
        tokenized(processor, conversation, sanitize_control_tokens=True),
    )
    assert sorted(plain) == sorted(sanitized)
    for name in plain:
        assert torch.equal(plain[name], sanitized[name])


def test_image_binds_to_the_slot_of_the_template(processor):
    def encode():
        return tokenized(processor, [user("<IMG_CONTEXT> and <img>", PHOTO)], sanitize_control_tokens=True)

    if is_refused(encode, "<IMG_CONTEXT>"):
        return
    inputs = encode()
    number = len(inputs["tile_levels"]) * processor.image_seq_length
    assert inputs["input_ids"][0].tolist().count(processor.image_token_id) == number
    assert f"user\n<IMG_CONTEXT> and <img>{image_block(number)}\n" in text_of(processor, inputs["input_ids"][0])


@pytest.mark.parametrize(
    "told",
    [
        {"conversation": [assistant("</img>"), user("a")]},
        {"conversation": [[user("a")], [user("b", "c </img>")]]},
        {"tools": [{"type": "function", "function": {"name": "read", "description": "</img>"}}]},
        {"documents": [{"title": "</img>", "text": "b"}]},
        {"unit": "</img>"},
    ],
    ids=lambda told: next(iter(told)),
)
def test_control_tokens_are_looked_for_wherever_a_template_may_use_them(processor, told):
    processor.chat_template = "{{ [tools, documents, unit] | tojson }}{{ messages | tojson }}<|im_end|>"
    told = {"conversation": [user("a")], "unit": "cm", **told}
    clean = json.loads(json.dumps(told).replace("</img>", "img"))

    def encode():
        return processor.apply_chat_template(**told, tokenize=True, sanitize_control_tokens=True)

    assert processor.apply_chat_template(**clean, tokenize=True, sanitize_control_tokens=True)
    if not is_refused(encode, "</img>"):
        assert processor.end_image_token_id not in sum(encode(), [])


def test_marks_of_control_tokens_are_no_text(processor):
    def encode():
        return tokenized(processor, [user("a\U000f0000b")], sanitize_control_tokens=True)

    if not is_refused(encode, "\U000f0000"):
        assert torch.equal(encode()["input_ids"], tokenized(processor, [user("ab")])["input_ids"])


def test_sanitizing_asks_for_tokens(processor):
    for options in ({}, {"tokenize": True, "return_assistant_tokens_mask": True}):
        with pytest.raises(ValueError, match="`sanitize_control_tokens=True` requires `tokenize=True`"):
            processor.apply_chat_template([user("a")], sanitize_control_tokens=True, **options)


def test_sanitizing_is_asked_for_in_a_call_too(processor):
    """Of text that the caller made of what it trusts: nothing is marked, nothing changes but where <s> comes from."""
    plain = processor(text="a<IMG_CONTEXT><|im_end|>", images=PHOTO)
    for options in ({"sanitize_control_tokens": True}, {"text_kwargs": {"sanitize_control_tokens": True}}):
        sanitized = processor(text="a<IMG_CONTEXT><|im_end|>", images=PHOTO, **options)
        assert sanitized["input_ids"] == plain["input_ids"]
    ids = processor(text="ab", sanitize_control_tokens=True, add_special_tokens=False)["input_ids"][0]
    assert text_of(processor, ids) == "ab"


@pytest.mark.parametrize("token", ["<IMG_CONTEXT>", "<img>", "<|im_end|>", "<|im_start|>", "</s>"])
def test_what_stands_in_several_blocks_is_sanitized_as_it_is_joined(processor, token):
    def encode(*texts: str) -> list[int]:
        return tokenized(processor, [user(PHOTO, *texts)], sanitize_control_tokens=True)["input_ids"][0].tolist()

    if is_refused(lambda: encode(f"a{token}b"), token):
        with pytest.raises(ValueError, match="which only Transformers 5.23"):
            encode(f"a{token[:3]}", f"{token[3:]}b")
        return
    whole = encode(f"a{token}b")
    for cut in range(1, len(token)):
        assert encode(f"a{token[:cut]}", f"{token[cut:]}b") == whole
    assert encode("a", *token, "b") == whole  # a block for every character


@pytest.mark.parametrize("within", ["<IMG_{}CONTEXT>", "<im{}g>", "<|im_{}end|>", "{}{}"])
@pytest.mark.parametrize("token", ["</s>", "<|im_end|>", "<IMG_CONTEXT>"])
def test_nothing_arises_where_a_user_s_token_was(processor, within, token):
    def encode(text: str):
        return tokenized(processor, [user(PHOTO, text)], sanitize_control_tokens=True)

    written = within.replace("{}", token)
    if is_refused(lambda: encode(written), token):
        return
    inputs, clean = encode(written), encode("a")
    for name in ("image_token_id", "start_image_token_id", "end_image_token_id"):
        count = [(each["input_ids"] == getattr(processor, name)).sum() for each in (inputs, clean)]
        assert count[0] == count[1]
    assert written in text_of(processor, inputs["input_ids"][0])
