# Needs Go, make, git, for the race detector a C compiler, and redis-server.

SHELL := /bin/sh
ROOT := $(CURDIR)
# The library, and the modules that nobody imports. The library comes last, so
# that a run of the tests closes with its packages.
MODULES := tools bench examples .
FUZZTIME ?= 20s
COUNT ?= 6
LIMITS ?= rpm=600,tpm=200000

BROWSERS := chromium,chromium-browser,google-chrome,google-chrome-stable,chrome

each = @set -e; for m in $(1); do echo "$(2) ($$m)"; cd "$(ROOT)/$$m"; $(3); done

.PHONY: help test format tidy mod vet staticcheck deadcode unit test-page screenshots release-check fuzz fuzz-tokens bench demo demo-fleet bench-tokens bench-redis simulate test-redis-long
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile

test: ## what a change must pass: formatting, tidiness, vet, staticcheck, no dead code, all tests with -race
	@$(MAKE) --no-print-directory format tidy vet staticcheck deadcode unit

format: ## gofmt, in every module
	@echo "gofmt"; out=$$(gofmt -l .); [ -z "$$out" ] || { echo "run gofmt -w on:"; echo "$$out"; exit 1; }

tidy: ## go.mod and go.sum say what is needed and no more
	$(call each,$(MODULES),go mod tidy -diff,go mod tidy -diff)

mod: ## go mod tidy in every module, the library first since the others follow it
	$(call each,. $(filter-out .,$(MODULES)),go mod tidy,go mod tidy)

vet: ## go vet
	$(call each,$(MODULES),go vet,go vet ./...)

staticcheck: ## staticcheck, at the version that tools/go.mod pins
	@echo "staticcheck: built from the module cache, honnef.co/go/tools is downloaded the first time"
	$(call each,$(MODULES),staticcheck,go tool -modfile="$(ROOT)/tools/go.mod" staticcheck ./...)

deadcode: ## no function that neither a program nor a test of a public package reaches, no internal method or field that only its own tests use
	@echo "deadcode"; sh tools/deadcode.sh

unit: ## all tests, with the race detector
	@sh tools/need.sh "$$(go env CC | cut -d' ' -f1)" "the race detector" gcc libc6-dev
	@sh tools/need.sh redis-server "the tests of backend/redis" redis-server
	@echo "go test, without vocabularies"; go test -tags ratelimiter_notables -run '^TestWithoutTables$$' .
	@sh tools/need.sh $(BROWSERS) "the status page's tests in a browser" chromium || echo "the status page's tests in a browser are left out"
	$(call each,$(MODULES),go test -race,CGO_ENABLED=1 go test -race ./...)

release-check: ## go get of a release made from this tree: a program outside builds everything, and the library alone needs no other module
	@cd tools && go test -count=1 ./release

test-page: ## the status page in Chromium, which is installed if it is missing
	@sh tools/need.sh $(BROWSERS) "the status page's tests" chromium
	@go test ./statuspage
	@cd bench && go test -count=1 ./statuspage -browser

screenshots: ## docs/statuspage-*.png, of a scene in virtual time
	@sh tools/need.sh $(BROWSERS) "taking screenshots" chromium
	@cd bench && go test -count=1 -run '^TestScreenshots$$' ./statuspage -browser -screenshots '$(ROOT)/docs'

fuzz: ## every fuzz target for FUZZTIME (20s) each; plain tests run their seeds
	@set -e; for p in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; \
		done; \
	done

fuzz-tokens: ## the token counter against tiktoken-go for FUZZTIME (20s)
	@go test -run '^$$' -fuzz '^FuzzCount$$' -fuzztime $(FUZZTIME) ./internal/bpe

bench: ## the limiter's overhead beside the bare upstream, after many responses, and in long lines
	@cd bench && go run . -count $(COUNT)

demo: ## the same burst without and with the limiter, against a stand-in on this machine
	@cd examples && go run ./demo

demo-fleet: ## four processes on one budget in Redis, one of them killed half-way
	@sh tools/need.sh redis-server "the fleet's budget" redis-server
	@cd examples && go run ./fleet

bench-tokens: ## counting tokens beside pkoukk/tiktoken-go and tiktoken-go/tokenizer, and scanning bodies beside gjson, as ratios
	@cd bench && go run ./tokens

bench-redis: ## the Redis backend beside a script that does nothing, and redis_rate, as ratios
	@sh tools/need.sh redis-server "the benchmark" redis-server
	@cd bench && go run ./redisbench

simulate: ## the limiter, its peers and an oracle in every scenario: docs/SIMULATION.md; or LOG=calls.csv LIMITS=rpm=600,tpm=200000
	@sh tools/need.sh redis-server "the scenarios in real time" redis-server
	@cd bench/simulate && go test -count=1 -timeout 60m $(if $(LOG),-run '^TestLog$$' -log '$(abspath $(LOG))' -limits '$(LIMITS)',-run '^TestSimulation$$' -full)

test-redis-long: ## every fault for half a minute, long random histories, a busy fleet: a quarter of an hour
	@sh tools/need.sh redis-server "the tests of backend/redis" redis-server
	@REDIS_LONG=1 CGO_ENABLED=1 go test -race -count=1 -timeout 30m ./backend/redis
	@cd bench && FAULTS_SPAN=30s CGO_ENABLED=1 go test -race -count=1 -timeout 30m ./faults
