#!/usr/bin/env bash
# Runs every decoder's fuzz target, and the kernels', for FUZZTIME each and adds up what they executed. The first input that fails a target ends it; the others still run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CGO_ENABLED=0
targets=$(for folder in fuzz internal/dense internal/bert internal/digits research/eval; do go -C $folder test -list '^Fuzz' . | sed -n "s,^Fuzz,$folder &,p"; done)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzz() {
	local c=0
	[[ $1 != internal/bert ]] || c=1 # what it compares is in C
	CGO_ENABLED=$c go -C "$1" test -run '^$' -fuzz "^$2\$" -fuzztime "${FUZZTIME:-20s}" -fuzzminimizetime 10x . 2>&1 | tee "$log"
}

# Before Go 1.27 the end of -fuzztime itself may be reported as a failure (golang.org/issue/75804): these words and nothing else.
only_time() {
	[[ $(grep -v -e '^fuzz: elapsed' -e '^exit status' -e '^FAIL' "$log") =~ ^'--- FAIL: '[^$'\n']*$'\n'[[:space:]]*'context deadline exceeded'$ ]]
}

total=0 count=0 failed=()
summary=""
while read -r folder target <&3; do
	echo "$target"
	if ! fuzz "$folder" "$target"; then
		if ! only_time; then
			failed+=("$target")
		elif echo "$target: no input failed; once more" && ! fuzz "$folder" "$target" && ! only_time; then
			failed+=("$target")
		fi
	fi
	execs=$(sed -n 's/.*execs: \([0-9]*\).*/\1/p' "$log" | tail -1)
	summary+=$(printf '%-22s %12d' "$target" "${execs:-0}")$'\n'
	total=$((total + ${execs:-0})) count=$((count + 1))
done 3<<<"$targets"
printf '\nexecutions\n%s%-22s %12d\n' "$summary" "$count targets" "$total"
if ((${#failed[@]})); then
	echo "failed: ${failed[*]}; an input that failed is in testdata/fuzz of the target's folder: commit it as a seed" >&2
	exit 1
fi
