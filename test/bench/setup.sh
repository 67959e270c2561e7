#!/usr/bin/env bash
# Installs the reference server of the protocol, which the benchmarks measure beside
# ours. Does nothing where it is there already.
set -euo pipefail
cd "$(dirname "$0")/rival"

installed=node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ package.json -nt "$installed" ]; then
  npm install --no-package-lock --no-audit --no-fund
  touch "$installed"
fi
