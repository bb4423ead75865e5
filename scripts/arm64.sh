#!/usr/bin/env bash
# Runs the tests that a processor can change the result of for linux/arm64: under qemu-user (Debian's package qemu-user-static), or as they are on such a
# machine. qemu hangs now and then when Go interrupts a thread, so nothing is interrupted and one thread runs Go code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh

run=(env GOMAXPROCS=1 GODEBUG=asyncpreemptoff=1)
if [[ $(uname -m) != aarch64 ]]; then
	qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64) || die "no qemu-aarch64-static: apt-get install qemu-user-static"
	run+=("$qemu")
fi
export GOOS=linux GOARCH=arm64 CGO_ENABLED=0 XPEFT_MODEL=$model

# check PACKAGE...: with flags before them.
check() { timeout "${ARM64_LIMIT:-900}" go test -count=1 -short -timeout 10m -exec "${run[*]}" "$@"; }

check ./bitmask ./internal/dense ./internal/bert ./internal/digits
check -run 'Golden' ./model ./bank ./learner ./internal/safetensors
check -run 'Golden|PageSizes|Record|TestOpen|TestCompact$|TestRepairSound|TestCheckFinds' ./store
