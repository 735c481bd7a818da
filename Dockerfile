FROM python:3.13-slim-trixie AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv /opt/chainrule
ENV PATH=/opt/chainrule/bin:$PATH

# Requirements change seldom: their layer outlives changes of the code.
COPY requirements.txt ./
RUN pip install --require-hashes --requirement requirements.txt

COPY . ./
RUN pip install --no-deps --no-build-isolation . && pip uninstall --yes setuptools pip

# The loops are compiled here, for any processor of the platform, so that no container compiles them again.
# An image for one machine may name it: --build-arg CPU=skylake-avx512.
ARG CPU=generic
ENV NUMBA_CPU_NAME=$CPU NUMBA_CPU_FEATURES= NUMBA_CACHE_DIR=/opt/chainrule/kernels
WORKDIR /
RUN python -c "import engine.derivatives"


FROM python:3.13-slim-trixie

# Debian keeps only the newest version of a package: a pinned one would stop the build at the next update.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends graphviz \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin chainrule \
    && install --directory --owner chainrule --group chainrule /var/lib/chainrule

COPY --from=build /opt/chainrule /opt/chainrule

ARG CPU=generic
# Who reaches a container is decided by whoever publishes its port; CHAINRULE_AUTH=keys then asks for keys.
ENV PATH=/opt/chainrule/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CPU_NAME=$CPU NUMBA_CPU_FEATURES= NUMBA_CACHE_DIR=/opt/chainrule/kernels \
    CHAINRULE_HOST=0.0.0.0 \
    CHAINRULE_PORT=8000 \
    CHAINRULE_OPEN_NETWORK=on \
    CHAINRULE_DATABASE_URL=sqlite:////var/lib/chainrule/chainrule.sqlite3

WORKDIR /var/lib/chainrule
VOLUME /var/lib/chainrule
EXPOSE 8000
USER 10001:10001

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['CHAINRULE_PORT']}/livez\", timeout=3)"]

ENTRYPOINT ["chainrule"]
CMD ["serve"]
