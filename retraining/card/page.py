"""A document as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from retraining.card.document import Bars, Block, Document, Items, Section, Table, Text

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2226; --soft: #5c676f; --line: #dde3e7; --bar: #1f6f8b;
--paper: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ec; --soft: #9aa6ae; --line: #343c42;
--bar: #5fb3cf; --paper: #14181b } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2.5rem auto; max-width: 52rem; padding: 0 1.2rem;
color: var(--ink); background: var(--paper) }
h1 { font-size: 1.7rem; line-height: 1.2; margin-bottom: .4rem } p.lead { font-size: 1.1rem; margin-top: 0 }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; padding-top: .9rem; border-top: 1px solid var(--line) }
nav { font-size: .9rem; color: var(--soft) }
nav a { color: inherit; margin-right: .9rem; white-space: nowrap }
div.wide { overflow-x: auto; margin-bottom: 1.1rem }
table { border-collapse: collapse; width: 100%; font-size: .92rem }
td, th { padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left;
vertical-align: top } th { color: var(--soft); font-weight: 600 }
th { white-space: nowrap }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
figure { margin: 1rem 0 } figcaption { color: var(--soft); font-size: .9rem; margin-bottom: .3rem }
svg { max-width: 100%; height: auto } svg text { fill: var(--ink); font: 13px system-ui, sans-serif }
svg rect { fill: var(--bar) } ul { padding-left: 1.2rem }
"""
_NAME, _BAR, _ROW = 200, 400, 22  # pixels


def render(document: Document) -> str:
    """Return the document as HTML."""
    links = "".join(
        f'<a href="#s{number}">{escape(section.title)}</a> '
        for number, section in enumerate(document.sections)
    )
    sections = "\n".join(_section(number, section) for number, section in enumerate(document.sections))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(document.title)}</title><style>{_STYLE}</style></head><body>
<h1>{escape(document.title)}</h1>
<p class="lead">{escape(document.lead)}</p>
<nav>{links}</nav>
{sections}
</body></html>
"""


def _section(number: int, section: Section) -> str:
    blocks = "\n".join(map(_block, section.blocks))
    return f'<h2 id="s{number}">{escape(section.title)}</h2>\n{blocks}'


def _block(block: Block) -> str:
    match block:
        case Text(text):
            return f"<p>{escape(text)}</p>"
        case Items(items):
            return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
        case Table():
            return _table(block)
        case Bars(title, values):
            return f"<figure><figcaption>{escape(title)}</figcaption>\n{_bars(title, values)}</figure>"


def _table(table: Table) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        kinds = [' class="number"' if index in table.numbers else "" for index in range(len(values))]
        return "".join(
            f"<{tag}{kind}>{escape(value)}</{tag}>" for kind, value in zip(kinds, values, strict=True)
        )

    rows = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in table.rows)
    return f'<div class="wide"><table><tr>{cells("th", table.heads)}</tr>\n{rows}</table></div>'


def _bars(title: str, values: Mapping[str, float]) -> str:
    height, width = _ROW * len(values), _NAME + _BAR + 80
    drawn = "\n".join(_drawn(values))
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}">\n{drawn}</svg>'
    )


def _drawn(values: Mapping[str, float]) -> Iterator[str]:
    longest = max(values.values(), default=0.0) or 1.0
    for index, (name, value) in enumerate(values.items()):
        middle, length = _ROW * index + _ROW / 2, _BAR * value / longest
        yield f'<text x="{_NAME - 8}" y="{middle + 4:g}" text-anchor="end">{escape(_short(name))}</text>'
        yield f'<rect x="{_NAME}" y="{middle - 7:g}" width="{length:.1f}" height="14" rx="2"/>'
        yield f'<text x="{_NAME + length + 6:.1f}" y="{middle + 4:g}">{value:.3g}</text>'


def _short(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"  # noqa: PLR2004 - what fits into the margin
