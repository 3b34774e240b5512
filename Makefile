# Everything a developer or CI does. See README.md.
GO       ?= go
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  := -s -w -funcalign=1 -X github.com/netdoctor/netdoctor/cmd/app.Version=$(VERSION)
# Only what is hot is inlined: the simulator's rules, the resolver, and what they stand on.
# It keeps 2 MB off the hosts that the program is copied to, and BenchmarkMatrix is about
# a tenth slower for it (the rules would be a fifth of it, the rest of the simulator is 7 %).
# In the rules, what is rare or long is marked go:noinline: 33 kB, and no difference measured.
# Elsewhere, what is made with a length of the moment goes to the heap, as before Go 1.25:
# with a second way on the stack for each it would be 82 kB more. Loops over functions do not
# check whether those go on when they were told to stop (29 kB).
HOT      := runtime/... internal/runtime/... internal/abi internal/bytealg sync/... github.com/netdoctor/netdoctor/inspect/sim/rules github.com/netdoctor/netdoctor/testenv/dns
# Nothing here speaks HTTP/2: the engines' sockets do not (320 kB). TLS is for an engine on
# another machine alone, which the tables and assembly of the ciphers are not worth (120 kB).
TAGS     := nethttpomithttp2,purego
GCFLAGS  := '-gcflags=all=-l -d=variablemakethreshold=0,rangefunccheck=0' $(foreach p,$(HOT),'-gcflags=$(p)=')
BIN      := bin/netdoctor
FAULTLAB ?= ../shared/faultlab
TRUTH    ?= ../shared/truth/truth
SEEDS    ?= 1-20
FAULTS   ?= all

export CGO_ENABLED = 0

.PHONY: names mutate mutate-faultlab proved-faultlab pairs-faultlab package all build demo test tools lint gen vet faultlab dryrun truth adopt bench fuzz soak clean

all: build

build:
	$(GO) build -trimpath -tags '$(TAGS)' $(GCFLAGS) -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/netdoctor

# The whole story in private namespaces: no Docker, no root.
demo: build
	./$(BIN) lab demo

# Passes on a fresh Debian machine with Go: installs what it needs with apt
# when it may.
test: tools vet
	$(GO) test -count=1 -timeout 14m ./...

tools:
	testenv/ci/tools.sh

vet:
	$(GO) vet ./...
	GOOS=darwin $(GO) build ./...

# golangci-lint of the path, or where "go install" puts it.
LINTER := $(or $(shell command -v golangci-lint),$(wildcard $(shell $(GO) env GOPATH)/bin/golangci-lint))
lint:
	$(or $(LINTER),golangci-lint) run --allow-parallel-runners ./...

# Everything that is generated: the schema, docs/checks, docs/commands.
gen:
	$(GO) generate ./...
	rm -rf docs/commands
	$(GO) run ./cmd/gen docs docs

# A deb: built, installed into a scratch root, used and removed there.
package:
	.ci/package/deb.sh $(patsubst v%,%,$(VERSION))

# The score against the fault lab's real dockerd. FAULTS=id,id for some.
faultlab: build
	cd $(FAULTLAB) && ./score --bin $(abspath $(BIN)) --faults $(FAULTS) --healthy -v

# What fix --dry-run says against what fix --yes does, and undo against the state
# before, for every fault of the lab that can be mended. FAULTS=id,id for some.
dryrun: build
	ND_FAULTLAB=$(abspath $(FAULTLAB)) ND_BIN=$(abspath $(BIN)) ND_FAULTS=$(FAULTS) $(GO) test -count=1 -timeout 100m -v -run TestDryRunIsTheDiff ./testenv/dockerd

# Every fault of the lab's firewall, links and kernel is proved by packets, in
# trace and check, or it is said what kept them from it. FAULTS=id,id for some.
proved-faultlab: build
	ND_FAULTLAB=$(abspath $(FAULTLAB)) ND_BIN=$(abspath $(BIN)) ND_FAULTS=$(FAULTS) $(GO) test -count=1 -timeout 60m -v -run TestProvedOrSaysWhyNot ./testenv/dockerd

# The diagnosis judged by random breakage: 500 mutations of practice hosts, one
# at a time, and 60 pairs of named faults. MUTATIONS=1-500, MANY=0 for one to
# three at once. See docs/mutation.md.
MUTATIONS ?= 1-500
MANY      ?= 1
PAIRS     ?= 60
mutate:
	ND_LAB=require $(GO) test -count=1 -timeout 120m -v -run 'TestMutations|TestPairs' ./testenv/mutate -args -seeds $(MUTATIONS) -n $(MANY) -pairs $(PAIRS)

# The same on the fault lab's host with a real dockerd, and pairs of its faults.
mutate-faultlab:
	$(GO) test -c -o bin/mutate.test ./testenv/mutate
	testenv/mutate/faultlab.sh $(FAULTLAB) bin/mutate.test $(MUTATIONS) bin/mutations

pairs-faultlab: build
	testenv/mutate/pairs.py --lab $(FAULTLAB) --bin $(BIN) --pairs 60

# What is predicted of names against the fault lab's real dockerd; another one's
# with LAB_DOCKERD=PATH (29: and LAB_DOCKERD_ARGS=--firewall-backend=nftables
# LAB_IP_FORWARD=1), podman's with ND_PODMAN="podman OPTIONS".
names:
	$(GO) test -c -o bin/names.test ./inspect/names
	cd $(FAULTLAB) && ./lab.sh up && ./lab.sh exec env ND_DNS=198.51.100.53 $(abspath bin/names.test) -test.run TestPredictionsAgainst -test.v

# The simulator against the real kernel: IPv4 and Docker's kin by the shared
# judge, IPv6, macvlan, vxlan and nexthop objects by our own generator.
truth: build
	ND_LAB=require ND_SEEDS=$(SEEDS) $(GO) test -count=1 -run 'TestRandom|TestFIB' ./testenv/judge
	$(TRUTH) sweep --seeds $(SEEDS) --where --batch --cmd '$(abspath $(BIN)) trace --batch --no-probe -o json' -v

# The same on networks of our own, for all three generations of rules.
adopt: build
	testenv/ci/adopt.sh $(BIN) $(TRUTH)

# Beside the floor and the peers that are installed, in the same rounds: least,
# middle and most of ROUNDS. BENCH=Attach for some.
ROUNDS ?= 3
BENCH  ?= .
bench:
	$(GO) test -run '^$$' -bench '$(BENCH)' -count $(ROUNDS) -timeout 60m ./... | awk -f testenv/ci/bench.awk

FUZZTIME ?= 30s
fuzz:
	@for p in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
	    echo "$$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; \
	  done; \
	done

# A million names asked of our resolver while everything around is bad.
SOAK ?= 1000000
soak:
	ND_LAB=require ND_SOAK=$(SOAK) $(GO) test -count=1 -timeout 60m -v -run 'TestSoak' ./testenv/dns

clean:
	rm -rf bin dist
