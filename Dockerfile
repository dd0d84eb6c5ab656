# syntax=docker/dockerfile:1

# Any Debian with a Python of 3.11 or newer will do.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS builder
# A bundle of certificates for pip, where a company's proxy needs one; unset by default.
ARG PIP_CERT
WORKDIR /src
# For the compiled engine; none of it is in the image that runs.
RUN command -v cc > /dev/null || { apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev; }
RUN python3 -m venv /opt/dandelion
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY dandelion dandelion
COPY app app
COPY training training
RUN /opt/dandelion/bin/pip install --no-cache-dir . \
    && /opt/dandelion/bin/pip uninstall --quiet --yes pip

FROM ${BASE_IMAGE}
COPY --from=builder /opt/dandelion /opt/dandelion
COPY artifacts /srv/artifacts
# Nothing is ever written, so the root file system may be read-only.
USER 65532:65532
WORKDIR /srv
ENV DANDELION_HOST=0.0.0.0 \
    DANDELION_PORT=8000 \
    DANDELION_LOG_FORMAT=json \
    PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/opt/dandelion/bin/python", "-m", "dandelion_app.probe"]
ENTRYPOINT ["/opt/dandelion/bin/python", "-m", "dandelion_app"]
