"""Several requests in one run of the model, each with the answer that it would have got alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from serving.model import OnnxModel
from serving.protocol import InferRequest, Prediction
from serving.values import feeds
from spec import TrimtabError


def predict(model: OnnxModel, requests: Sequence[InferRequest]) -> list[Prediction | TrimtabError]:
    """Score requests together; if that fails each alone, so that only those fail that must.

    Returns
    -------
    list
        A prediction a request, or why there is none.
    """
    if len(requests) > 1:
        try:
            return list(_together(model, requests))
        except TrimtabError:  # one of them is to blame, and hears so below
            pass
    return [_alone(model, request) for request in requests]


def _together(model: OnnxModel, requests: Sequence[InferRequest]) -> list[Prediction]:
    labels, scores = model.predict(feeds([request.values for request in requests]))
    ends = accumulate((request.rows for request in requests), initial=0)
    return [
        Prediction(None if labels is None else labels[start:end], scores[start:end])
        for start, end in pairwise(ends)
    ]


def _alone(model: OnnxModel, request: InferRequest) -> Prediction | TrimtabError:
    try:
        return model.predict(feeds([request.values]))
    except TrimtabError as error:
        return error
