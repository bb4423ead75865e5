# Every target first runs scripts/setup.sh, which is done in a moment once all is there.
# Where libtorch lies and how to link it: scripts/env.sh. XPEFT_DEVICE=cuda builds for a GPU.
SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS   += --no-print-directory
.DEFAULT_GOAL := help

GO       := bash scripts/env.sh go
NOCGO    := bash scripts/env.sh env CGO_ENABLED=0 go
PURE     := ./bitmask ./store/... ./internal/axes ./internal/half ./internal/jsonl ./internal/quant ./internal/safetensors ./internal/folder ./model ./bank ./internal/numeric ./learner/digits ./learner/population ./fuzz ./cmd/xpeft
# Go's flag for a command in the module research.
LAB      := -C research
LAB_PURE := ./stats ./plot ./eval ./cmd/xpeft-lab
TIMEOUT  ?= 12m
FUZZTIME ?= 20s

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## check the tools; fetch libtorch and the encoder's weights
	@bash scripts/setup.sh

.PHONY: compile
compile: setup
	@echo "building (the first time compiles libtorch's bindings, about 3 minutes)"
	@$(GO) build ./...
	@$(GO) $(LAB) build ./...

.PHONY: build
build: compile ## bin/xpeft; of research, bin/xpeft-lab and bin/bench
	@$(GO) build -o bin/ ./cmd/xpeft
	@$(GO) $(LAB) build -o ../bin/ ./cmd/xpeft-lab ./bench

.PHONY: demo
demo: build ## the same messages for five people, who each get their own answers
	@$(GO) run ./examples/demo

.PHONY: test
test: compile ## all tests, the pure-Go half, the outside program of docs/embedding.md, lint
	$(GO) test -timeout $(TIMEOUT) ./...
	$(GO) $(LAB) test -timeout $(TIMEOUT) ./...
	@$(MAKE) test-pure test-embedding lint

.PHONY: test-pure
test-pure: setup ## what builds without libtorch, built and tested without it
	$(NOCGO) test -timeout $(TIMEOUT) $(PURE)
	$(NOCGO) $(LAB) test -timeout $(TIMEOUT) $(LAB_PURE)

.PHONY: test-embedding
test-embedding: compile ## the outside program of docs/embedding.md, against this checkout
	cd examples/embedding && bash ../../scripts/env.sh go test -timeout $(TIMEOUT) ./...

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
	failed=0; LOADTIME=$(LOADTIME) LOADCSV=$(LOADCSV) $(GO) test -v -count=1 -timeout 5h -run '^TestLoad$$' ./examples/chatbot || failed=$$?; \
	if [[ -s $(LOADCSV) ]]; then mkdir -p $(dir $(LOADPLOT)); bin/xpeft-lab plot memory $(LOADCSV) -o $(LOADPLOT); fi; exit $$failed

KILLS ?= 200

.PHONY: crash
crash: compile ## kill processes that write, KILLS=200 of them and a tenth as many that learn, and check what they leave; prints the counts
	XPEFT_KILLS=$(KILLS) $(GO) test -count=1 -v -timeout 30m -run '^TestCrash(Merge)?$$' ./store ./sdk
	XPEFT_TEST_ENCRYPTED=1 XPEFT_KILLS=$(KILLS) $(GO) test -count=1 -v -timeout 30m -run '^TestCrash(Merge)?$$' ./store

.PHONY: test-cuda
test-cuda: export XPEFT_DEVICE := cuda
test-cuda: export XPEFT_TEST_DEVICE := cuda
test-cuda: compile ## golden vectors, Learn and PredictBatch on a GPU
	$(GO) test -v -count=1 -timeout $(TIMEOUT) -run 'Golden|Device|Learn|PredictBatch' ./internal/torch ./model ./learner ./sdk

.PHONY: lint
lint: compile bin/staticcheck ## gofmt, go vet, staticcheck
	@files=$$(gofmt -l .); [[ -z $$files ]] || { echo "gofmt -w these: $$files"; exit 1; }
	$(GO) vet ./...
	$(GO) $(LAB) vet ./...
	$(NOCGO) vet $(PURE)
	$(NOCGO) $(LAB) vet $(LAB_PURE)
	bash scripts/env.sh bin/staticcheck ./...
	cd research && bash ../scripts/env.sh ../bin/staticcheck ./...

