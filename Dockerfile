# The service and one trained model, in an image of its own.
#
#   companion train --output models/bbc
#   companion serve models/bbc --port 8000      once: it writes models/bbc/reference.json
#   docker build --build-arg MODEL=models/bbc --tag news .
#   docker run --read-only --publish 127.0.0.1:8000:8000 --memory 1g news
#
FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY companion ./companion
# The processor's build of torch: the usual one brings gigabytes for GPUs.
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir torch==2.13.0 \
    --index-url https://download.pytorch.org/whl/cpu \
 && /venv/bin/pip install --no-cache-dir --constraint constraints.txt '.[serve]'

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin service
COPY --from=build /venv /venv
ARG MODEL=models/bbc
COPY --chmod=a+rX ${MODEL} /model
ENV OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["/venv/bin/python", "-c", \
    "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/venv/bin/companion", "serve", "/model", "--host", "0.0.0.0", "--port", "8000"]
