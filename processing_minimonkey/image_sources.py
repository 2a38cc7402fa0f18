# trf-ignore: TRF028 (the license is in the file LICENSE)
"""
Encoded images: which strings may be opened, how much is read of them, and in which formats.

A string can come from a stranger, and what it names can be a server's own file or an address in its network. So
base64 is always read, a path only with `allow_paths`, an http(s) address only with `allow_urls`, nothing else ever.
"""

import base64
import http.client
import io
import os
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from PIL import Image, UnidentifiedImageError

from .complementary_image_pyramid import shown


# What Pillow may open here. Other formats are rare, and its loader of EPS runs another program, Ghostscript.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "ICO", "PPM", "AVIF")
RUN_PROGRAMS = ("EPS",)  # formats of Pillow of which not even an image that the caller opened is loaded here
# Begin the files of what people take for images, to name them in the error
NO_IMAGES = {
    b"%PDF": "a PDF document",
    b"%!PS": "PostScript",
    b"<svg": "SVG",
    b"<?xml": "XML or SVG",
    b"<!DOC": "a web page",
    b"<html": "a web page",
}
HEIC = b"ftyphei"  # from byte 4 on
LONGEST_PATH = 4096  # characters; longer strings are no paths on any system
MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
CHUNK = 2**16  # bytes read at once


class _File(io.BytesIO):
    """The file of an image that was opened here, and not by a caller."""


def unloaded(image: Image.Image) -> Image.Image:
    """
    The same image, to be decoded in place of `image` if that was opened by [`read_image`]: lists of images that a call
    holds until its end stay as small as their files.
    """
    file = getattr(image, "fp", None)
    is_loaded = not getattr(image, "tile", None) and image.format != "WEBP"  # whose file goes when it is loaded
    if not isinstance(file, _File) or is_loaded or image.tell() != 0:
        return image
    file.seek(0)
    return Image.open(file, formats=_formats())


def read_image(
    source: str | bytes | bytearray | memoryview | os.PathLike,
    name: str,
    *,
    allow_paths: bool | Sequence[str],
    allow_urls: bool | Sequence[str],
    max_file_bytes: int | None,
    deadline: float,
) -> tuple[bytes, Image.Image]:
    """
    Read an encoded image.

    Args:
        source: bytes of a file, base64, `data:` URL, path or http(s) address.
        name (`str`): of the argument, for errors.
        allow_paths (`bool` or `Sequence[str]`): whether paths are opened, or the only folders of which they are.
        allow_urls (`bool` or `Sequence[str]`): whether addresses are fetched, or the only hosts from which they are.
        max_file_bytes (`int`, *optional*): most bytes of one encoded image; `None`: any number.
        deadline (`float`): value of `time.monotonic()` until which downloads may take.

    Returns:
        `tuple[bytes, PIL.Image.Image]`: a file of one of `FORMATS`, and the image in it, not decoded yet.

    Raises:
        ValueError: it is not permitted, not there, too large, or in none of `FORMATS`.
    """
    try:
        if isinstance(source, os.PathLike):
            return _opened(_read_file(os.fsdecode(source), allow_paths, max_file_bytes))
        if not isinstance(source, str):
            _check_bytes(memoryview(source).nbytes, max_file_bytes)
            return _opened(bytes(source))
        if source[:8].lower().startswith(("http://", "https://")):
            return _opened(_download(source, allow_urls, max_file_bytes, deadline))
        is_data = source[:5].lower() == "data:"
        # Before any path, so that no base64 is looked for among the files
        data = _decode_base64(source.partition(",")[2] if is_data else source, max_file_bytes)
        if is_data:
            if data is None:
                raise ValueError("it holds no base64.")
            return _opened(data)
        image = None if data is None else _identified(data)
        if image is not None:
            return data, image
        return _opened(_read_file(source, allow_paths, max_file_bytes))
    except ValueError as error:
        path = os.fsdecode(source) if isinstance(source, os.PathLike) else source
        described = shown(path) if isinstance(path, str) else f"{memoryview(path).nbytes} bytes"
        raise ValueError(f"{name} ({described}) can't be opened: {error}") from error


