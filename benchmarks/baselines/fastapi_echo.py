"""The cost of a FastAPI route without a model: one constant result for each text."""

from fastapi import FastAPI

from .schemas import ClassifyRequest, ClassifyResponse, Result

app = FastAPI()


@app.post("/classify")
async def classify(request: ClassifyRequest) -> ClassifyResponse:
    """Respond at once, in the event loop."""
    return _response(request)


@app.post("/sync")
def classify_in_thread_pool(request: ClassifyRequest) -> ClassifyResponse:
    """Respond from FastAPI's thread pool, where a sync ``def`` runs."""
    return _response(request)


def _response(request: ClassifyRequest) -> ClassifyResponse:
    results = [Result(label="ham", score=0.5) for _ in request.texts]
    return ClassifyResponse(model="echo", results=results)
