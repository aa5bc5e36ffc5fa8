# The one image of all services; the command says which of them runs.
#
# requirements.lock pins everything this repository uses, the tests' and the sandbox's tools included (chDB
# alone is as large as all of the below). So the image does not install the lock: it installs what
# pyproject.toml asks for at run time, in the versions of the lock, each file checked against the lock's
# hashes. uv is used because pip takes no hashes from a constraints file.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
WORKDIR /src
COPY requirements.lock pyproject.toml ./
# The two build tools, by their own entries of the lock.
RUN awk '/^(uv|setuptools)==/ { keep = 1 } /^    # via/ { keep = 0 } keep' requirements.lock > tools.lock \
 && pip install --require-hashes -r tools.lock
# Only wheels: a package that has none for this Python must not be compiled here unnoticed.
RUN python -m venv --without-pip /opt/notifystream \
 && uv pip install --python /opt/notifystream/bin/python --only-binary :all: \
      --verify-hashes --constraint requirements.lock --requirements pyproject.toml
COPY README.md LICENSE ./
COPY notifystream notifystream
COPY schemas schemas
COPY ingress ingress
COPY streams streams
COPY sinks sinks
COPY sandbox sandbox
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && uv pip install --python /opt/notifystream/bin/python --no-deps /wheels/notifystream-*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/notifystream notifystream
COPY --from=build /opt/notifystream /opt/notifystream
ENV PATH=/opt/notifystream/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER notifystream
# Relative paths of the settings (the streams' local state) end up here; mount a volume to keep them.
WORKDIR /var/lib/notifystream
ENTRYPOINT ["notifystream"]
CMD ["--help"]
