"""What every record of a YAML has in common: frozen, with known keys, its docstrings in its schema."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen mapping of known keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
