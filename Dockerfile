# spectral-gan on Debian 12, built for the CPU:
#
#   docker build -t spectral-gan .
#   docker run --rm -v "$PWD/outputs:/work/outputs" spectral-gan demo     what ./scripts/demo does: outputs/demo/report.html
#   docker run --rm spectral-gan test                                     what ./scripts/test does
#   docker run --rm -v "$PWD/outputs:/work/outputs" spectral-gan train configs/digits/spectral.yaml
FROM debian:12-slim
WORKDIR /work
COPY . .
RUN ./scripts/setup && cmake --install build/release --prefix /usr/local \
  && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["./scripts/docker-entry"]
CMD ["--help"]