def decoding(function: Callable[..., Any], *arguments: Any) -> Any:
    """
    `function(*arguments)`, in which Pillow reads a file.

    Raises:
        ValueError: it raised anything. Damaged files gave `AssertionError`, `RuntimeError`, `struct.error` beside
            the errors that Pillow documents; each format has its own parser, and each release its own errors.
    """
    try:
        return function(*arguments)
    except Exception as error:
        raise ValueError(f"it can't be decoded: {without_addresses(error)}") from error


def without_addresses(error: Exception) -> str:
    """The message of `error`, in short, or its class where it has none or shows an object's address in memory."""
    message = str(error)
    if not message or " at 0x" in message:
        return type(error).__name__
    return message if len(message) <= 200 else f"{message[:200]}..."


def _opened(data: bytes) -> tuple[bytes, Image.Image]:
    image = _identified(data)
    if image is None:
        raise ValueError(_unknown_format(data))
    return data, image


def _identified(data: bytes) -> Image.Image | None:
    """The image of a file in one of `FORMATS`, or `None`; a ValueError if its beginning is damaged."""
    try:
        return decoding(lambda: Image.open(_File(data), formats=_formats()))
    except ValueError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            return None
        raise


def _formats() -> list[str]:
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]  # Pillow can be built without some of them


def _unknown_format(data: bytes) -> str:
    if not data:
        return "it is empty, 0 bytes."
    kinds = [kind for start, kind in NO_IMAGES.items() if data[:100].lstrip().startswith(start)]
    kinds += ["HEIC"] if data[4:].startswith(HEIC) else []
    looks = f" (it looks like {kinds[0]})" if kinds else ""
    return f"it is in no image format that is opened here{looks}: {', '.join(_formats())}."


def _check_bytes(number: int, most: int | None) -> None:
    if most is not None and number > most:
        raise ValueError(f"it has {number} bytes or more, `max_file_bytes` = {most} are allowed.")


