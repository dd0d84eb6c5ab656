# syntax=docker/dockerfile:1

# Any Debian with a Python of 3.11 or newer will do.
ARG BASE_IMAGE=python:3.13.11-slim-bookworm

FROM ${BASE_IMAGE} AS builder
# A file of certificates for pip, where a company's proxy needs one; unset by default.
ARG PIP_CERT
# Extras to install, such as otel for traces.
ARG EXTRAS
WORKDIR /src
# The compiler of the compiled engine stays in this stage. Its version is that of the base image's
# Debian, whichever this is.
# hadolint ignore=DL3008
RUN command -v cc > /dev/null || { apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev; }
RUN python3 -m venv /opt/dandelion
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE ./
COPY dandelion dandelion
COPY app app
RUN /opt/dandelion/bin/pip install --no-cache-dir ".${EXTRAS:+[$EXTRAS]}" \
    && /opt/dandelion/bin/pip uninstall --quiet --yes pip

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Dandelion" \
      org.opencontainers.image.description="Lightweight text classifiers for imbalanced data, served over HTTP" \
      org.opencontainers.image.version="0.9.0" \
      org.opencontainers.image.licenses="MIT"
COPY --from=builder /opt/dandelion /opt/dandelion
# Every variant, so that DANDELION_MODELS can choose. Mount another directory here to serve yours.
COPY artifacts /srv/artifacts
COPY LICENSE NOTICE /srv/
# Nothing is ever written: the root file system may be read-only.
USER 65532:65532
WORKDIR /srv
ENV DANDELION_ARTIFACTS=/srv/artifacts \
    DANDELION_HOST=0.0.0.0 \
    DANDELION_PORT=8000 \
    DANDELION_LOG_FORMAT=json \
    PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/opt/dandelion/bin/python", "-m", "dandelion_app.probe"]
ENTRYPOINT ["/opt/dandelion/bin/python", "-m", "dandelion_app"]
