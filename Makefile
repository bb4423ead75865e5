# Every target first runs scripts/setup.sh, which is done in a moment once all is there. The default build needs Go, and
# a C compiler for faster kernels if there is one. Targets that end in -torch set up libtorch and build with the tag
# torch: scripts/torch.sh has its flags. XPEFT_DEVICE=cuda takes the libtorch for a GPU.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

export XPEFT_MODEL ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/xpeft/all-MiniLM-L6-v2

GO    := go
NOCGO := CGO_ENABLED=0 go
TORCH := bash scripts/torch.sh go
# What has two paths, one with C and one in Go alone, and what stands on it.
TWICE := ./internal/dense ./internal/bert ./internal/engine/... ./model ./bank ./learner/... ./cmd/xpeft
# Its tests take longest, one after another: they begin first, beside all others.
LONG  := ./sdk
# What many people teach together asks the kernels nothing new, and takes half of these tests' time.
MANY  := ^Test(BankEvery|TrainBank|TrainRank|Axes|Advise|Move|DamagedCheckpoint|ForgetDrops|KeptFeatures)
# Go's flag for a command in the module research.
LAB      := -C research
TIMEOUT  ?= 80m
FUZZTIME ?= 20s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## check the tools; fetch the encoder's weights
	@bash scripts/setup.sh

.PHONY: setup-torch
setup-torch: ## fetch libtorch besides
	@bash scripts/setup-torch.sh

.PHONY: compile
compile: setup
	@$(GO) build ./...
	@$(GO) $(LAB) build ./...
	@$(GO) -C fleet build ./...

.PHONY: build
build: compile ## bin/xpeft; of research, bin/xpeft-lab and bin/bench
	@$(GO) build -o bin/ ./cmd/xpeft
	@$(GO) $(LAB) build -o ../bin/ ./cmd/xpeft-lab ./bench

.PHONY: build-torch
build-torch: setup-torch ## the same with libtorch, for GPUs and adapters in all blocks, in bin/torch
	@echo "building (the first time compiles libtorch's bindings, about 3 minutes)"
	@$(TORCH) build ./...
	@$(TORCH) build -o bin/torch/ ./cmd/xpeft
	@$(TORCH) $(LAB) build -o ../bin/torch/ ./cmd/xpeft-lab ./bench

.PHONY: demo
demo: setup ## the same messages for five people, who each get their own answers; three questions for a new one
	@$(GO) run ./examples/demo

ADDR ?= localhost:8080

.PHONY: web
web: setup ## the page of examples/chatbot, with the demo's people: prints its address after some 20 s
	@$(GO) -C examples/chatbot run . -addr $(ADDR) -demo ../demo/data/people.jsonl

.PHONY: test
test: compile ## all tests of the default build, the half without cgo, the outside program of docs/embedding.md, other platforms, lint
	$(GO) test -timeout $(TIMEOUT) $(LONG) ./...
	$(GO) $(LAB) test -timeout $(TIMEOUT) ./...
	@$(MAKE) test-nocgo test-embedding test-chatbot test-fleet cross lint

.PHONY: test-nocgo
test-nocgo: setup ## what has a path without C, built and tested without cgo, the long tests left out, and those of many people
	$(NOCGO) build ./...
	$(NOCGO) test -short -timeout $(TIMEOUT) -skip '$(MANY)' $(LONG) $(TWICE)
	$(NOCGO) $(LAB) test -short -timeout $(TIMEOUT) ./...

.PHONY: test-torch
test-torch: build-torch lint-torch ## the libtorch build: its engine's tests, what was asked for, its linters
	$(TORCH) test -timeout $(TIMEOUT) ./internal/engine/torch/...
	$(TORCH) test -timeout $(TIMEOUT) -run '^TestRequested' ./sdk

.PHONY: test-embedding
test-embedding: setup ## the outside program of docs/embedding.md, against this checkout, with no flag of C allowed
	cd examples/embedding && CGO_CFLAGS_ALLOW= CGO_LDFLAGS_ALLOW= $(GO) test -timeout $(TIMEOUT) ./...

.PHONY: test-openapi
test-openapi: setup ## a running server's requests and answers, against its OpenAPI document; a module of its own, tools/openapi
	$(GO) -C tools/openapi test -count=1 -timeout $(TIMEOUT) ./...

.PHONY: test-chatbot
test-chatbot: setup ## examples/chatbot, a module of its own, but for its page in a browser
	$(GO) -C examples/chatbot test -timeout $(TIMEOUT) -skip '^TestPage' ./...

