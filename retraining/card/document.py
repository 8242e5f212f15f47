"""A document without a format: sections of paragraphs, lists, tables and bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; the columns of the indices `numbers` hold numbers."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: range = range(0)


@dataclass(frozen=True, slots=True)
class Bars:
    """Values of at least 0 by name, the largest first, in the unit that `title` names."""

    title: str
    values: Mapping[str, float]


Block: TypeAlias = Text | Items | Table | Bars


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A title, a first sentence, and sections."""

    title: str
    lead: str
    sections: tuple[Section, ...]
