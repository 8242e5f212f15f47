"""What another server answered, read without trust."""

from __future__ import annotations

from typing import Any

import httpx


def content(answer: httpx.Response) -> dict[str, Any]:
    """Return an answer's JSON object; an empty one where it holds none."""
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
