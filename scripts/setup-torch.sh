#!/usr/bin/env bash
# What the torch build needs besides setup.sh: libtorch and the linker stubs, in
# ${XDG_CACHE_HOME:-~/.cache}/xpeft. libtorch.sh lists what it honours.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/libtorch.sh
source "$scripts/libtorch.sh"
# shellcheck source=scripts/fetch.sh
source "$scripts/fetch.sh"

check_tools() {
	local tool missing=()
	for tool in g++ git python3; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	((${#missing[@]} == 0)) || die "missing: ${missing[*]}; on Debian: apt-get install g++ git python3 python3-pip"
}

check_platform() {
	[[ $(uname -s) == Linux && $(uname -m) == x86_64 ]] ||
		die "libtorch is fetched for Linux on x86_64 only, this is $(uname -sm): set XPEFT_LIBTORCH to a libtorch of this platform"
}

# make_stubs FOLDER: gotch's linker flags name CUDA's libraries even on a CPU. One-line linker
# scripts satisfy the linker and leave no trace in the program.
make_stubs() {
	local name names="cuda cudart cublas cudnn caffe2_nvrtc nvrtc-builtins nvrtc nvToolsExt"
	[[ $device == cuda ]] || names+=" torch c10_cuda torch_cuda"
	mkdir -p "$1/stubs"
	for name in $names; do
		printf '/* */ INPUT(-lm)\n' >"$1/stubs/lib$name.so"
	done
	cp "$scripts/newer.h" "$1/stubs/newer.h"
}

# check_own_libtorch: the libtorch that XPEFT_LIBTORCH names must be whole and have the device's half.
check_own_libtorch() {
	local version
	version=$(libtorch_version)
	[[ -n $version && -f $libtorch/lib/libtorch_cpu.so ]] ||
		die "XPEFT_LIBTORCH=$libtorch: no lib/libtorch_cpu.so or no include/: want a libtorch folder"
	[[ $(printf '2.1\n%s\n' "$version" | sort -V | head -n 1) == 2.1 ]] ||
		die "XPEFT_LIBTORCH=$libtorch is version $version: want 2.1 or newer"
	[[ $device == cpu || -f $libtorch/lib/libtorch_cuda.so ]] ||
		die "XPEFT_LIBTORCH=$libtorch has no lib/libtorch_cuda.so, which XPEFT_DEVICE=cuda needs"
}

# try_own_libtorch: whether gotch's bindings compile with it is tried, in 15 seconds, once a libtorch.
try_own_libtorch() {
	local stamp=$stubs/compiles bindings
	[[ -f $stamp && $(<"$stamp") == "$libtorch $(libtorch_version)" ]] && return
	if [[ $stubs != "$libtorch/stubs" ]]; then
		rm -rf "$stubs" "$stubs.part"
		make_stubs "$stubs.part"
		mv -T "$stubs.part/stubs" "$stubs"
		rmdir "$stubs.part"
	fi
	say "compiling gotch's bindings against libtorch $(libtorch_version)"
	bindings=$(cd "$scripts/.." && go mod download github.com/sugarme/gotch && go list -m -f '{{.Dir}}' github.com/sugarme/gotch)/libtch
	libtorch_flags
	# shellcheck disable=SC2086
	g++ -std=c++17 $CGO_CXXFLAGS -fsyntax-only -fmax-errors=3 -w -I"$bindings" "$bindings/torch_api.cpp" ||
		die "XPEFT_LIBTORCH=$libtorch: gotch's bindings do not compile with libtorch $(libtorch_version); what is known to: 2.1.2, 2.11.0"
	echo "$libtorch $(libtorch_version)" >"$stamp"
}

main() {
	bash "$scripts/setup.sh"
	check_tools
	if [[ -n ${XPEFT_LIBTORCH:-} ]]; then
		check_own_libtorch
		try_own_libtorch
		return
	fi
	local sets
	read -ra sets < <(libtorch_sets)
	if is_done "$libtorch" "${sets[@]}"; then
		cmp -s "$scripts/newer.h" "$stubs/newer.h" || cp "$scripts/newer.h" "$stubs/newer.h"
		return
	fi
	check_platform
	alone
	place make_stubs "$libtorch" "${sets[@]}"
	say "ready: $libtorch"
}

main
