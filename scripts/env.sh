#!/usr/bin/env bash
# The one place where libtorch's compiler and linker flags are, and the tag torch. The default build needs none of this.
#
#   eval "$(scripts/env.sh)"        then plain go build, go test, gopls …
#   scripts/env.sh go test ./...    one command with the flags set
#
# Go's build cache is keyed by these values: gotch compiles for minutes once, and again
# whenever one of them changes. An rpath makes programs run without LD_LIBRARY_PATH.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/libtorch.sh
source "$scripts/libtorch.sh"

# cxx11_abi: 1 if libtorch was built with the new std::string, else 0 (the wheels are),
# told by the mangled name of a constructor that takes one.
cxx11_abi() {
	local symbols
	symbols=$(nm -D --defined-only "$libtorch/lib/libc10.so")
	if [[ $symbols == *_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx11* ]]; then echo 1; else echo 0; fi
}

check() {
	if [[ ! -f $libtorch/lib/libtorch_cpu.so || ! -d $stubs ]]; then
		die "no libtorch in $libtorch: run $scripts/setup.sh torch first"
	fi
}

set_flags() {
	local abi=0
	[[ -z ${XPEFT_LIBTORCH:-} ]] || abi=$(cxx11_abi)
	local flags
	flags=$(go env GOFLAGS)
	[[ " $flags " == *" -tags=torch "* ]] || flags+="${flags:+ }-tags=torch"
	export CGO_ENABLED=1 GOFLAGS=$flags
	export CPATH=$libtorch/include:$libtorch/include/torch/csrc/api/include
	export CGO_CXXFLAGS="-O2 -g0 -D_GLIBCXX_USE_CXX11_ABI=$abi"
	export CGO_LDFLAGS="-L$stubs -L$libtorch/lib -Wl,-rpath,$libtorch/lib"
	if [[ $device == cuda ]]; then
		# No code refers to libtorch_cuda by name (it registers its kernels when it is
		# loaded), so the linker must be told to keep it. RPATH instead of RUNPATH: it also
		# holds for what NVIDIA's own libraries load.
		CGO_LDFLAGS+=" -Wl,--disable-new-dtags -Wl,--push-state,--no-as-needed -ltorch_cuda -Wl,--pop-state"
	fi
	export XPEFT_MODEL=$model
}

check
set_flags
if (($#)); then
	exec "$@"
fi
for name in CGO_ENABLED GOFLAGS CPATH CGO_CXXFLAGS CGO_LDFLAGS XPEFT_MODEL; do
	printf 'export %s=%q\n' "$name" "${!name}"
done
