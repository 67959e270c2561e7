SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || cat VERSION 2>/dev/null || echo dev)
GO      ?= go
FUZZTIME ?= 5s

# What runs in this process; the battery drives the binary from outside.
PRODUCT := $(shell $(GO) list ./... 2>/dev/null | grep -vx -e mainstem/test -e mainstem/test/harness)

.PHONY: help build dev cluster docs check test test-short battery chaos deploy-test monitor-test backup-test image bench mutants fuzz clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/mainstem, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/mainstem ./cmd/mainstem

dev: build ## one node on http://127.0.0.1:4437, data gone at exit
	@exec bin/mainstem dev

cluster: build ## three nodes on http://127.0.0.1:4437, :4447 and :4457, data in .data; Ctrl-C stops them
	@set -m; mkdir -p .data; pids=""; \
	for n in 1 2 3; do \
	  port=$$((4427 + 10 * n)); \
	  bin/mainstem serve --node-id "n$$n" --data-dir ".data/n$$n" --addr "127.0.0.1:$$port" \
	    --peer-addr "127.0.0.1:$$((port + 1))" --gossip-addr "127.0.0.1:$$((port + 2))" \
	    --join 127.0.0.1:4439,127.0.0.1:4449,127.0.0.1:4459 --bootstrap-expect 3 & pids="$$pids $$!"; \
	done; \
	set +m; trap 'trap "" INT TERM; kill -TERM $$pids 2>/dev/null; wait; exit 0' INT TERM; \
	wait

docs: ## write docs/configuration.md from the table of settings, and the pages of the Helm chart from that and its values
	$(GO) run ./cmd/mainstem docs > docs/configuration.md.new && mv docs/configuration.md.new docs/configuration.md
	$(GO) run ./deploy/helm/gen

check: ## formatting, vet
	@unformatted=$$(find . -name '*.go' -not -path '*/node_modules/*' -not -path './.*' -print0 | xargs -0 gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...

test: build check ## everything that must pass; installs what it needs
	$(GO) test $(PRODUCT)
	$(MAKE) --no-print-directory battery
	$(call chaos,slice,10m)
	$(MAKE) --no-print-directory deploy-test

battery: build ## the end-to-end battery over the real binary
	test/setup.sh
	MAINSTEM_BATTERY=1 $(GO) test -count=1 -timeout 40m -v ./test ./test/harness

# A mount namespace of its own, where one can be made, so that disks vanish with
# the run even when it is killed.
define chaos
	test/chaos/setup.sh
	@$$(unshare --mount --propagation private true 2>/dev/null && echo unshare --mount --propagation private) \
	  env MAINSTEM_CHAOS=$(1) $(GO) test -count=1 -timeout $(2) -v ./test/chaos
endef

chaos: build ## break clusters in every way for some twenty-five minutes; MAINSTEM_CHAOS_SEED=n repeats a run
	$(call chaos,all,60m)

mutants: build ## break the product on purpose and see that the tests notice; writes the table in docs/reliability.md
	test/setup.sh && test/chaos/setup.sh
	@$$(unshare --mount --propagation private true 2>/dev/null && echo unshare --mount --propagation private) \
	  $(GO) test -count=1 -timeout 60m -tags mutants -v -run TestTheBatteryCatchesEveryMutant ./test/mutants

# In namespaces of its own, where they can be made: the ports of the API server and
# the addresses of the pods are nobody else's. The first run builds the programs.
ALONE := unshare --mount --net --pid --fork --mount-proc --kill-child --propagation private
deploy-test: build monitor-test backup-test ## the Helm chart: what it renders, what checkers and an API server say of it, and a rollout by the real controllers
	$(GO) test -c -o bin/deploy.test ./test/deploy
	@tools=$$(test/deploy/setup.sh) && cd test/deploy && \
	  $$($(ALONE) true 2>/dev/null && echo $(ALONE) env MAINSTEM_DEPLOY_ALONE=1) \
	  env MAINSTEM_DEPLOY=$$tools ../../bin/deploy.test -test.timeout 30m -test.v

# In a network namespace of its own, like the above.
monitor-test: build ## alerts, dashboard and metrics with a real Prometheus, the compose file, and the image in three containers
	$(GO) test -c -o bin/monitor.test ./test/deploy/monitor
	@tools=$$(test/deploy/monitor/setup.sh) && cd test/deploy/monitor && \
	  $$(unshare --mount --net --propagation private true 2>/dev/null && echo unshare --mount --net --propagation private) \
	  env MAINSTEM_MONITOR=$$tools sh -c 'ip link set lo up 2>/dev/null; exec ../../../bin/monitor.test -test.timeout 15m -test.v'

backup-test: build ## a gigabyte is backed up under load, damaged, verified and restored
	MAINSTEM_BATTERY=1 MAINSTEM_BACKUP_MB=1024 $(GO) test -count=1 -timeout 20m -v -run '^TestABackupUnderLoadIsRestoredByteForByte$$' ./test

image: ## the image mainstem:dev, by docker, podman or buildah; PARTS=host takes a binary built here
	deploy/image.sh

bench: build ## measure, beside an echo handler and the reference server; writes docs/benchmarks.md (some thirty quiet minutes)
	test/bench/setup.sh
	MAINSTEM_BENCH=full $(GO) test -count=1 -timeout 80m -v ./test/bench

test-short: check ## what takes under a minute
	$(GO) test -short $(PRODUCT)

fuzz: ## each fuzz target for FUZZTIME (5s)
	@set -euo pipefail; \
	for package in $(PRODUCT); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    echo "== $$package $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package; \
	  done; \
	done

clean: ## remove bin and .data
	rm -rf bin .data
