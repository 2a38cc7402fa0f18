"""What `serve.py` checks before a request reaches `transformers serve`: routes, fields, blocks, limits."""

import asyncio
import base64
import dataclasses
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from processing_minimonkey.chat_messages import IMAGE_TYPES, TEXT_TYPES, check_text
from processing_minimonkey.image_sources import read_image


logger = logging.getLogger(__name__)

CHAT = ("POST", "/v1/chat/completions")
ROUTES = {CHAT, ("GET", "/v1/models"), ("GET", "/health")}
LONGEST_MESSAGE = 500  # characters
AT_ONCE = 4  # requests that are prepared or answered; the model takes them one by one, and pixels wait in memory
MOST_HELD = 10  # times the largest request: bytes of all requests that arrive or wait
MOST_PARTS = 1000  # messages and blocks of a request, since each takes time in a chat template
MOST_VALUES = 500_000  # of a request's JSON, each of which takes far more memory than its text
TILING = ("pyramid", "detailed_tiles", "adaptive_tiles", "complementarity", "crop_to_patches")
# Fields that clients send and that change no answer here; any other value than these must not be ignored in silence
NEUTRAL = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "response_format": ({"type": "text"},),
}
IGNORED = {"user", "metadata", "store", "service_tier", "stream_options", "parallel_tool_calls"}


@dataclasses.dataclass(frozen=True)
class Limits:
    """
    What the operator of a server allows its clients.

    Args:
        paths: folders of which images are opened by path; none by default.
        hosts: names of hosts from which images are fetched; none by default.
        images: most images in a request.
        tiles: most tiles of all images of a request.
        megapixels: most pixels of all images of a request.
        megabytes: largest request.
        characters: longest text of a request.
        tokens: longest answer.
        waiting: most requests that have arrived and are not answered.
        seconds: longest time that a request may take to arrive, its images to be fetched, its answer to be taken.
    """

    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    images: int = 16
    tiles: int = 64
    megapixels: int = 50
    megabytes: int = 50
    characters: int = 100_000
    tokens: int = 1024
    waiting: int = 100
    seconds: int = 30