def _decode_base64(text: str, most: int | None) -> bytes | None:
    """The bytes of base64 with or without line breaks; `None` if it is none."""
    if most is not None and len(text) > 2 * most + 100:  # before the copies below
        _check_bytes(len(text) // 2, most)
    compact = "".join(text.split())
    try:
        data = base64.b64decode(compact, validate=True)
    except ValueError:  # binascii's own error is one
        return None
    _check_bytes(len(data), most)
    return data


def _read_file(path: str, allow_paths: bool | Sequence[str], most: int | None) -> bytes:
    """The content of a regular file that `allow_paths` permits."""
    if allow_paths is False:
        raise ValueError(
            "it is no base64 of an image. Paths are opened only with `allow_paths` (True, or the permitted folders), "
            "addresses only with `allow_urls`; PIL images, bytes and base64 need no permission."
        )
    # One sentence for all, so that nobody learns which files there are beside the permitted ones
    where = "" if allow_paths is True else " in the folders of `allow_paths`"
    refusal = f"it is neither base64 of an image nor a file that can be read{where}."
    if not path or len(path) > LONGEST_PATH:
        raise ValueError(refusal)
    try:
        file = Path(path).resolve()  # of links and `..`, where they lead
        is_permitted = allow_paths is True or any(file.is_relative_to(Path(each).resolve()) for each in allow_paths)
        is_file = is_permitted and file.is_file()  # no device and no pipe, which might never end
        size = file.stat().st_size if is_file else 0
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle; NUL or surrogates
        raise ValueError(refusal) from error
    if not is_file:
        raise ValueError(refusal)
    _check_bytes(size, most)
    try:
        with file.open("rb") as opened:
            return opened.read(size)
    except OSError as error:
        raise ValueError(refusal) from error


def _download(url: str, allow_urls: bool | Sequence[str], most: int | None, deadline: float) -> bytes:
    """
    The body that an http(s) address answers with. Redirects are followed to where `allow_urls` permits; proxies that
    the environment names are not used, so that the host that was checked is the host that is asked.
    """
    try:
        for _ in range(1 + MOST_REDIRECTS):
            with _Request(url, allow_urls, deadline) as response:
                location = response.getheader("location")
                if response.status in REDIRECTS and location:
                    url = urljoin(url, location)
                    continue
                if response.status != 200:
                    raise ValueError(f"the server answers {response.status}.")
                _check_bytes(response.length or 0, most)
                data = bytearray()
                while chunk := response.read(CHUNK):
                    data += chunk
                    _check_bytes(len(data), most)
                return bytes(data)
        raise ValueError(f"more than {MOST_REDIRECTS} redirects.")
    except TimeoutError as error:
        raise ValueError("it did not come within `fetch_seconds`.") from error
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(f"it can't be fetched: {without_addresses(error)}") from error


class _Request:
    """One GET; inside `with`, the response. Its socket is closed at the end, whatever came."""

    def __init__(self, url: str, allow_urls: bool | Sequence[str], deadline: float):
        parts = urlsplit(url)
        self.host = host_name(parts.hostname or "")
        if parts.scheme not in ("http", "https") or not self.host or "@" in parts.netloc:
            raise ValueError(f"{shown(url)} is no http(s) address of the form https://host/path.")
        if allow_urls is False:
            raise ValueError("addresses are fetched only with `allow_urls`; PIL images, bytes and base64 always work.")
        if allow_urls is not True and self.host not in map(host_name, allow_urls):
            raise ValueError(f"the host {shown(self.host)} is none of `allow_urls`.")
        self.is_secure, self.port = parts.scheme == "https", parts.port or (443 if parts.scheme == "https" else 80)
        path = parts.path or "/"
        self.target = quote(f"{path}?{parts.query}" if parts.query else path, safe="/?%:=&~#+!$,;'@()*[]")
        self.deadline, self.socket = deadline, None

    def __enter__(self) -> http.client.HTTPResponse:
        self.socket = _connect(self.host, self.port, self.deadline)
        if self.is_secure:
            self.socket.settimeout(_remaining(self.deadline))  # of the whole handshake
            self.socket = ssl.create_default_context().wrap_socket(self.socket, server_hostname=self.host)
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.sock = _TimedSocket(self.socket, self.deadline)
        connection.request("GET", self.target, headers={"Accept": "image/*", "Connection": "close"})
        return connection.getresponse()

    def __exit__(self, *error: Any) -> None:
        if self.socket is not None:
            self.socket.close()


class _TimedSocket:
    """
    What `http.client` uses of a socket, with one deadline for everything: a time-out of each read would let a server
    that sends a byte now and then keep its client for days.
    """

    def __init__(self, connected: socket.socket, deadline: float):
        self.connected, self.deadline = connected, deadline

    def sendall(self, data: bytes) -> None:
        self.connected.settimeout(_remaining(self.deadline))
        self.connected.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self.connected, self.deadline), CHUNK)

    def close(self) -> None:
        """`http.client` closes its connection before the body is read; `_Request` closes the socket."""


class _TimedReader(io.RawIOBase):
    def __init__(self, connected: socket.socket, deadline: float):
        self.connected, self.deadline = connected, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        self.connected.settimeout(_remaining(self.deadline))
        return self.connected.recv_into(buffer)


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    failure = OSError("the host has no address.")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connected = socket.socket(family, kind, protocol)
        try:
            connected.settimeout(_remaining(deadline))
            connected.connect(address)
            return connected
        except OSError as error:
            connected.close()
            failure = error
    raise failure


def _remaining(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def host_name(host: str) -> str:
    """A host as it is compared and asked: lower case, as DNS writes it."""
    host = host.rstrip(".").lower()
    return host if host.isascii() else host.encode("idna").decode()


__all__ = ["FORMATS", "RUN_PROGRAMS", "decoding", "host_name", "read_image", "unloaded"]
