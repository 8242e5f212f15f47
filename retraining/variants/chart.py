"""The variants of a run drawn: loss over latency and over size, and a page with every reason."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

from retraining.records import Choice, Variant
from spec import ModelSpec, Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PICTURE, PAGE = "variants.png", "variants.html"
_KINDS = {
    "chosen": {"marker": "*", "s": 260, "color": "#b5179e", "zorder": 4},
    "on the front": {"marker": "o", "s": 46, "color": "#1f6f8b", "zorder": 3},
    "beaten": {"marker": "o", "s": 46, "color": "#a9c6d0", "zorder": 2},
    "over the budget": {"marker": "x", "s": 40, "color": "#9a9a9a", "zorder": 1},
    "worse than the picture is high": {"marker": "^", "s": 40, "color": "#9a9a9a", "zorder": 1},
}
_HEIGHT = 3  # of the allowed loss above the lowest one
_FLATTEST = 1e-3  # of the loss
_SERVED = ("served p99 ms", "rows/s", "MB resident", "CPU s a million", "cold start s")
_MARK = ' class="chosen"'
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
padding: 0 1rem; color: #222 }
svg { max-width: 100%; height: auto }
table { border-collapse: collapse; width: 100% } td, th { padding: .35rem .6rem; border-bottom:
1px solid #ddd; text-align: left; vertical-align: top } td.number, th.number { text-align: right;
white-space: nowrap; font-variant-numeric: tabular-nums } tr.chosen td { background: #fbeaf7 }
"""


def picture(spec: ModelSpec, choice: Choice) -> bytes:
    """Return the variants as a PNG, 1,650 pixels wide."""
    file = BytesIO()
    _figure(spec, choice).savefig(file, format="png", dpi=150)
    return file.getvalue()


def page(spec: ModelSpec, choice: Choice) -> str:
    """Return an HTML page that needs nothing else: the picture, every variant, every refusal."""
    title = f"{escape(spec.model)}: the variants and the choice"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head><body>