.PHONY: test-web
test-web: setup ## its page alone, in Chromium, which it installs, and by axe-core; fails where one is missing. SHOTS=docs/img writes screenshots
	@axe=$$(bash scripts/setup-web.sh); \
	XPEFT_AXE=$$axe XPEFT_SHOTS=$(if $(SHOTS),$(abspath $(SHOTS))) $(GO) -C examples/chatbot test -count=1 -timeout $(TIMEOUT) -run '^TestPage' .

# Go's flag for the module fleet.
FLEET  := -C fleet
FAULTS ?= 200

.PHONY: test-fleet
test-fleet: setup ## the fleet on NATS servers, a dozen faults among its tests, and examples/fleet
	$(GO) $(FLEET) test -timeout $(TIMEOUT) ./...
	$(GO) -C examples/fleet test -timeout $(TIMEOUT) ./...

.PHONY: fleet-test
fleet-test: setup ## FAULTS=200 faults to processes of a fleet, checked for linearizability; prints the counts
	XPEFT_FLEET_FAULTS=$(FAULTS) $(GO) $(FLEET) test -count=1 -v -timeout 90m -run '^TestFaults$$' .

.PHONY: fleet-load
fleet-load: setup ## PROFILES=100000 people on three nodes and a learner; MINUTES=30 of teaching here and waiting there; prints times and memory
	XPEFT_FLEET_PROFILES=$(or $(PROFILES),100000) XPEFT_FLEET_MINUTES=$(or $(MINUTES),30) $(GO) $(FLEET) test -count=1 -v -timeout 5h -run '^TestLoad$$' .

.PHONY: fleet-count
fleet-count: setup ## forward passes and messages of a request, with one node and with three: prints the table, fails where it grows
	$(GO) $(FLEET) test -count=1 -v -timeout $(TIMEOUT) -run '^TestCounted$$' .

.PHONY: fleet-measure
fleet-measure: ## what a key costs a NATS server, and what syncing each write costs, KEYS=100000
	XPEFT_FLEET_KEYS=$(or $(KEYS),100000) $(GO) $(FLEET) test -count=1 -v -timeout 60m -run '^TestMeasure' .

.PHONY: test-chroot
test-chroot: setup ## the same as its reader has it: in a bare Debian, from a module proxy, and static without a system; needs root
	bash scripts/chroot.sh

PLATFORMS := linux/arm64 darwin/amd64 darwin/arm64 windows/amd64

.PHONY: cross
cross: ## build for other platforms, their tests too where files differ most; none runs
	@for p in $(PLATFORMS); do echo "$$p"; CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./...; done
	GOOS=windows $(NOCGO) vet ./...
	GOOS=darwin GOARCH=arm64 $(NOCGO) vet ./...

.PHONY: test-arm64
test-arm64: setup ## what a processor can change, on linux/arm64, by qemu-user: golden vectors, kernels, codecs, digests, the store
	bash scripts/arm64.sh

# Go's tests and files for the emulated processor; EMULATE_LIMIT is its seconds.
TESTS ?= .

.PHONY: test-amx
test-amx: export EMULATE_FILES := $(CURDIR)/testdata/golden/forward.safetensors:$(XPEFT_MODEL)/model.safetensors
test-amx: export XPEFT_GOLDEN := $(CURDIR)/testdata/golden
test-amx: export EMULATE_LIMIT ?= 18000
test-amx: setup ## the kernels' tests, TESTS=regexp, on an emulated Xeon with AVX-512, VNNI, BF16 and AMX (Bochs, built the first time): hours
	$(GO) test -c -o bin/bert.test -ldflags '-linkmode external -extldflags -static' ./internal/bert
	bash scripts/emulate.sh bin/bert.test -test.v -test.short -test.timeout 0 -test.run '$(TESTS)'

.PHONY: race
race: setup ## all tests under the race detector, the long ones left out
	$(GO) test -race -short -timeout 30m ./...
	$(GO) $(LAB) test -race -short -timeout 30m ./...

LOADTIME ?= 10m
LOADCSV  ?= $(CURDIR)/out/load/memory.csv
LOADPLOT ?= $(CURDIR)/out/load/memory.png

