"""SQLite files that several processes write."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def write_ahead(database: Path) -> None:
    """Create a SQLite file in WAL mode (which the file remembers), so that readers do not block writers."""
    connection = sqlite3.connect(database)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
