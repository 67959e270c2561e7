#!/usr/bin/env bash
# Installs what the battery needs beside Go, Node and make: the npm packages of
# test/conformance, strace, and for tests that are skipped without them ruby and
# chromium. Does nothing where they are there already.
set -euo pipefail
cd "$(dirname "$0")/conformance"

# npm writes this file last, so an installation that broke off is made anew.
installed=node_modules/.package-lock.json
if [ ! -e "$installed" ] || [ package-lock.json -nt "$installed" ] || [ package.json -nt "$installed" ]; then
  npm ci --no-audit --no-fund
  touch "$installed"
fi

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
install() {
  "${as_root[@]}" apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@"
}
command -v strace >/dev/null || install strace
for program in ruby chromium; do
  command -v "$program" >/dev/null || install "$program" ||
    echo "could not install $program: the test that needs it will be skipped" >&2
done