.PHONY: load
load: build ## examples/chatbot under 64 clients for LOADTIME=10m (2h for a slope of memory), then more than it takes, then SIGTERM; prints counts, plots memory in out/load
	rm -f $(LOADCSV)
	failed=0; LOADTIME=$(LOADTIME) LOADCSV=$(LOADCSV) $(GO) -C examples/chatbot test -v -count=1 -timeout 5h -run '^TestLoad$$' . || failed=$$?; \
	if [[ -s $(LOADCSV) ]]; then mkdir -p $(dir $(LOADPLOT)); bin/xpeft-lab plot memory $(LOADCSV) -o $(LOADPLOT); fi; exit $$failed

KILLS ?= 200

.PHONY: crash
crash: compile ## kill processes that write, KILLS=200 of them and a tenth as many that learn, and check what they leave; prints the counts
	XPEFT_KILLS=$(KILLS) $(GO) test -count=1 -v -timeout 30m -run '^TestCrash(Merge)?$$' ./store ./sdk
	XPEFT_TEST_ENCRYPTED=1 XPEFT_KILLS=$(KILLS) $(GO) test -count=1 -v -timeout 30m -run '^TestCrash(Merge)?$$' ./store

.PHONY: test-cuda
test-cuda: export XPEFT_DEVICE := cuda
test-cuda: export XPEFT_TEST_DEVICE := cuda
test-cuda: setup-torch ## golden vectors, Learn and PredictBatch on a GPU
	$(TORCH) test -v -count=1 -timeout $(TIMEOUT) -run 'Golden|Device|Learn|PredictBatch' ./internal/engine/torch/... ./learner ./sdk

.PHONY: gpu-kit
gpu-kit: ## pack tests and measurements for a machine with a GPU and PyTorch 2.11, in out/gpukit: docs/gpu.md
	@bash scripts/setup-torch.sh
	@bash scripts/gpukit.sh

.PHONY: lint
lint: setup bin/staticcheck ## gofmt, go vet, staticcheck
	@files=$$(gofmt -l .); [[ -z $$files ]] || { echo "gofmt -w these: $$files"; exit 1; }
	$(GO) vet ./...
	$(GO) $(LAB) vet ./...
	$(GO) -C examples/chatbot vet ./...
	$(GO) $(FLEET) vet ./...
	$(GO) -C examples/fleet vet ./...
	$(NOCGO) vet ./...
	$(NOCGO) $(LAB) vet ./...
	bin/staticcheck ./...
	cd research && ../bin/staticcheck ./...
	cd examples/chatbot && ../../bin/staticcheck ./...
	cd fleet && ../bin/staticcheck ./...

.PHONY: lint-torch
lint-torch: setup-torch bin/staticcheck ## go vet and staticcheck of the libtorch build
	$(TORCH) vet ./...
	$(TORCH) $(LAB) vet ./...
	bash scripts/torch.sh bin/staticcheck -tags torch ./...
	cd research && bash ../scripts/torch.sh ../bin/staticcheck -tags torch ./...

.PHONY: audit
audit: setup bin/govulncheck ## known vulnerabilities in what the modules call; says so if the database cannot be reached, and with AUDIT_STRICT=1 fails then
	@bash scripts/audit.sh

bin/staticcheck bin/benchstat bin/govulncheck &: tools/go.mod tools/go.sum
	cd tools && CGO_ENABLED=0 go build -o ../bin/ tool

# WITH=torch: the targets below run what is built with libtorch, which baselines with adapters in all blocks need.
WITH      ?=
BUILD     := build$(WITH:%=-%)
BIN       := bin$(WITH:%=/%)
BENCH_OUT ?= out/bench
BENCH      = $(BIN)/bench -out $(BENCH_OUT)

.PHONY: bench
bench: $(BUILD) ## what xpeft promises, each beside its rival in the same run: minutes, without Python; raw samples in out/bench
	@$(BENCH) $(ARGS)

.PHONY: bench-full
bench-full: $(BUILD) ## the same in whole sizes; also a log in out/bench
	@mkdir -p $(BENCH_OUT)
	@$(BENCH) -full $(ARGS) 2>&1 | tee -a $(BENCH_OUT)/log

.PHONY: bench-peers
bench-peers: $(BUILD) ## transformers, ONNX Runtime, adapters, peft and hugot on the same texts, into docs/performance.md: under 10 minutes, and 5 GB fetched the first time; accuracy if DATA is there
	@$(GO) -C research/bench/hugot build -o $(CURDIR)/$(BIN)/hugot .
	@python=$$(bash scripts/setup-peers.sh); \
	$(BIN)/bench -out docs/bench -only peers -python "$$python" -data "$(wildcard $(DATA))" $(ARGS)
	@$(BIN)/bench -report docs/bench -only peers