class RefusedRequest(ValueError):
    """A request that isn't passed on, with the status to answer it with."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


class Checks:
    """ASGI middleware: answers what it refuses itself, and passes everything else on with no address left in it."""

    def __init__(self, app: Callable[..., Awaitable[None]], limits: Limits):
        self.app = app
        self.limits = limits
        self.waiting, self.held = 0, 0  # requests; bytes
        self.turns = asyncio.Semaphore(AT_ONCE)
        # A thread for each request: one that waits for a host must not keep others from being read
        self.threads = ThreadPoolExecutor(limits.waiting)

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        if scope["type"] != "http":
            return await (self.app if scope["type"] == "lifespan" else _closed)(scope, receive, send)
        route = scope["method"], scope["path"]
        if route not in ROUTES:
            names = ", ".join(f"{method} {path}" for method, path in sorted(ROUTES))
            return await refusal(f"There is no {scope['method']} here under this address; there are {names}.", 404)(
                scope, receive, send
            )
        if route != CHAT:
            return await self.app(scope, receive, send)
        body = bytearray()
        try:
            await self._chat(body, scope, receive, send)
        finally:
            self.held -= len(body)

    async def _chat(self, body: bytearray, scope: dict, receive: Callable, send: Callable) -> None:
        try:
            async with asyncio.timeout(self.limits.seconds):
                await self._arrive(body, receive)
        except TimeoutError:
            return await refusal("The request took too long to arrive.", 408)(scope, receive, send)
        except RefusedRequest as error:
            return await refusal(str(error), error.status)(scope, receive, send)
        if self.waiting >= self.limits.waiting:  # counted from here on: what never arrives keeps nobody out
            return await refusal("The server is busy; try again later.", 503)(scope, receive, send)
        self.waiting += 1
        try:
            await self._answer(bytes(body), scope, receive, send)
        finally:
            self.waiting -= 1

    async def _arrive(self, body: bytearray, receive: Callable) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                raise RefusedRequest("The client left.")
            body += message.get("body", b"")
            self.held += len(message.get("body", b""))
            more = message.get("more_body", False)
            if len(body) > self.limits.megabytes * 1e6:
                raise RefusedRequest(f"The request is longer than {self.limits.megabytes} MB.", 413)
            if self.held > MOST_HELD * self.limits.megabytes * 1e6:
                raise RefusedRequest("The server is busy with large requests; try again later.", 503)

    async def _answer(self, body: bytes, scope: dict, receive: Callable, send: Callable) -> None:
        loop = asyncio.get_running_loop()
        try:
            # In a thread: images are read here, and the loop answers all other clients meanwhile
            body = await loop.run_in_executor(self.threads, checked_body, body, self.limits)
        except (TypeError, ValueError) as error:
            return await refusal(str(error), getattr(error, "status", 400))(scope, receive, send)
        headers = [header for header in scope["headers"] if header[0] not in (b"content-length", b"content-type")]
        headers += [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
        async with self.turns:
            try:
                timed = _timed(send, self.limits.seconds)
                await self.app({**scope, "headers": headers}, _replayed(body, receive), timed)
            except (ClientDisconnect, TimeoutError):
                logger.warning("The client left, or took its answer too slowly.")


def add_checks(app: FastAPI, limits: Limits) -> FastAPI:
    """Put [`Checks`] before an application, and give a 400 for what its handlers find wrong with a request."""

    async def refuse(_request: Any, error: Exception) -> JSONResponse:
        return refusal(getattr(error, "detail", str(error)), getattr(error, "status_code", 400))

    for kind in (ValueError, TypeError, HTTPException):  # of the processor and the model; of the library's handlers
        app.add_exception_handler(kind, refuse)
    app.add_middleware(Checks, limits=limits)
    return app


def refusal(message: str, status: int) -> JSONResponse:
    """An error as OpenAI's clients read it, and its line in the log."""
    message = message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}…"
    logger.warning("Refused with %d: %s", status, _shown(message))
    return JSONResponse(
        {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}, status
    )


def checked_body(body: bytes, limits: Limits) -> bytes:
    """
    The request as the library's handler may see it: known fields within limits, images as `data:` URLs.

    Raises:
        ValueError: the request can't be answered; the message says which field, what came and what is allowed.
    """
    values = sum(map(body.count, (b",", b"[", b"{")))
    if values > MOST_VALUES:
        raise RefusedRequest(f"The request holds {values:,} values or commas; {MOST_VALUES:,} are allowed.")
    try:
        request = json.loads(body, parse_constant=_not_a_number)
    except RecursionError:
        raise RefusedRequest("The request is nested too deeply.") from None
    except ValueError as error:
        raise RefusedRequest(f"The request is not JSON: {error}.") from error
    if not isinstance(request, dict):
        raise RefusedRequest(f"The request must be an object with `messages`, got {_kind(request)}.")
    settings = {name: value for name, value in request.items() if value is not None and name not in IGNORED}
    for name in NEUTRAL.keys() & settings.keys():
        value = settings.pop(name)
        if value not in NEUTRAL[name]:
            raise RefusedRequest(f"`{name}` can only be {NEUTRAL[name][0]!r} here, got {_shown(value)}.")
    unknown = sorted(settings.keys() - FIELDS.keys() - {"messages"})
    if unknown:
        raise RefusedRequest(f"There is no field `{_shown(unknown[0])}` here; there are {', '.join(FIELDS)}.")
    for name, value in settings.items():
        if name != "messages":
            FIELDS[name](name, value, limits)
    # Older releases know `max_tokens` alone
    settings["max_tokens"] = settings.pop("max_completion_tokens", settings.get("max_tokens", limits.tokens))
    settings["messages"] = _messages(request.get("messages"), limits)
    return json.dumps(settings).encode()


