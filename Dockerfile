# syntax=docker/dockerfile:1
# One static binary, the certificates of public authorities and the time zones,
# and nothing else.
#
# PARTS says where they come from: built here, or with PARTS=host from bin/image,
# where deploy/image.sh has put them.
ARG PARTS=build

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/mainstem ./cmd/mainstem \
 && mkdir -p /out/data /out/tmp && chmod 1777 /out/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /usr/local/go/lib/time/zoneinfo.zip /out/

FROM scratch AS host
COPY bin/image /out/

FROM ${PARTS} AS parts

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mainstem" \
      org.opencontainers.image.description="A clustered, replicated store of append-only streams" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=parts /out/ca-certificates.crt /etc/ssl/certs/
COPY --from=parts /out/zoneinfo.zip /usr/share/zoneinfo.zip
COPY --from=parts /out/mainstem /mainstem
COPY --from=parts --chown=65532:65532 /out/data /data
COPY --from=parts /out/tmp /tmp
ENV ZONEINFO=/usr/share/zoneinfo.zip \
    DS_STORAGE__DATA_DIR=/data
USER 65532:65532
VOLUME /data
EXPOSE 4437 4438 4439
HEALTHCHECK --interval=5s --timeout=6s --start-period=60s --retries=3 CMD ["/mainstem", "health", "--ready"]
ENTRYPOINT ["/mainstem"]
CMD ["serve"]
