#!/usr/bin/env bash
# Runs the golden-vector tests and fails unless each of them ran and passed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What must have passed: one line a test.
required=(
	TestGoldenFiles
)

log=$(mktemp)
trap 'rm -f "$log"' EXIT
bash scripts/env.sh go test -v -count=1 -timeout 10m -run Golden ./... | tee "$log" | grep -vE 'no test files|no tests to run'

if grep -E '^ *--- SKIP' "$log"; then
	echo "golden: a test was skipped" >&2
	exit 1
fi
for name in "${required[@]}"; do
	grep -q -- "^--- PASS: $name " "$log" || { echo "golden: $name did not pass" >&2; exit 1; }
done
echo "golden: ${#required[@]} tests passed, none skipped"