def _messages(messages: Any, limits: Limits) -> list[dict]:
    if not isinstance(messages, list) or not messages:
        raise RefusedRequest(f"`messages` must be a list of at least one message, got {_kind(messages)}.")
    lists = [message["content"] for message in messages if isinstance(message, dict) and "content" in message]
    parts = len(messages) + sum(len(content) for content in lists if isinstance(content, list))
    if parts > MOST_PARTS:
        raise RefusedRequest(f"`messages` has {parts:,} messages and blocks; {MOST_PARTS:,} are allowed.")
    checked, images = [], 0
    room = _Room(limits)
    for index, message in enumerate(messages):
        name = f"messages[{index}]"
        if not isinstance(message, dict):
            raise RefusedRequest(f"{name} must be an object with `role` and `content`, got {_kind(message)}.")
        unknown = sorted(name for name in message.keys() - {"role", "content", "name"} if message[name] is not None)
        if unknown:
            raise RefusedRequest(f"{name} has a `{_shown(unknown[0])}`; only `role` and `content` are known here.")
        role, content = message.get("role"), message.get("content")
        if role not in ("system", "user", "assistant"):
            raise RefusedRequest(f"{name}.role must be system, user or assistant, got {_shown(role)}.")
        if not isinstance(message.get("name"), str | None):
            raise RefusedRequest(f"{name}.name must be a string, got {_kind(message['name'])}.")
        if not isinstance(content, (str, list)):
            raise RefusedRequest(f"{name}.content must be a string or a list of blocks, got {_kind(content)}.")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        images += sum(isinstance(block, dict) and block.get("type") in IMAGE_BLOCKS for block in blocks)
        if images > limits.images:
            raise RefusedRequest(f"The request holds more than {limits.images} images.")
        blocks = [_block(f"{name}.content[{number}]", block, room) for number, block in enumerate(blocks)]
        checked.append({"role": role, "content": blocks})
    return checked


IMAGE_BLOCKS = IMAGE_TYPES[1:]  # OpenAI's
NOTES = {"type", "cache_control", "annotations", "logprobs"}  # of blocks, without effect on an answer


