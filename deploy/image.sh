#!/usr/bin/env bash
# Builds the image, by docker, podman or buildah, whichever works here.
#   IMAGE=mainstem:dev  its name      VERSION=…  as the binary shows it
#   PARTS=host          takes a binary that is built here, with the certificates and
#                       time zones of this machine, so that no other image is fetched
#   ENGINE='podman --storage-driver vfs'  an engine with its options
set -euo pipefail
cd "$(dirname "$0")/.."

: "${IMAGE:=mainstem:dev}" "${PARTS:=build}"
: "${VERSION:=$(git describe --tags --always --dirty 2>/dev/null || echo dev)}"
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)

if [ -z "${ENGINE:-}" ]; then
  if docker info >/dev/null 2>&1; then ENGINE=docker
  elif command -v podman >/dev/null; then ENGINE=podman
  elif command -v buildah >/dev/null; then ENGINE=buildah
  else echo "neither docker, podman nor buildah works here; install one of them" >&2; exit 1; fi
fi

if [ "$PARTS" = host ]; then
  out=bin/image
  rm -rf "$out" && mkdir -p "$out/data" "$out/tmp" && chmod 1777 "$out/tmp"
  CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o "$out/mainstem" ./cmd/mainstem
  cp "$(go env GOROOT)/lib/time/zoneinfo.zip" "$out/"
  for f in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [ -e "$f" ]; then cp -L "$f" "$out/ca-certificates.crt"; break; fi
  done
  if [ ! -e "$out/ca-certificates.crt" ]; then
    echo "this machine has no certificates of public authorities to put into the image; install ca-certificates" >&2
    exit 1
  fi
fi

format=()
case $ENGINE in *podman*|*buildah*) format=(--format docker) ;; esac # the other format has no health checks
$ENGINE build "${format[@]}" --build-arg "PARTS=$PARTS" --build-arg "VERSION=$VERSION" --build-arg "REVISION=$revision" -t "$IMAGE" .