TEXTS ?= 200

.PHONY: python-parity
python-parity: compile ## profiles of every kind, and heads, answer TEXTS=200 texts in Python as here: transformers, adapters, scikit-learn; minutes, and 5 GB fetched the first time
	@python=$$(bash scripts/setup-peers.sh); \
	"$$python" -m pip install --disable-pip-version-check -q -c research/bench/requirements.txt -r sdk/testdata/python/requirements.txt >&2; \
	XPEFT_PARITY=$(TEXTS) XPEFT_PYTHON="$$python" OMP_NUM_THREADS=1 $(GO) test -count=1 -v -timeout 60m -run '^TestPython' ./sdk

.PHONY: test-python
test-python: setup bin/numpy/bin/python ## the same over a tiny model, by numpy alone
	XPEFT_PYTHON=$(CURDIR)/bin/numpy/bin/python $(GO) test -count=1 -v -timeout $(TIMEOUT) -run '^TestPython' ./sdk

bin/numpy/bin/python:
	python3 -m venv bin/numpy
	bin/numpy/bin/python -m pip install --disable-pip-version-check -q 'numpy>=1.24' || { rm -rf bin/numpy; exit 1; }

.PHONY: bench-report
bench-report: $(BUILD) ## tables and pictures of out/bench, into docs/performance.md
	@$(BIN)/bench -report $(BENCH_OUT)

.PHONY: bench-go
bench-go: compile bin/benchstat ## Go benchmarks of all packages, six rounds, summed up by benchstat
	for module in . research; do $(GO) -C $$module test -run '^$$' -bench . -benchmem -count 6 -timeout 60m ./...; done | tee bin/bench.txt
	bin/benchstat bin/bench.txt

DATA   ?= ../shared/data/news/news.jsonl.gz
FIELDS ?= --id author --label category
OUT    ?= out/eval
QUICK  := majority,base,population,prior,knn,own_head,own_head_shared,x_peft,x_peft_nearest,masks,random_masks,uniform,nearest

.PHONY: eval
eval: $(BUILD) ## how well new people of DATA are served, one split and seed, the quick modes
	$(BIN)/xpeft-lab eval "$(DATA)" --model "$$XPEFT_MODEL" $(FIELDS) --splits 1 --seeds 1 --modes $(QUICK) --out $(OUT)

.PHONY: eval-full
eval-full: $(BUILD) ## all modes, three splits, three seeds: hours, in the background, with a log in OUT; goes on where it was
	mkdir -p $(OUT)
	nohup $(BIN)/xpeft-lab eval "$(DATA)" --model "$$XPEFT_MODEL" $(FIELDS) --out $(OUT) >>$(OUT)/log 2>&1 &
	@echo "running; tail -f $(OUT)/log, and the table so far: $(BIN)/xpeft-lab eval report $(OUT)"

GLUE     ?= ../shared/data/glue
TASKS    ?= CoLA MRPC SST-2
GLUE_OUT ?= out/glue

.PHONY: eval-glue
eval-glue: build-torch ## the layout of the paper's Table 2: TASKS of GLUE, one profile each, over random banks: about an hour
	bin/torch/xpeft-lab eval tasks $(addprefix $(GLUE)/,$(TASKS)) --model "$$XPEFT_MODEL" --out $(GLUE_OUT)

.PHONY: paper
paper: ## a small rerun of the paper's Table 2, Figures 4 and 5; examples/paper/README.md has what makes it full
	@GLUE="$(GLUE)" bash examples/paper/run.sh

.PHONY: fuzz
fuzz: setup ## every decoder's fuzz target, FUZZTIME=20s each; prints the executions
	@FUZZTIME=$(FUZZTIME) bash scripts/fuzz.sh

.PHONY: golden
golden: setup ## the golden vectors alone; fails if one is skipped or missing
	@bash scripts/golden.sh

.PHONY: golden-torch
golden-torch: setup-torch ## the same by the libtorch build
	@bash scripts/golden.sh torch

.PHONY: tidy
tidy: ## go mod tidy, in the modules of the repository
	for dir in . research research/bench/hugot tools tools/openapi examples/embedding examples/chatbot fleet examples/fleet; do (cd $$dir && go mod tidy); done

.PHONY: clean
clean: ## delete bin/; libtorch and the weights stay in the cache folder
	rm -rf bin
