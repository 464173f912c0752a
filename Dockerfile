FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/admitone
COPY requirements.lock ./
RUN /opt/admitone/bin/pip install --no-deps --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY admitone admitone
COPY db db
COPY deploy/gate deploy/gate
COPY docs/clients.md docs/clients.md
COPY gateway gateway
COPY queue queue
COPY workers workers
RUN /opt/admitone/bin/pip install --no-deps --no-build-isolation .

# Ticket PDFs print the letters of these files (queue/messages/fonts.py), and the image needs no others of their packages.
FROM python:3.11.14-slim-bookworm AS fonts
# Debian's archive has one version of each at a time, so a pinned one would fail once there is a newer one.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
    fonts-dejavu-core fonts-droid-fallback fonts-ipaexfont-gothic fonts-noto-core

FROM python:3.11.14-slim-bookworm
COPY --from=fonts \
     /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf \
     /usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf \
     /usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf \
     /usr/share/fonts/truetype/noto/NotoSansArabic-Regular.ttf \
     /usr/share/fonts/truetype/noto/NotoSansDevanagari-Regular.ttf \
     /usr/share/fonts/truetype/noto/NotoSansHebrew-Regular.ttf \
     /usr/share/fonts/truetype/noto/NotoSansThai-Regular.ttf \
     /usr/share/fonts/truetype/admitone/
COPY --from=build /opt/admitone /opt/admitone
ENV PATH=/opt/admitone/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["admitone"]
CMD ["gateway", "--host", "0.0.0.0", "--port", "8000"]
