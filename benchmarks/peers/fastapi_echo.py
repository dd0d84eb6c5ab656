"""What a route costs that has no model: one constant entry for each text."""

from fastapi import FastAPI

from .schemas import Answer, Asked, Result

app = FastAPI()


@app.post("/classify")
async def classify(asked: Asked) -> Answer:
    """Answer at once."""
    return _answer(asked)


@app.post("/sync")
def classify_in_a_thread(asked: Asked) -> Answer:
    """Answer from the framework's thread pool, as a sync ``def`` does."""
    return _answer(asked)


def _answer(asked: Asked) -> Answer:
    return Answer(model="echo", results=[Result(label="ham", score=0.5) for _ in asked.texts])
