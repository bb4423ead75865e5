#!/usr/bin/env bash
# Runs every decoder's fuzz target for FUZZTIME each and adds up what they executed. The first input that fails a target ends it; the others still run.
set -euo pipefail
export CGO_ENABLED=0
targets=$(go test -list '^Fuzz' ./fuzz | grep '^Fuzz')
log=$(mktemp)
trap 'rm -f "$log"' EXIT
total=0 count=0 failed=()
summary=""
for target in $targets; do
	echo "$target"
	if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" -fuzzminimizetime 10x ./fuzz 2>&1 | tee "$log"; then
		failed+=("$target")
	fi
	execs=$(sed -n 's/.*execs: \([0-9]*\).*/\1/p' "$log" | tail -1)
	summary+=$(printf '%-22s %12d' "$target" "${execs:-0}")$'\n'
	total=$((total + ${execs:-0})) count=$((count + 1))
done
printf '\nexecutions\n%s%-22s %12d\n' "$summary" "$count targets" "$total"
if ((${#failed[@]})); then
	echo "failed: ${failed[*]}; the inputs are in fuzz/testdata/fuzz: commit them as seeds" >&2
	exit 1
fi
