# Pilotlight with the contest's lifecycle: run.sh starts the scaler and stops it when the simulator has finished.
#
#   docker build -t pilotlight .
#   docker run pilotlight                             the scaler, until a simulator on its network's port 9000 ends
#   docker run pilotlight run.sh --policy POLICY      the same with flags of `pilotlight serve`
#   docker run pilotlight pilotlight replay …         the simulator
#
# Any two images of one Debian release (12 or later) do: the environment is copied from the first to the second,
# and both take their Python from Debian. A build image without cargo gets one from rustup.
ARG BUILD_IMAGE=rust:1-slim-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
RUN apt-get update \
 && apt-get install --no-install-recommends -y ca-certificates curl gcc libc6-dev python3 python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/*
ENV PATH=/usr/local/cargo/bin:/root/.cargo/bin:$PATH
RUN command -v cargo \
 || curl --proto '=https' --tlsv1.2 -fsS https://sh.rustup.rs | sh -s -- -y --profile minimal --default-toolchain stable
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir 'uv>=0.9'

ENV UV_PROJECT_ENVIRONMENT=/opt/pilotlight \
    UV_PYTHON=/usr/bin/python3 \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1 \
    MATURIN_PEP517_ARGS=--locked
WORKDIR /src
# The dependencies first: they change less often than the sources.
COPY pyproject.toml uv.lock ./
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-install-project
COPY . .
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-editable

FROM ${RUNTIME_IMAGE}
RUN apt-get update \
 && apt-get install --no-install-recommends -y python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin pilotlight
COPY --from=build /opt/pilotlight /opt/pilotlight
COPY run.sh /usr/local/bin/run.sh
ENV PATH=/opt/pilotlight/bin:$PATH \
    PYTHONUNBUFFERED=1
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
EXPOSE 9001
CMD ["run.sh"]
