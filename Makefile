# Needs Go, make, git, for the race detector a C compiler, and redis-server.

SHELL := /bin/sh
ROOT := $(CURDIR)
# The library, and the modules that nobody imports. The library comes last, so
# that a run of the tests closes with its packages.
MODULES := tools bench examples cmd/ratelimiter .
FUZZTIME ?= 60s
COUNT ?= 6
N ?= 300
SEED ?= 1
# What tests draw at random is the same each time, so that a change fails by its own fault.
DRAWN = RAPID_SEED=$(SEED)
DURATION ?= 10m
LIMITS ?= rpm=600,tpm=200000
SYSTEMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

BROWSERS := chromium,chromium-browser,google-chrome,google-chrome-stable,chrome

each = @set -e; for m in $(1); do echo "$(2) ($$m)"; cd "$(ROOT)/$$m"; $(3); done

.PHONY: help test format tidy mod vet staticcheck deadcode unit release-check release dist fuzz fuzz-tokens bench demo demo-fleet bench-tokens bench-redis simulate plots test-random test-redis-long api api-write cross cover vuln mutants fuzz-short soak test-sidecar bench-sidecar test-page test-alerts screenshots
.DEFAULT_GOAL := help
.NOTPARALLEL:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile

test: ## what a change must pass: formatting, tidiness, vet, staticcheck, no dead code, the API as written down, all tests with -race
	@$(MAKE) --no-print-directory format tidy vet staticcheck deadcode api unit

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

api: ## the exported API is what api.txt says
	@echo "api"; cd tools && go run ./api "$(ROOT)"

api-write: ## write the exported API to api.txt, after a change that is meant
	@cd tools && go run ./api -w "$(ROOT)"

cross: ## the library builds and vets for other systems, and its tests pass on 32 bits: a quarter of an hour
	@sh tools/need.sh redis-server "the tests of backend/redis" redis-server
	@set -e; for t in windows/amd64 windows/arm64 darwin/arm64 darwin/amd64 freebsd/amd64 linux/arm64 linux/386; do \
		echo "go vet ($$t)"; GOOS=$${t%/*} GOARCH=$${t#*/} CGO_ENABLED=0 go vet ./...; \
	done
	@echo "go test (linux/386)"; GOARCH=386 CGO_ENABLED=0 $(DRAWN) go test -short ./...

cover: ## the share of statements that tests run, of the root, engine, quota, ledger and backends: at least 90 % each
	@sh tools/need.sh redis-server "the tests of backend/redis" redis-server
	@$(DRAWN) sh tools/cover.sh 90 . ./internal/engine ./internal/quota ./internal/ledger ./backend ./backend/memory ./backend/redis

vuln: ## known vulnerabilities in what the modules call, with govulncheck; fails also if its database is out of reach
	@sh tools/vuln.sh $(MODULES)

# What decides who may start a call and what it is charged.
MUTATED := internal/engine,internal/quota,internal/predict,internal/calibration,internal/ledger,internal/wire,internal/costing
mutants: ## N (300) small changes of the library's core, chosen by SEED, of which nine in ten must fail a test: half an hour on an idle machine; N=0 for all; AT=file.go or file.go:12 for those of a file or a line
	@cd tools && go run ./mutants -n $(N) -seed $(SEED) -at '$(AT)' -packages '$(MUTATED)' -equivalents mutants/equivalent.txt "$(ROOT)"

# Go's test cache does not see a change of files outside a module. The tests of tools read such
# files, and so do these few of bench, which the last line runs whatever the cache has.
OUTSIDE := ^Test(Dashboard|Alerts|Rejections|RulesAreThere)
unit: ## all tests, with the race detector
	@sh tools/need.sh "$$(go env CC | cut -d' ' -f1)" "the race detector" gcc libc6-dev
	@sh tools/need.sh redis-server "the tests of backend/redis" redis-server
	@sh tools/need.sh curl "the tests of cmd/ratelimiter" curl
	@echo "go test, without vocabularies"; go test -tags ratelimiter_notables -run '^TestWithoutTables$$' .
	@sh tools/need.sh $(BROWSERS) "the status page's tests in a browser" chromium || echo "the status page's tests in a browser are left out"
	$(call each,$(MODULES),go test -race,CGO_ENABLED=1 $(DRAWN) go test -race -timeout 20m $$([ $$m != tools ] || echo -count=1) ./...)
	@cd bench && go test -count=1 -run '$(OUTSIDE)' ./otel ./invisible ./simulate/without

release-check: ## go get and go install of a release made from this tree: a program outside builds everything, the library alone needs no other module, the proxy is built and packed
	@cd tools && go test -count=1 -timeout 30m ./release

release: ## tags HEAD, and the proxy's module, as VERSION (v1.2.3); pushes nothing
	@sh tools/release.sh '$(VERSION)'

dist: ## the proxy of VERSION for SYSTEMS (six) in dist/, with licenses and checksums; .github/workflows/release.yml publishes that and the image
	@sh tools/dist.sh '$(or $(VERSION),devel)' $(SYSTEMS)

