#!/usr/bin/env bash
# Installs what the benchmarks measure beside ours: the protocol's reference server
# from npm, etcd from Debian and NATS from its module. Does nothing where they are
# there already.
set -euo pipefail
cd "$(dirname "$0")/rival"

installed=node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ package.json -nt "$installed" ]; then
  npm install --no-package-lock --no-audit --no-fund
  touch "$installed"
fi

(
  cd raftstores
  go build -o bin/ .
  go build -o bin/nats-server github.com/nats-io/nats-server/v2
)

missing=()
command -v etcd >/dev/null || missing+=(etcd-server)
if [ ${#missing[@]} != 0 ]; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" ||
    echo "could not install ${missing[*]}: rows that need them are left out" >&2
fi
