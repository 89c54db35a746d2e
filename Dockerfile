# One image, one role a container: `docker run … probestream run detect`.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/build.txt requirements/postgres.txt requirements/
RUN python -m venv /opt/probestream \
    && /opt/probestream/bin/pip install --no-cache-dir --require-hashes -r requirements/postgres.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY streams streams
COPY agents agents
COPY probestream probestream
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/probestream/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.13-slim
RUN useradd --system --create-home --uid 10001 probestream \
    && mkdir /data && chown probestream /data
COPY --from=build /opt/probestream /opt/probestream
ENV PATH=/opt/probestream/bin:$PATH \
    PROBESTREAM_DATA=/data \
    PROBESTREAM_READY_FILE=/tmp/ready \
    PYTHONUNBUFFERED=1
USER probestream
# Compiled once, into the user's cache; a processor of another kind compiles for itself at its first start.
RUN python -m streams.warm
VOLUME /data
# A role touches the file once it takes input; a container that starts again has a new /tmp.
HEALTHCHECK --interval=5s --timeout=2s --start-period=60s --retries=3 CMD ["test", "-f", "/tmp/ready"]
ENTRYPOINT ["probestream"]
CMD ["--help"]