class _Room:
    """What a request may still take of its limits."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.pixels = limits.megapixels * 1_000_000
        self.deadline = time.monotonic() + limits.seconds

    def read(self, source: str, name: str) -> bytes:
        """The file of an image, which the limits permit and all images together have room for."""
        opening = {
            "allow_paths": self.limits.paths,
            "allow_urls": self.limits.hosts,
            "max_file_bytes": self.limits.megabytes * 1_000_000,
            "deadline": self.deadline,
        }
        data, image = read_image(source, name, **opening)
        self.pixels -= math.prod(image.size)
        if self.pixels < 0:
            most = self.limits.megapixels
            raise RefusedRequest(f"With {name}, the images of the request have more than {most} megapixels together.")
        return data


def _block(name: str, block: Any, room: _Room) -> dict:
    """A block of a message with its image as a `data:` URL."""
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in (*TEXT_TYPES, *IMAGE_BLOCKS):
        came = _shown(kind) if isinstance(block, dict) else _kind(block)
        raise RefusedRequest(f"{name} must be a block of the type text or image_url, got {came}.")
    if kind in TEXT_TYPES:
        _check_keys(name, block, {"text"} | NOTES)
        if not isinstance(block.get("text"), str):
            raise RefusedRequest(f"{name}.text must be a string, got {_kind(block.get('text'))}.")
        return {"type": "text", "text": block["text"]}
    _check_keys(name, block, {"image_url", "detail"} | NOTES)
    source = block.get("image_url")
    if isinstance(source, dict):
        _check_keys(f"{name}.image_url", source, {"url", "detail"})
        source = source.get("url")
    if not isinstance(source, str):
        raise RefusedRequest(f"{name}.image_url must be a URL or an object with a `url`, got {_kind(source)}.")
    data = room.read(source, f"{name}.image_url")
    if not source.startswith("data:"):
        source = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"type": "image_url", "image_url": {"url": source}}


def _check_keys(name: str, given: dict, known: set[str]) -> None:
    """Refuse what would be left out of an answer in silence."""
    unknown = sorted(key for key in given.keys() - known if given[key] is not None)
    if unknown:
        raise RefusedRequest(f"{name} has a `{_shown(unknown[0])}`, which is not known here and would be left out.")


# ---- Fields: each function raises if the value of a field is wrong


def _text(name: str, value: Any, limits: Limits) -> None:
    if not isinstance(value, str):
        raise RefusedRequest(f"`{name}` must be a string, got {_kind(value)}.")


def _flag(name: str, value: Any, limits: Limits) -> None:
    if not isinstance(value, bool):
        raise RefusedRequest(f"`{name}` must be true or false, got {_kind(value)}.")


def _tokens(name: str, value: Any, limits: Limits) -> None:
    _integer(name, value, 1, limits.tokens)


def _seed(name: str, value: Any, limits: Limits) -> None:
    _integer(name, value, 0, 2**63 - 1)


def _temperature(name: str, value: Any, limits: Limits) -> None:
    _number(name, value, 0, 2)


def _probability(name: str, value: Any, limits: Limits) -> None:
    _number(name, value, 0, 1)
    if value == 0:
        raise RefusedRequest(f"`{name}` must be above 0.")


def _stop(name: str, value: Any, limits: Limits) -> None:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not 1 <= len(texts) <= 4:
        raise RefusedRequest(f"`{name}` must be one to four strings, got {_kind(value)}.")
    for text in texts:
        if not isinstance(text, str) or not 1 <= len(text) <= 100:
            raise RefusedRequest(f"`{name}` must hold strings of 1 to 100 characters, got {_shown(text)}.")
        check_text(text, f"`{name}`")


def _tiling(name: str, value: Any, limits: Limits) -> None:
    # Only what cuts tiles: other arguments of a chat template would open files, replace the template or allow tokens
    if not isinstance(value, dict):
        raise RefusedRequest(f"`{name}` must be an object, got {_kind(value)}.")
    unknown = sorted(value.keys() - set(TILING))
    if unknown:
        raise RefusedRequest(f"`{name}` may hold {', '.join(TILING)}, got `{_shown(unknown[0])}`.")


FIELDS = {
    "model": _text,
    "stream": _flag,
    "max_tokens": _tokens,
    "max_completion_tokens": _tokens,
    "temperature": _temperature,
    "top_p": _probability,
    "seed": _seed,
    "stop": _stop,
    "chat_template_kwargs": _tiling,
}


def _integer(name: str, value: Any, lowest: int, highest: int) -> None:
    if type(value) is not int or not lowest <= value <= highest:
        raise RefusedRequest(f"`{name}` must be an integer of {lowest} to {highest}, got {_shown(value)}.")


def _number(name: str, value: Any, lowest: float, highest: float) -> None:
    if type(value) not in (int, float) or not lowest <= value <= highest or not math.isfinite(value):
        raise RefusedRequest(f"`{name}` must be a number of {lowest} to {highest}, got {_shown(value)}.")


def _not_a_number(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _shown(value: Any) -> str:
    """A value of a client in a message: short, on one line."""
    text = str(value).encode("ascii", "backslashreplace").decode().replace("\n", " ").replace("\r", " ")
    return text if len(text) <= 80 else f"{text[:80]}…"


def _kind(value: Any) -> str:
    kinds = {type(None): "nothing", dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return kinds.get(type(value), "a number")


def _replayed(body: bytes, receive: Callable) -> Callable:
    """An ASGI `receive` that gives `body` once, and then what the client does."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> dict:
        return messages.pop() if messages else await receive()

    return replay


def _timed(send: Callable, seconds: float) -> Callable:
    """An ASGI `send` that takes its client for gone once it has waited so long, in all, for it to take its answer."""
    left = seconds

    async def timed(message: dict) -> None:
        nonlocal left
        begun = time.monotonic()
        async with asyncio.timeout(left):  # its TimeoutError is an OSError, which ASGI says of a client that left
            await send(message)
        left -= time.monotonic() - begun

    return timed


async def _closed(scope: dict, receive: Callable, send: Callable) -> None:
    await send({"type": "websocket.close"})
