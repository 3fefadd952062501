# The website for a CPU: no CUDA, no compiler, no shell account, nothing that it may write but /data and /tmp.
#
#   docker build --tag dermatrace .
#   docker run --read-only --tmpfs /tmp --volume dermatrace:/data --publish 127.0.0.1:5000:5000 dermatrace

FROM python:3.13.9-slim-bookworm AS packages
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
ENV VIRTUAL_ENV=/opt/packages UV_LINK_MODE=copy
WORKDIR /build
RUN python -m pip install --no-cache-dir --disable-pip-version-check uv==0.13.8 \
    && uv venv --python /usr/local/bin/python "$VIRTUAL_ENV"
# Before the code, so that a change of it installs nothing again. The versions are those that the tests run with.
COPY requirements.txt overrides.txt setup.cfg pyproject.toml ./
RUN sed -nE 's/^((torch|torchvision)==[^ ;]+).*/\1/p' requirements.txt > torch.txt \
    && uv pip install --no-cache --compile-bytecode --no-deps --default-index "$TORCH_INDEX_URL" --requirement torch.txt \
    && uv pip install --no-cache --compile-bytecode --requirement setup.cfg --extra web --extra openvino --extra heic \
        --constraint requirements.txt --override overrides.txt

FROM python:3.13.9-slim-bookworm
RUN groupadd --system --gid 10001 dermatrace \
    && useradd --system --uid 10001 --gid dermatrace --no-create-home --shell /usr/sbin/nologin dermatrace \
    && install --directory --owner dermatrace --group dermatrace --mode 700 /data
COPY --from=packages /opt/packages /opt/packages
WORKDIR /app
COPY derm_core ./derm_core
COPY web ./web
COPY migrations ./migrations
COPY scripts/_cli.py scripts/_server.py scripts/_site.py scripts/backup.py scripts/restore.py ./scripts/
COPY LICENSE ./
RUN /opt/packages/bin/python -m compileall -q derm_core web migrations
ENV PATH=/opt/packages/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    FLASK_APP=web \
    DERM_HOME=/data \
    DERM_BIND=0.0.0.0:5000 \
    DERM_LOG=json
USER 10001:10001
VOLUME /data
EXPOSE 5000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/readyz', timeout=4)"]
CMD ["python", "scripts/_server.py"]
