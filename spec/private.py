"""Tokens of private values: equal where the values are, and telling nothing of them without the key.

A token is ``<key id>:<digest>``, 8 and 32 hexadecimal digits. The digest is HMAC-SHA256 (RFC 2104), cut to
128 bits, of the feature's name and the value, so that equal values of two features have different tokens.
The key id tells tokens of another key, of which none would ever match.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from spec.errors import Problem, SettingsError
from spec.model import ModelSpec
from spec.settings import Settings, read_secret

_LEAST_KEY = 32
_DIGEST_BYTES = 16
_KEY_ID_BYTES = 4


@dataclass(frozen=True, slots=True)
class Tokens:
    """What stands for the values of a model's tokenized features."""

    names: tuple[str, ...]
    """The tokenized features, in the model's order."""
    key: bytes = field(repr=False)
    key_id: str
    token: re.Pattern[str] = field(repr=False)

    @classmethod
    def of(cls, spec: ModelSpec, settings: Settings) -> Tokens | None:
        """Read the key; None where no feature is tokenized, and then no key is needed.

        Raises
        ------
        SettingsError
            There is no key, or a short one. The message names the file, and never its content.
        """
        names = tuple(name for name, feature in spec.features.items() if feature.private == "tokenize")
        if not names:
            return None
        file = settings.private_key_file
        place = f"TRIMTAB_PRIVATE_KEY_FILE: {file}"
        hint = (
            f"{', '.join(names)} of {spec.model}: private: tokenize. One for all time: openssl rand -hex 32"
        )
        try:
            key = read_secret(file)
        except SettingsError as error:
            found = error.problems[0].found
            raise SettingsError([Problem(place, "must be a readable key", found, hint)]) from error
        if len(key) < _LEAST_KEY:
            must = f"must hold a key of at least {_LEAST_KEY} characters"
            raise SettingsError([Problem(place, must, f"{len(key)}", hint)])
        secret = key.encode()
        key_id = hmac.digest(secret, b"trimtab", "sha256")[:_KEY_ID_BYTES].hex()
        return cls(names, secret, key_id, re.compile(rf"{key_id}:[0-9a-f]{{{2 * _DIGEST_BYTES}}}"))

    def of_value(self, name: str, value: str | None) -> str | None:
        """Return what stands for a feature's value; nulls, "" among them, and tokens of this key stay."""
        if not value or self.token.fullmatch(value):
            return value
        message = b"\0".join((name.encode(), value.encode("utf-8", "surrogatepass")))
        return f"{self.key_id}:{hmac.digest(self.key, message, 'sha256')[:_DIGEST_BYTES].hex()}"

    def foreign(self, values: Iterable[str | None]) -> int:
        """Count the values that are no tokens of this key."""
        return sum(not self.token.fullmatch(value) for value in values if value)
