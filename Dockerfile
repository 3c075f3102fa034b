# syntax=docker/dockerfile:1
# Three stages: one builds the screens, one has pip and builds, the last has only what runs.

FROM python:3.13-slim-bookworm AS screens
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY scripts/requirements-node.lock scripts/screens.py scripts/
RUN python -m pip install --require-hashes --only-binary :all: --requirement scripts/requirements-node.lock
COPY schemas/openapi.json schemas/
COPY app/web/frontend app/web/frontend
RUN python scripts/screens.py


FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv --without-pip /opt/yipiaotong

# The lock changes less often than the code: this layer is kept.
COPY requirements.lock .
RUN python -m pip --python /opt/yipiaotong/bin/python install --require-hashes --only-binary :all: --requirement requirements.lock

# The code itself is copied, not built: a build back end would be one more thing to trust.
COPY app app
COPY --from=screens /build/app/web/screens app/web/screens
RUN rm -r app/web/frontend && python -m compileall -q app


FROM python:3.13-slim-bookworm AS run
LABEL org.opencontainers.image.title="yipiaotong" \
      org.opencontainers.image.description="One Ticket: lot-level traceability of edible agricultural products" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/yipiaotong/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/srv/yipiaotong
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin yipiaotong
WORKDIR /srv/yipiaotong
COPY --from=build /opt/yipiaotong /opt/yipiaotong
COPY --from=build /build/app app
COPY pyproject.toml LICENSE ./
COPY migrations migrations
COPY schemas schemas

# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "-m", "app.cli"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
