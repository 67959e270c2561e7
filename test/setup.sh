#!/usr/bin/env bash
# Installs what the battery needs beside Go, Node and make: the npm packages of
# test/conformance, and strace. Does nothing where they are there already.
set -euo pipefail
cd "$(dirname "$0")/conformance"

# npm writes this file last, so an installation that broke off is made anew.
installed=node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ package-lock.json -nt "$installed" ] || [ package.json -nt "$installed" ]; then
  npm ci --no-audit --no-fund
  touch "$installed"
fi

if ! command -v strace >/dev/null; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends strace
fi
