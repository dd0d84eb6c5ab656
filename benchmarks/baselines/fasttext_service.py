"""fastText behind FastAPI; the environment variable ``FASTTEXT_MODEL`` names its file."""

import os

import fasttext
from fastapi import FastAPI

from .schemas import ClassifyRequest, ClassifyResponse, Result

app = FastAPI()
_model = fasttext.load_model(os.environ["FASTTEXT_MODEL"])


@app.post("/classify")
async def classify(request: ClassifyRequest) -> ClassifyResponse:
    """Predict the whole batch in one call."""
    labels, probabilities = _model.predict([text.replace("\n", " ") for text in request.texts])
    return ClassifyResponse(
        model="fasttext",
        results=[
            Result(label=label[0], score=float(score[0]))
            for label, score in zip(labels, probabilities, strict=True)
        ],
    )
