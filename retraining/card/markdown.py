"""A document as Markdown with tables, as GitHub and MLflow show it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retraining.card.document import Bars, Block, Document, Items, Table, Text

_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_<>[]|#"})
_WIDTH = 24  # characters of the longest bar


def render(document: Document) -> str:
    """Return the document as Markdown; what a person wrote is shown as it was written."""
    lines = [f"# {_escaped(document.title)}", "", _escaped(document.lead)]
    for section in document.sections:
        lines += ["", f"## {_escaped(section.title)}"]
        for block in section.blocks:
            lines += ["", *_lines(block)]
    return "\n".join(lines) + "\n"


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Text(text):
            yield _escaped(text)
        case Items(items):
            yield from (f"- {_escaped(item)}" for item in items)
        case Table(heads, rows, numbers):
            yield _row(heads)
            yield _row(["---:" if index in numbers else "---" for index in range(len(heads))], escape=False)
            yield from map(_row, rows)
        case Bars(title, values):
            yield from _bars(title, dict(values))


def _bars(title: str, values: dict[str, float]) -> Iterator[str]:
    longest = max(values.values(), default=0.0) or 1.0
    yield _row(("", title, ""))
    yield _row(("---", "---:", "---"), escape=False)
    for name, value in values.items():
        yield _row((name, f"{value:.4g}", "█" * round(_WIDTH * value / longest)))


def _row(cells: Sequence[str], *, escape: bool = True) -> str:
    return f"| {' | '.join(_escaped(cell) if escape else cell for cell in cells)} |"


def _escaped(text: str) -> str:
    return " ".join(text.split()).translate(_SPECIAL)