.PHONY: audit
audit: setup bin/govulncheck ## known vulnerabilities in what the modules call; says so if the database cannot be reached, and with AUDIT_STRICT=1 fails then
	@bash scripts/audit.sh

bin/staticcheck bin/benchstat bin/govulncheck &: tools/go.mod tools/go.sum
	cd tools && CGO_ENABLED=0 go build -o ../bin/ tool

BENCH_OUT ?= out/bench
PEERS     ?=
PYTHON    ?=
BENCH      = bash scripts/env.sh bin/bench -out $(BENCH_OUT)
FULL       = $(BENCH) -full -peers "$(PEERS)" -python "$(PYTHON)"

.PHONY: bench
bench: build ## what xpeft promises, each beside its rival in the same run: minutes, without Python; raw samples in out/bench
	@$(BENCH) $(ARGS)

.PHONY: bench-full
bench-full: build ## the same in whole sizes, with Python's side if PEERS=…/peers.py and PYTHON=… (which has its libraries) are given; also a log in out/bench
	@mkdir -p $(BENCH_OUT)
	@$(FULL) $(ARGS) 2>&1 | tee -a $(BENCH_OUT)/log

.PHONY: bench-peers
bench-peers: build ## Python's side alone, on the same texts: PEERS=…/peers.py PYTHON=…
	@$(FULL) -only peers $(ARGS)

.PHONY: bench-report
bench-report: build ## tables and pictures of out/bench, into docs/performance.md
	@bin/bench -report $(BENCH_OUT)

.PHONY: bench-go
bench-go: compile bin/benchstat ## Go benchmarks of all packages, six rounds, summed up by benchstat
	for module in . research; do $(GO) -C $$module test -run '^$$' -bench . -benchmem -count 6 -timeout 60m ./...; done | tee bin/bench.txt
	bin/benchstat bin/bench.txt

DATA   ?= ../shared/data/news/news.jsonl.gz
FIELDS ?= --id author --label category
OUT    ?= out/eval
QUICK  := majority,base,population,prior,knn,own_head,own_head_shared,x_peft,x_peft_nearest,masks,random_masks,uniform,nearest

.PHONY: eval
eval: build ## how well new people of DATA are served, one split and seed, the quick modes
	bash scripts/env.sh bash -c 'bin/xpeft-lab eval "$(DATA)" --model "$$XPEFT_MODEL" $(FIELDS) --splits 1 --seeds 1 --modes $(QUICK) --out $(OUT)'

.PHONY: eval-full
eval-full: build ## all modes, three splits, three seeds: hours, in the background, with a log in OUT; goes on where it was
	mkdir -p $(OUT)
	bash scripts/env.sh bash -c 'nohup bin/xpeft-lab eval "$(DATA)" --model "$$XPEFT_MODEL" $(FIELDS) --out $(OUT) >>$(OUT)/log 2>&1 &'
	@echo "running; tail -f $(OUT)/log, and the table so far: bin/xpeft-lab eval report $(OUT)"

GLUE     ?= ../shared/data/glue
TASKS    ?= CoLA MRPC SST-2
GLUE_OUT ?= out/glue

.PHONY: eval-glue
eval-glue: build ## the layout of the paper's Table 2: TASKS of GLUE, one profile each, over random banks: about an hour
	bash scripts/env.sh bash -c 'bin/xpeft-lab eval tasks $(addprefix $(GLUE)/,$(TASKS)) --model "$$XPEFT_MODEL" --out $(GLUE_OUT)'

.PHONY: paper
paper: ## a small rerun of the paper's Table 2, Figures 4 and 5; examples/paper/README.md has what makes it full
	@GLUE="$(GLUE)" bash examples/paper/run.sh

.PHONY: fuzz
fuzz: setup ## every decoder's fuzz target, FUZZTIME=20s each; prints the executions
	@FUZZTIME=$(FUZZTIME) bash scripts/fuzz.sh

.PHONY: golden
golden: compile ## the golden vectors alone; fails if one is skipped or missing
	@bash scripts/golden.sh

.PHONY: tidy
tidy: ## go mod tidy, in the modules of the repository
	for dir in . research tools examples/embedding; do (cd $$dir && go mod tidy); done

.PHONY: clean
clean: ## delete bin/; libtorch and the weights stay in the cache folder
	rm -rf bin