test-page: ## the status page in Chromium, which is installed if it is missing
	@sh tools/need.sh $(BROWSERS) "the status page's tests" chromium
	@go test ./statuspage
	@cd bench && go test -count=1 ./statuspage -browser

test-alerts: ## the alerts and the dashboard's queries in Prometheus's promtool, which is installed if it is missing
	@sh tools/need.sh promtool "the tests of the alerts" prometheus
	@cd bench && go test -count=1 -run 'Alerts|Dashboard' ./otel -promtool

screenshots: ## docs/statuspage-*.png, of a scene in virtual time
	@sh tools/need.sh $(BROWSERS) "taking screenshots" chromium
	@cd bench && go test -count=1 -run '^TestScreenshots$$' ./statuspage -browser -screenshots '$(ROOT)/docs'

fuzz: ## every fuzz target for FUZZTIME (60s) each; plain tests run their seeds, and what was found in testdata/fuzz
	@sh tools/need.sh redis-server "the target of backend/redis" redis-server
	@set -e; for p in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
		for f in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(.*/\1/p' $$p/*_test.go); do \
			echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $$p; \
		done; \
	done

fuzz-short: ## every fuzz target for a second, beyond what plain tests run
	@$(MAKE) --no-print-directory fuzz FUZZTIME=1s

soak: ## random calls over memory and Redis while everything goes wrong that may, for DURATION (10m): nothing may be left
	@sh tools/need.sh redis-server "the fleet's budget" redis-server
	@cd bench && go run ./soak -duration $(DURATION)

fuzz-tokens: ## the token counter against tiktoken-go for FUZZTIME (60s)
	@go test -run '^$$' -fuzz '^FuzzCount$$' -fuzztime $(FUZZTIME) ./internal/bpe

bench: ## the limiter's overhead beside the bare upstream, over sockets, after many responses and in long lines; what a program grows and its start takes
	@cd bench && go run . -count $(COUNT)
	@echo; cd bench && go run ./size

demo: ## the same burst without and with the limiter, against a stand-in on this machine
	@cd examples && go run ./demo

demo-fleet: ## four processes on one budget in Redis, one of them killed halfway
	@sh tools/need.sh redis-server "the fleet's budget" redis-server
	@cd examples && go run ./fleet

bench-tokens: ## counting tokens beside pkoukk/tiktoken-go and tiktoken-go/tokenizer, and scanning bodies beside gjson, as ratios
	@cd bench && go run ./tokens

bench-redis: ## the Redis backend beside a script that does nothing, and redis_rate, as ratios; fails if it misses a bar
	@sh tools/need.sh redis-server "the benchmark" redis-server
	@cd bench && go run ./redisbench

simulate: ## the limiter, its peers and an oracle in every scenario: docs/SIMULATION.md; or LOG=calls.csv LIMITS=rpm=600,tpm=200000
	@sh tools/need.sh redis-server "the scenarios in real time" redis-server
	@cd bench/simulate && go test -count=1 -timeout 60m $(if $(LOG),-run '^TestLog$$' -log '$(abspath $(LOG))' -limits '$(LIMITS)',-run '^TestSimulation$$' -full)

plots: ## the pictures of README.md and docs/SIMULATION.md alone; make simulate writes them too
	@cd bench/simulate && go test -count=1 -timeout 30m -run '^TestPictures$$' -pictures

test-random: ## ten times as many checks of every property as in make test, each time others
	@RAPID_CHECKS=1000 CGO_ENABLED=1 go test -race -count=1 -timeout 60m ./backend/memory \
		$$(grep -rl --include='*_test.go' 'rapid\.Check' . | xargs -n 1 dirname | sort -u)

test-redis-long: ## every fault for half a minute, long random histories, a busy fleet: a quarter of an hour
	@sh tools/need.sh redis-server "the tests of backend/redis" redis-server
	@REDIS_LONG=1 CGO_ENABLED=1 go test -race -count=1 -timeout 30m ./backend/redis
	@cd bench && FAULTS_SPAN=30s CGO_ENABLED=1 go test -race -count=1 -timeout 30m ./faults

test-sidecar: ## cmd/ratelimiter below OpenAI's SDK for Node, from npm, and Python, and in its image's place
	@sh tools/need.sh npm "OpenAI's SDK for Node" nodejs npm
	@sh tools/need.sh python3 "the program in Python" python3
	@sh tools/need.sh curl "the tests of cmd/ratelimiter" curl
	@sh tools/need.sh redis-server "the tests of cmd/ratelimiter" redis-server
	@cd cmd/ratelimiter && SIDECAR_LONG=1 go test -count=1 .

bench-sidecar: ## cmd/ratelimiter beside a bare httputil.ReverseProxy: what it adds to the median call
	@cd cmd/ratelimiter && go test -run '^$$' -bench Overhead -benchtime 3s .
