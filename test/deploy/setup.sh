#!/usr/bin/env bash
# Builds the programs by which the chart is judged, from the module proxy, into a
# directory outside of the checkout, and prints that directory. What is there is
# not built again. A program that cannot be built is left out with a sentence:
# the tests that need it are skipped, and say so.
set -uo pipefail
cd "$(dirname "$0")/tools"

key=$(cat go.mod ../setup.sh | sha256sum | cut -c1-12)
dir=${MAINSTEM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/mainstem/deploy-tools}/$key
mkdir -p "$dir"

# Built beside and moved: a build that broke off leaves nothing.
build() { # NAME COMMAND…
  local name=$1 work
  shift
  if [ -x "$dir/$name" ]; then return; fi
  work=$(mktemp -d "$dir/.build.XXXXXX")
  if OUT=$work "$@" >&2; then mv "$work"/* "$dir/$name"; else echo "could not build $name: tests that need it are skipped" >&2; fi
  rm -rf "$work"
}
# The API server says which version it is; charts ask for one.
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=${version:3:2}"
here() { go build -ldflags "-s -w $stamp" -o "$OUT/" "$1"; }
# These two need other versions of Kubernetes' packages than the rest.
there() { GOBIN=$OUT GOFLAGS= go install -ldflags '-s -w' "$1"; }

build helm here helm.sh/helm/v3/cmd/helm
build kube-score there github.com/zegl/kube-score/cmd/kube-score@v1.20.0
build kubectl-validate there sigs.k8s.io/kubectl-validate@v0.0.4
build kube-apiserver here k8s.io/kubernetes/cmd/kube-apiserver
build kube-controller-manager here k8s.io/kubernetes/cmd/kube-controller-manager
build kubectl here k8s.io/kubernetes/cmd/kubectl
build etcd here go.etcd.io/etcd/server/v3

need=()
PATH=$PATH:/usr/sbin:/sbin
command -v ip >/dev/null || need+=(iproute2)
command -v nsenter >/dev/null || need+=(util-linux)
if [ ${#need[@]} != 0 ]; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
  { "${as_root[@]}" apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${need[@]}"; } >&2 ||
    echo "could not install ${need[*]}: the rollout is skipped" >&2
fi
echo "$dir"
