"""Mutual authentication of the engine and a client with the engine's secret token, without sending it.

Used where the transport does not authenticate the peer (TCP). Each side chooses a nonce. A proof is HMAC-SHA256 with the token as key over the
role and both nonces (RFC 2104). The role prevents a proof from being reflected to its sender; the nonces prevent replay.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Literal

NONCE_BYTES = 32


def nonce() -> str:
    """A random nonce, in hexadecimal digits."""
    return secrets.token_hex(NONCE_BYTES)


def proof(token: str, role: Literal["engine", "client"], client_nonce: str, engine_nonce: str) -> str:
    """The proof that `role` knows the token, in hexadecimal digits."""
    return hmac.new(token.encode(), f"{role}:{client_nonce}:{engine_nonce}".encode(), "sha256").hexdigest()


def proves(said: str, token: str, role: Literal["engine", "client"], client_nonce: str, engine_nonce: str) -> bool:
    """Whether `said` is the proof of `role`; compared in constant time."""
    return hmac.compare_digest(said.encode(), proof(token, role, client_nonce, engine_nonce).encode())
