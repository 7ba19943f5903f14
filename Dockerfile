# The service in an image: docker build -t lot-risk . The build stage makes the wheel; the image holds the wheel and what
# it serves with, no source tree and no trainer. tests/test_packaging.py runs every step that needs no engine.

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
RUN sed -n '/^setuptools==/,/^ *# via/p' requirements.lock > build.lock
RUN pip install --no-cache-dir --no-deps --require-hashes -r build.lock
COPY pyproject.toml README.md lotrisk.py ./
COPY features/ features/
COPY training/ training/
COPY serving/ serving/
RUN pip wheel --no-deps --no-index --no-build-isolation --wheel-dir wheels .

FROM python:3.11-slim-bookworm
# LightGBM wants the system's libgomp.so.1.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
# The site is the only place that the service writes to; a mounted folder belongs to whoever --user names.
RUN useradd --uid 1000 --create-home lotrisk && install --directory --owner lotrisk --group lotrisk /site
WORKDIR /wheel
COPY requirements-serve.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements-serve.lock
COPY --from=build /build/wheels/ ./
RUN pip install --no-cache-dir --no-deps --no-index *.whl
# For matplotlib, which asks for a folder of its own even where it reads no settings.
ENV MPLCONFIGDIR=/tmp/matplotlib PYTHONUNBUFFERED=1
WORKDIR /site
USER lotrisk
VOLUME /site
EXPOSE 8000
# Alive, not ready: a service whose registry, database or sources are gone goes on answering and must not be killed.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from http.client import HTTPConnection as To; to = To('127.0.0.1', 8000, timeout=4); to.request('GET', '/healthz'); raise SystemExit(to.getresponse().status != 200)"]
ENTRYPOINT ["lotrisk"]
CMD ["serve", "/site", "--host", "0.0.0.0", "--port", "8000"]
