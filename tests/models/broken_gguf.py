"""Files made of the bundled model, each with one fault that its header does not show."""

from __future__ import annotations

import struct
from pathlib import Path

from small_gguf import entry

from infill import paths

HEAD = 24
"""Bytes before the first entry: magic, version, number of tensors, number of entries."""
ALIGNMENT = 32
END = "<|endoftext|>"


def _content() -> bytes:
    return paths.bundled_model().read_bytes()


def _token_id(content: bytes, name: str) -> int:
    start = content.index(b"tokenizer.ggml." + name.encode()) + len("tokenizer.ggml." + name) + 4
    return int(struct.unpack_from("<I", content, start)[0])


def _with_token_id(content: bytes, name: str, token: int) -> bytes:
    start = content.index(b"tokenizer.ggml." + name.encode()) + len("tokenizer.ggml." + name) + 4
    return content[:start] + struct.pack("<I", token) + content[start + 4 :]


def _with_template(content: bytes, template: str) -> bytes:
    """One more entry; its length is a multiple of the alignment, so that the weights stay where they are relative to it."""
    short = entry("tokenizer.chat_template", template)
    added = entry("tokenizer.chat_template", template + " " * (-len(short) % ALIGNMENT))
    count = struct.unpack_from("<Q", content, 16)[0]
    return content[:16] + struct.pack("<Q", count + 1) + added + content[HEAD:]


def _wrong_order(content: bytes) -> bytes:
    return content.replace(b"\x03\0\0\0\0\0\0\0spm", b"\x03\0\0\0\0\0\0\0psm", 1)


def _without_order(content: bytes) -> bytes:
    return content.replace(b"infill.fim_order", b"nobody.fim_order", 1)


def _exchanged(content: bytes) -> bytes:
    suffix, middle = (_token_id(content, f"fim_{name}_token_id") for name in ("suf", "mid"))
    return _with_token_id(_with_token_id(content, "fim_suf_token_id", middle), "fim_mid_token_id", suffix)


def _without_end(content: bytes) -> bytes:
    other = _token_id(content, "fim_rep_token_id")
    return _with_token_id(content, "eos_token_id", other).replace(END.encode(), END.replace("t|", "x|").encode(), 1)


def _raising_template(content: bytes) -> bytes:
    return _with_template(content, "{{ raise_exception('no roles') }}")


def _pretender(content: bytes) -> bytes:
    """A base model with a chat template."""
    return _with_template(content, "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:")


def _unknown_marks(content: bytes) -> bytes:
    return _with_template(content, "{% for m in messages %}<|user_turn|>{{ m.content }}{% endfor %}<|im_start|>")


MADE = {
    "whole": lambda content: content,
    "wrong order": _wrong_order,
    "without order": _without_order,
    "exchanged": _exchanged,
    "without end": _without_end,
    "raising template": _raising_template,
    "pretender": _pretender,
    "unknown marks": _unknown_marks,
}


def write(kind: str, file: Path) -> Path:
    """The bundled model with that fault."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(MADE[kind](_content()))
    return file
