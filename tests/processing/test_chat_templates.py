"""The published prompts, byte for byte; a tokenizer adds what comes before them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.utils.chat_template_utils import render_jinja_template

from processing_minimonkey.chat_templates import chat_template


SYSTEM = "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
# How each family marks the beginnings of a system, user and assistant turn, and the end of any.
MARKERS = {
    "internvl2": ("<|im_start|>system\n", "<|im_start|>user\n", "<|im_start|>assistant\n", "<|im_end|>"),
    "phi3": ("<|system|>\n", "<|user|>\n", "<|assistant|>\n", "<|end|>"),
}


@pytest.fixture(params=MARKERS)
def family(request):
    return request.param


def render(repository, family, messages, **kwargs):
    template = chat_template(f"chat_template_{family}.jinja")
    (text,), masks = render_jinja_template([messages], chat_template=template, **kwargs)
    return text, masks


def user(*blocks):
    return {"role": "user", "content": [{"type": "image"} if block is None else text(block) for block in blocks]}


def text(content):
    return {"type": "text", "text": content}


def test_one_question(repository, family):
    system, user_turn, assistant, end = MARKERS[family]
    prompt, _ = render(repository, family, [user(None, "What is it?")], add_generation_prompt=True)
    assert prompt == f"{system}{SYSTEM}{end}{user_turn}<IMG_CONTEXT>\nWhat is it?{end}{assistant}"


def test_several_images_and_turns(repository, family):
    system, user_turn, assistant, end = MARKERS[family]
    messages = [
        {"role": "system", "content": "Be brief."},
        user("Image-1: ", None, "Image-2: ", None, "\nSame?"),
        {"role": "assistant", "content": [text("No.")]},
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": "Yes."},
    ]
    prompt, _ = render(repository, family, messages)
    assert prompt == (
        f"{system}Be brief.{end}{user_turn}Image-1: <IMG_CONTEXT>\nImage-2: <IMG_CONTEXT>\nSame?{end}"
        f"{assistant}No.{end}{user_turn}Sure?{end}{assistant}Yes.{end}"
    )


def test_the_answers_are_marked_for_training(repository, family):
    end = MARKERS[family][-1]
    one, two = ({"role": "assistant", "content": answer} for answer in "12")
    messages = [user("One?"), one, user("Two?"), two]
    prompt, (spans,) = render(repository, family, messages, return_assistant_tokens_mask=True)
    assert [prompt[start:stop] for start, stop in spans] == [f"1{end}", f"2{end}"]


@pytest.mark.parametrize(
    "messages, message",
    [
        ([], "empty"),
        ([{"role": "assistant", "content": "Hi"}], "begins with a user message"),
        ([user("a"), {"role": "system", "content": "b"}], "got the role system"),
        ([user("a"), {"role": "assistant", "content": [{"type": "image"}]}], "can't hold a block of type image"),
        ([{"role": "user"}], "needs `content`"),
    ],
)
def test_conversations_of_another_form_are_refused(repository, family, messages, message):
    with pytest.raises(Exception, match=message):  # jinja's own kind of error
        render(repository, family, messages)


contents = st.text("ab \n") | st.lists(st.sampled_from([{"type": "image"}, {"type": "text", "text": "a\nb"}]))
roles = st.sampled_from(["system", "user", "assistant", "tool"])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(roles, contents), max_size=4), st.booleans())
def test_the_families_differ_in_their_markers_alone(repository, turns, asks):
    messages = [{"role": role, "content": content} for role, content in turns]
    prompts = []
    for family in MARKERS:
        try:
            prompts.append(render(repository, family, messages, add_generation_prompt=asks)[0])
        except Exception as error:  # jinja's own kind of error
            prompts.append(str(error))
    ours, others = prompts
    for marker, other in zip(*MARKERS.values(), strict=True):
        ours = ours.replace(marker, other)
    assert ours == others
