# syntax=docker/dockerfile:1
# One static binary, the certificates of public authorities and the time zones,
# and nothing else.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/mainstem ./cmd/mainstem \
 && mkdir -p /out/data /out/tmp && chmod 1777 /out/tmp

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="mainstem" \
      org.opencontainers.image.description="A clustered, replicated store of append-only streams" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /usr/local/go/lib/time/zoneinfo.zip
COPY --from=build /out/mainstem /mainstem
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/tmp /tmp
ENV ZONEINFO=/usr/local/go/lib/time/zoneinfo.zip \
    DS_STORAGE__DATA_DIR=/data
USER 65532:65532
VOLUME /data
EXPOSE 4437 4438 4439
HEALTHCHECK --interval=5s --timeout=6s --start-period=60s --retries=3 CMD ["/mainstem", "health", "--ready"]
ENTRYPOINT ["/mainstem"]
CMD ["serve"]
