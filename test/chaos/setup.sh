#!/usr/bin/env bash
# Installs the programs by which the fault battery breaks things. Where that does
# not work, the tests that need them are skipped, and say so.
set -uo pipefail

missing=()
need() { command -v "$1" >/dev/null || missing+=("$2"); }
PATH=$PATH:/usr/sbin:/sbin
need strace strace
need ip iproute2
need nft nftables
need mkfs.ext4 e2fsprogs
need nsenter util-linux
if [ ${#missing[@]} = 0 ]; then exit 0; fi

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
"${as_root[@]}" apt-get update -qq &&
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" ||
  echo "could not install ${missing[*]}: some faults will be skipped" >&2
exit 0
