"""Keyset paging: a page token says after which row the next page starts."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2s
from typing import Any, Generic, TypeVar

import orjson

from service.errors import FieldError, InvalidRequest

Row = TypeVar("Row")

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500

_CHECKSUM_BYTES = 8


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows of a list, and the token of the next page (None on the last one)."""

    items: list[Row]
    next_page_token: str | None


def make_token(listing: str, filters: Mapping[str, Any], after: list[str]) -> str:
    """Return the token of the page of `listing` that follows the row with the key `after`."""
    content = orjson.dumps([listing, filters, after], option=orjson.OPT_SORT_KEYS)
    return _encode(_checksum(content) + content)


def read_token(token: str, listing: str, filters: Mapping[str, Any]) -> list[str]:
    """Return the key a token holds; InvalidRequest when it was not made for this list and these filters."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise _unusable("is not one this service gave out") from None
    content = raw[_CHECKSUM_BYTES:]
    # The checksum is no secret: a forged token reaches nothing that its forger could not list anyway.
    # It keeps a damaged token from quietly starting somewhere else.
    if _checksum(content) != raw[:_CHECKSUM_BYTES] or _encode(raw) != token:
        raise _unusable("is not one this service gave out")
    made_for, made_with, after = orjson.loads(content)
    if made_for != listing or made_with != dict(filters):
        raise _unusable("belongs to another list, or to other filters")
    return list(after)


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _checksum(content: bytes) -> bytes:
    return blake2s(content, digest_size=_CHECKSUM_BYTES).digest()


def _unusable(reason: str) -> InvalidRequest:
    return InvalidRequest([FieldError("INVALID_VALUE", f"The page_token {reason}.", parameter="page_token")])
