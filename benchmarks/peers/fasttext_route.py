"""fastText behind the same framework."""

import os

import fasttext
from fastapi import FastAPI

from .schemas import Answer, Asked, Result

app = FastAPI()
_model = fasttext.load_model(os.environ["FASTTEXT_MODEL"])


@app.post("/classify")
async def classify(asked: Asked) -> Answer:
    """Predict the whole batch in one call."""
    found, probabilities = _model.predict([text.replace("\n", " ") for text in asked.texts])
    return Answer(
        model="fasttext",
        results=[
            Result(label=label[0], score=float(score[0]))
            for label, score in zip(found, probabilities, strict=True)
        ],
    )
