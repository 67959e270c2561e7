#!/usr/bin/env bash
# Fetches the programs by which monitoring, the compose file and the image are
# judged, into a directory outside of the checkout, and prints that directory. What
# is there is not fetched again. What cannot be had is left out with a sentence: the
# tests that need it are skipped, and say so.
set -uo pipefail
cd "$(dirname "$0")"

key=$(cat setup.sh compose/go.mod | sha256sum | cut -c1-12)
dir=${MAINSTEM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/mainstem/monitor-tools}/$key
mkdir -p "$dir"
work=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi

# Prometheus is unpacked and not installed, so that no service of it starts.
if [ ! -x "$dir/promtool" ] || [ ! -x "$dir/prometheus" ]; then
  (
    set -e
    cd "$work"
    chmod 755 . # apt reads as another user
    apt-get download -qq prometheus || { "${as_root[@]}" apt-get update -qq && apt-get download -qq prometheus; }
    dpkg-deb -x prometheus_*.deb unpacked
    mv unpacked/usr/bin/promtool unpacked/usr/bin/prometheus "$dir/"
  ) >&2 || echo "could not fetch Debian's prometheus: what needs it is skipped" >&2
fi

if [ ! -x "$dir/docker-compose" ]; then
  if (cd compose && CGO_ENABLED=0 go build -ldflags '-s -w' -o "$work/docker-compose" github.com/docker/compose/v2/cmd) >&2; then
    mv "$work/docker-compose" "$dir/"
  else
    echo "could not build docker compose: the compose file is not checked by it" >&2
  fi
fi

# An engine for images: one that is here, or Debian's podman.
if ! docker info >/dev/null 2>&1 && ! command -v podman >/dev/null; then
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends podman runc buildah >&2 ||
    echo "no docker, and podman could not be installed: the image is not run" >&2
fi
echo "$dir"
