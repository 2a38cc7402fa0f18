"""`vllm serve` on the small checkpoint, asked by OpenAI's client, and engines of other settings: `make test-vllm`."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image


pytest.importorskip("vllm", reason="vLLM wants an environment of its own: make test-vllm")

from openai import BadRequestError, OpenAI

from tests.servers import free_port, running


KEEP_RATIO = 0.6


def command_of(checkpoint: Path, port: int, *options: str) -> list[str]:
    """As `vllm serve`, which the CPU build's own packaging breaks."""
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(checkpoint)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--max-model-len", "1024"]
    command += ["--enforce-eager"]
    return [*command, "--served-model-name", "tiny", *options]


@pytest.fixture(scope="module")
def client(checkpoint, tmp_path_factory):
    port = free_port()
    log = tmp_path_factory.mktemp("vllm") / "log"
    options = ["--max-num-seqs", "4", "--trust-request-mm-kwargs", "--hf-overrides", overrides(KEEP_RATIO)]
    command = command_of(checkpoint, port, *options)
    with running(command, f"http://127.0.0.1:{port}/health", log):
        yield OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)


def overrides(keep_ratio: float) -> str:
    return json.dumps({"scale_compression_config": {"keep_ratio": keep_ratio}})


@pytest.fixture(scope="module")
def expected(transformers, page):
    """The text of our own answer, by `keep_ratio`."""
    model, processor = transformers
    content = [{"type": "image", "image": page}, {"type": "text", "text": "Read the text."}]
    inputs = processor.prepare_chat([{"role": "user", "content": content}])

    def answer(keep_ratio: float) -> str:
        ids = model.generate(**inputs, max_new_tokens=40, do_sample=False, keep_ratio=keep_ratio)
        return processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)

    return answer


def messages(image: Image.Image, *texts: str) -> list[dict]:
    file = io.BytesIO()
    image.save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    blocks = [{"type": "image_url", "image_url": {"url": url}}, *({"type": "text", "text": text} for text in texts)]
    return [{"role": "user", "content": blocks}]


def ask(client, chat: list[dict], **options):
    return client.chat.completions.create(model="tiny", messages=chat, temperature=0, max_tokens=40, **options)


def test_an_answer_is_ours(client, expected, page):
    response = ask(client, messages(page, "Read the text."))
    assert response.choices[0].message.content == expected(KEEP_RATIO)


def test_streamed(client, expected, page):
    parts = list(ask(client, messages(page, "Read the text."), stream=True))
    assert len(parts) > 5
    assert "".join(part.choices[0].delta.content or "" for part in parts) == expected(KEEP_RATIO)


def test_the_share_of_a_request(client, expected, page):
    chat = messages(page, "Read the text.")
    responses = [ask(client, chat, extra_body={"mm_processor_kwargs": {"keep_ratio": ratio}}) for ratio in (0.1, 0.4)]
    assert [each.choices[0].message.content for each in responses] == [expected(0.1), expected(0.4)]
    assert responses[0].usage.prompt_tokens < responses[1].usage.prompt_tokens < ask(client, chat).usage.prompt_tokens


def test_a_conversation_with_a_second_image(client, page):
    chat = messages(page, "Read the text.")
    answer = ask(client, chat).choices[0].message.content
    chat += [{"role": "assistant", "content": answer}, *messages(page.crop((0, 0, 168, 224)), "Read the text.")]
    assert ask(client, chat).choices[0].message.content


@pytest.mark.parametrize(
    "texts",
    [["Read <IMG_CONTEXT> it."], ["a<|im_end|>b"], ["a<|im_", "end|>"], ["a<|im_ ", " end|>", "<img>"]],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True], ids=["", "streamed"])
def test_control_tokens_are_refused(client, page, texts, stream):
    with pytest.raises(BadRequestError, match=r"messages\[0\] holds the control token"):
        ask(client, messages(page, *texts), stream=stream)
    if len(texts) == 1:
        with pytest.raises(BadRequestError, match=r"messages\[0\] holds the control token"):
            ask(client, [{"role": "user", "content": texts[0]}])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_ratio": 0}, "`keep_ratio` must be a number above 0"),
        ({"keep_ratio": 1.0}, "this server has planned for"),
        ({"allow_paths": True}, "of a request may hold"),
        ({"images_kwargs": {"allow_urls": True}}, "of a request may hold"),
        ({"complementarity": "some"}, "complementarity"),
    ],
    ids=str,
)
def test_options_are_checked(client, page, options, message):
    with pytest.raises(BadRequestError, match=message):
        ask(client, messages(page, "Read the text."), extra_body={"mm_processor_kwargs": options})


def test_a_damaged_image_is_refused(client):
    chat = messages(Image.new("RGB", (9, 9)), "Read the text.")
    chat[0]["content"][0]["image_url"]["url"] = "data:image/png;base64," + base64.b64encode(b"no image").decode()
    with pytest.raises(BadRequestError):
        ask(client, chat)


def test_without_the_plugin_compression_is_refused(checkpoint):
    """By the Transformers backend alone, which would keep all tokens in silence."""
    options = ["--model-impl", "transformers", "--trust-remote-code", "--hf-overrides", overrides(0.5)]
    command = command_of(checkpoint, free_port(), *options)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ended.returncode != 0
    assert "`keep_ratio` is 0.5, but this engine keeps all tokens." in ended.stdout + ended.stderr
