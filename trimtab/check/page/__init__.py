"""The outcome as one HTML file that needs nothing else: no network, no script to be read."""

from trimtab.check.page.document import render

__all__ = ["render"]
