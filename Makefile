# signalbox: make build, test, race, lint, fuzz, integration, bench, cover
GO ?= go
FUZZTIME ?= 5s

.PHONY: build test race lint fuzz integration bench cover clean

build: ## the binary, ./signalbox
	$(GO) build -trimpath -o signalbox ./cmd/signalbox

test: ## all that needs no network and no installed server
	$(GO) test ./...

race:
	$(GO) test -race ./...

lint:
	test -z "$$(gofmt -l .)"
	$(GO) vet ./...
	$(GO) vet -tags integration ./...

fuzz: ## every fuzz target for FUZZTIME
	@.ci/fuzz $(FUZZTIME)

integration: ## against real servers: apt-get install kannel kannel-extras libnet-smpp-perl prometheus prometheus-alertmanager openssl jq curl; python3; node with npm
	@.ci/integration

bench: ## prints what it saw; asserts nothing
	@.ci/bench

cover:
	$(GO) test -coverprofile coverage.out ./... > coverage.txt
	@$(GO) tool cover -func coverage.out | tail -1

clean:
	rm -f signalbox coverage.out coverage.txt
