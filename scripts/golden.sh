#!/usr/bin/env bash
# Runs the golden-vector tests and fails unless each of them ran and passed; `golden.sh torch`, those of the libtorch build.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What must have passed: one line a test.
required=(
	TestGoldenBundle    # store: a bundle of version 1
	TestGoldenDigest    # bank: the generator's bits
	TestGoldenFiles     # internal/safetensors: the vectors' files
	TestGoldenForward   # model: forward.safetensors
	TestGoldenPaths     # internal/bert: the same in C and in Go
	TestGoldenSteps     # learner: xpeft.safetensors
	TestGoldenStore     # store: a file of version 1
	TestRecordGolden    # store: a record's bytes
	TestTokenizerGolden # model: tokenizer.jsonl.gz
)

log=$(mktemp)
trap 'rm -f "$log"' EXIT
mapfile -t packages < <(grep -rlE --include='*_test.go' '^func Test[A-Za-z]*Golden' . | xargs -n1 dirname | sort -u)
run=(go)
optional=TestGoldenDigestElsewhere # repeats TestGoldenDigest for other processors, where this one can run them
if [[ ${1:-} == torch ]]; then
	run=(bash scripts/torch.sh go)
	required+=(TestGoldenNoisy TestGradientGolden TestEmbedGolden) # adapters in all blocks
else
	optional+='|TestGoldenNoisy|TestGoldenSteps/' # after folds and outputs, which are checked, they train in all blocks
fi
eval "$(bash scripts/env.sh)"
"${run[@]}" test -v -count=1 -timeout 80m -run Golden "${packages[@]}" | tee "$log"

if grep -E '^ *--- SKIP' "$log" | grep -vE "$optional"; then
	echo "golden: a test was skipped" >&2
	exit 1
fi
for name in "${required[@]}"; do
	grep -q -- "^--- PASS: $name " "$log" || { echo "golden: $name did not pass" >&2; exit 1; }
done
echo "golden: ${#required[@]} tests passed"
