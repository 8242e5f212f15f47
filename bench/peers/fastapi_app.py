"""The model server that one writes in an hour: FastAPI, a pydantic class a row, ONNX Runtime.

The endpoint is a coroutine: one row takes less time than a thread and back. `FLIGHTS_ONNX` names the file.
"""

from __future__ import annotations

import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from pydantic import BaseModel


class Flight(BaseModel):
    """The features of models/flights.yaml."""

    month: float
    day_of_week: float
    hour: float
    minute: float
    sched_minutes: float
    distance: float
    temp: float
    dewp: float
    humid: float
    wind_speed: float
    precip: float
    pressure: float
    visib: float
    plane_age: float
    carrier: str
    origin: str
    dest: str


class Request(BaseModel):
    """Rows to score."""

    rows: list[Flight]


class Answer(BaseModel):
    """A class, and the probability of each, a row."""

    label: list[int]
    probabilities: list[list[float]]


def _session() -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(os.environ["FLIGHTS_ONNX"], options, providers=["CPUExecutionProvider"])


TEXT = ("carrier", "origin", "dest")
session = _session()
app = FastAPI()


@app.get("/ready")
async def ready() -> bool:
    """Answer once the model is loaded."""
    return True


@app.post("/predict")
async def predict(request: Request) -> Answer:
    """Score rows."""
    feeds = {
        name: np.array(
            [[getattr(row, name)] for row in request.rows], dtype=object if name in TEXT else np.float32
        )
        for name in Flight.model_fields
    }
    label, probabilities = session.run(["label", "probabilities"], feeds)
    return Answer(label=label.tolist(), probabilities=probabilities.tolist())
