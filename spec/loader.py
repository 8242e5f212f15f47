"""Read model YAML into `ModelSpec`; report every problem at once, each with its place."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from spec.errors import NotFound, Problem, SpecError, did_you_mean
from spec.model import ModelSpec

Location = tuple[int | str, ...]
_RENAMED: dict[Location, str] = {("monitor", "data_drift", "threshold"): "effect"}


class _Loader(yaml.SafeLoader):
    """YAML with the booleans of version 1.2, so that the key ``on`` stays a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])


def load(path: Path) -> ModelSpec:
    """Read one model's YAML.

    Raises
    ------
    SpecError
        With every problem of the file: place (file, line, YAML path), what must hold, what was found.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Problem(str(path), "must be a readable UTF-8 YAML file", str(error))]) from error
    return loads(text, name=str(path))


def loads(text: str, name: str = "<string>") -> ModelSpec:
    """Read one model's YAML from text; `name` stands for the file in errors."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise SpecError([Problem(name, "must be valid YAML", " ".join(str(error).split()))]) from error
    if not isinstance(node, yaml.MappingNode):
        raise SpecError([Problem(name, "must be a mapping with the key 'model'", type(content).__name__)])
    problems = list(_duplicate_keys(node, name, ()))
    try:
        spec = ModelSpec.model_validate(content)
    except ValidationError as error:
        problems += [_problem(dict(detail), node, name) for detail in error.errors()]
    if problems:
        raise SpecError(problems)
    return spec


def load_folder(folder: Path) -> dict[str, ModelSpec]:
    """Read every ``*.yaml`` of a folder, by model name.

    Raises
    ------
    SpecError
        With the problems of all files, a missing folder, or two files that name the same model.
    """
    if not folder.is_dir():
        raise SpecError([Problem(str(folder), "must be a folder of model YAML files", "no such folder")])
    specs: dict[str, ModelSpec] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            spec = load(path)
        except SpecError as error:
            problems += error.problems
            continue
        if spec.model in specs:
            problems.append(Problem(f"{path}: model", "must be unique in the folder", repr(spec.model)))
        specs[spec.model] = spec
    if problems:
        raise SpecError(problems)
    return specs


def pick(specs: dict[str, ModelSpec], model: str) -> ModelSpec:
    """Return the spec of a model; `NotFound` lists the known ones."""
    try:
        return specs[model]
    except KeyError:
        msg = f"There is no model {model!r}. {did_you_mean(model, specs)}"
        raise NotFound(msg) from None


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a model's YAML, for editors."""
    schema = ModelSpec.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _duplicate_keys(node: yaml.Node, name: str, path: Location) -> Iterator[Problem]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = (*path, key.value)
            if key.value in seen:
                yield Problem(_place(name, key.start_mark.line, here), "must be given once", "a second time")
            seen.add(key.value)
            yield from _duplicate_keys(value, name, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicate_keys(item, name, (*path, index))


def _problem(detail: dict[str, Any], root: yaml.Node, name: str) -> Problem:
    location = _in_file(detail["loc"], root)
    found = _shown(detail["input"])
    kind, message = detail["type"], str(detail["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden":
        known = _known_keys(ModelSpec, location[:-1])
        where = _place(name, _line(root, location), location)
        renamed = _RENAMED.get(location)
        hint = f"It is called '{renamed}' now" if renamed else did_you_mean(str(location[-1]), known)
        return Problem(where, "must be a known key", repr(location[-1]), hint)
    if kind == "missing":
        return Problem(_place(name, _line(root, location[:-1]), location), "must be given", "nothing")
    where = _place(name, _line(root, location), location)
    if kind in {"enum", "literal_error"} and isinstance(detail["input"], str):
        known = [word.strip(" '") for word in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
        return Problem(where, "must be a known name", found, did_you_mean(detail["input"], known))
    return Problem(where, message[:1].lower() + message[1:], found)


def _in_file(location: Location, node: yaml.Node) -> Location:
    """Keep the parts of a pydantic location that stand in the file (unions and validators add others)."""
    kept: list[int | str] = []
    current: yaml.Node | None = node
    for index, part in enumerate(location):
        if isinstance(current, yaml.SequenceNode) and isinstance(part, int) and part < len(current.value):
            current = current.value[part]
        elif isinstance(current, yaml.MappingNode):
            current = next((value for key, value in current.value if key.value == str(part)), None)
        elif current is not None or index < len(location) - 1:
            continue
        kept.append(part)
    return tuple(kept)


def _line(node: yaml.Node, location: Sequence[int | str]) -> int:
    line = node.start_mark.line
    for part in location:
        if isinstance(node, yaml.MappingNode):
            match = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if match is None:
                return line
            line, node = match[0].start_mark.line, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return line


def _place(name: str, line: int, location: Location) -> str:
    path = ".".join(str(part) for part in location)
    return f"{name}:{line + 1}: {path}" if path else f"{name}:{line + 1}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - one line of a terminal


def _known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """Keys that a mapping at `location` may hold."""
    current: type[BaseModel] | None = model
    for part in location:
        fields = {
            field.alias or key: field for key, field in (current.model_fields if current else {}).items()
        }
        field = fields.get(str(part))
        current = _record_in(field.annotation) if field is not None else current
    fields_here = current.model_fields if current else {}
    return [field.alias or key for key, field in fields_here.items()]


def _record_in(annotation: Any) -> type[BaseModel] | None:
    """Return the record type inside an annotation such as ``X``, ``X | None`` or ``dict[str, X]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Annotated, dict, tuple, Union, types.UnionType}:
        return next((found for arg in get_args(annotation) if (found := _record_in(arg))), None)
    return None