<h1>{title}</h1>
<p>{escape(choice.why)}.</p>
{_svg(spec, choice)}
<h2>Variants</h2>
{_variants(choice)}
<h2>Passes that were not applied</h2>
{_refusals(choice)}
</body></html>
"""


def ordered(choice: Choice) -> list[Variant]:
    """Return the variants by rising loss, as picture and page number them from 1."""
    return sorted(choice.variants, key=lambda variant: (variant.loss, variant.size))


def _figure(spec: ModelSpec, choice: Choice) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import, and only needed at the end

    variants = ordered(choice)
    named = sum(variant.pareto or variant.chosen for variant in variants)
    figure = Figure(figsize=(11, 4.8 + 0.16 * named), layout="constrained")
    speed, size = figure.subplots(1, 2, sharey=True)
    top = _highest(spec, variants)
    _panel(speed, variants, [variant.latency_p50 * 1e6 for variant in variants], top)
    _panel(size, variants, [variant.size / 1e3 for variant in variants], top)
    limit = _allowed(spec, variants)
    for axes in (speed, size):
        axes.axhline(limit, color="#9a9a9a", linestyle=":", linewidth=1)
    beside = {"transform": size.get_yaxis_transform(), "ha": "right", "va": "bottom"}
    size.text(0.99, limit, "quality_drop", color="#6b6b6b", fontsize=8, **beside)
    unit = "root mean squared error" if spec.task is Task.REGRESSION else "log loss"
    speed.set(xlabel="median of one row, µs", ylabel=f"{unit} on the validation rows")
    size.set(xlabel="size, kB")
    figure.suptitle(f"{spec.model}: {len(variants)} variants, the lower left is the better", fontsize=12)
    _legend(figure, speed, variants)
    return figure


def _allowed(spec: ModelSpec, variants: Sequence[Variant]) -> float:
    best = min(item.loss for item in variants if not item.passes)
    return best * (1 + spec.optimize.within.quality_drop)


def _highest(spec: ModelSpec, variants: Sequence[Variant]) -> float:
    """Return the loss at the upper edge, so that one bad learner does not press the others into a line."""
    lowest = min(item.loss for item in variants)
    return lowest + _HEIGHT * max(_allowed(spec, variants) - lowest, lowest * _FLATTEST)


def _panel(axes: Axes, variants: Sequence[Variant], x: Sequence[float], top: float) -> None:
    points = [(at, min(item.loss, top), _kind(item, top)) for at, item in zip(x, variants, strict=True)]
    for kind, style in _KINDS.items():
        own = [(at, loss) for at, loss, is_kind in points if is_kind == kind]
        if own:
            given: dict[str, Any] = dict(style)
            axes.scatter(*zip(*own, strict=True), label=kind, **given)
    for number, ((at, loss, _), variant) in enumerate(zip(points, variants, strict=True), start=1):
        if variant.pareto or variant.chosen:
            axes.annotate(str(number), (at, loss), (6, 5), textcoords="offset points", fontsize=9)
    _ticks(axes)
    axes.set_xlim(min(x) / 1.5, max(x) * 1.5)
    axes.grid(visible=True, which="major", color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _ticks(axes: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415 - slow to import

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:,g}")


def _legend(figure: Figure, axes: Axes, variants: Sequence[Variant]) -> None:
    handles, labels = axes.get_legend_handles_labels()
    names = "\n".join(
        f"{number}  {variant.name}"
        for number, variant in enumerate(variants, start=1)
        if variant.pareto or variant.chosen
    )
    figure.legend(handles, labels, loc="outside lower left", ncols=len(labels), frameon=False, fontsize=9)
    figure.supxlabel(names, x=0.99, ha="right", fontsize=8, linespacing=1.4, multialignment="left")


def _kind(variant: Variant, top: float) -> str:
    if variant.chosen:
        return "chosen"
    if variant.loss > top:
        return "worse than the picture is high"
    if variant.rejected:
        return "over the budget"
    return "on the front" if variant.pareto else "beaten"


def _svg(spec: ModelSpec, choice: Choice) -> str:
    from matplotlib import rc_context  # noqa: PLC0415 - slow to import, and only needed at the end

    file = StringIO()
    with rc_context({"svg.hashsalt": "trimtab", "svg.fonttype": "none"}):
        _figure(spec, choice).savefig(file, format="svg", metadata={"Date": None})
    drawn = file.getvalue()
    return drawn[drawn.index("<svg") :]


def _variants(choice: Choice) -> str:
    heads = ("", "variant", "loss", "p50 µs", "p99 µs", "kB", *_SERVED, "front", "why not")
    rows = [
        (
            str(number),
            variant.name,
            f"{variant.loss:.5f}",
            f"{variant.latency_p50 * 1e6:,.1f}",
            f"{variant.latency_p99 * 1e6:,.1f}",
            f"{variant.size / 1e3:,.1f}",
            *_served(variant),
            "yes" if variant.pareto else "",
            "chosen" if variant.chosen else "; ".join(variant.reasons),
        )
        for number, variant in enumerate(ordered(choice), start=1)
    ]
    return _table(
        heads, rows, numbers=range(2, 6 + len(_SERVED)), marked=[item.chosen for item in ordered(choice)]
    )


def _served(variant: Variant) -> tuple[str, ...]:
    """Return the cells under `_SERVED`; empty where no model server was asked."""
    numbers = (
        (variant.served_p99, 1e3, ",.2f"),
        (variant.rows_per_second, 1, ",.0f"),
        (variant.memory, 1e-6, ",.0f"),
        (variant.cpu_per_million, 1, ",.0f"),
        (variant.cold_start_seconds, 1, ".1f"),
    )
    return tuple("" if value is None else format(value * unit, shown) for value, unit, shown in numbers)


def _refusals(choice: Choice) -> str:
    rows = [(item.by, item.name, item.reason) for item in choice.refused]
    if not rows:
        return "<p>None.</p>"
    return _table(("pass", "after", "why"), rows, numbers=range(0), marked=[False] * len(rows))


def _table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: range, marked: Sequence[bool]
) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        kinds = [' class="number"' if index in numbers else "" for index in range(len(values))]
        return "".join(
            f"<{tag}{kind}>{escape(value)}</{tag}>" for kind, value in zip(kinds, values, strict=True)
        )

    body = "\n".join(
        f"<tr{_MARK if mark else ''}>{cells('td', row)}</tr>" for mark, row in zip(marked, rows, strict=True)
    )
    return f"<table><tr>{cells('th', heads)}</tr>\n{body}</table>"
