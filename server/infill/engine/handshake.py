"""How the engine and a client prove to each other that they know the engine's secret token, which itself is never sent.

Used where the transport does not tell whose process is at the other end (TCP). Each side picks a nonce; a proof is HMAC-SHA256 with the token as its
key over the role and both nonces (RFC 2104). The role keeps a proof from being sent back to the side that made it, the nonces from being used again.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Literal

NONCE_BYTES = 32


def nonce() -> str:
    """A number that is used once, in hexadecimal digits."""
    return secrets.token_hex(NONCE_BYTES)


def proof(token: str, role: Literal["engine", "client"], client_nonce: str, engine_nonce: str) -> str:
    """What shows that `role` knows the token, in hexadecimal digits."""
    return hmac.new(token.encode(), f"{role}:{client_nonce}:{engine_nonce}".encode(), "sha256").hexdigest()


def proves(said: str, token: str, role: Literal["engine", "client"], client_nonce: str, engine_nonce: str) -> bool:
    """Whether `said` is the proof of `role`; in constant time."""
    return hmac.compare_digest(said.encode(), proof(token, role, client_nonce, engine_nonce).encode())
