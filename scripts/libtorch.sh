# shellcheck shell=bash disable=SC2034,SC2154
# Sourced after common.sh by what builds with -tags torch: which libtorch, and its flags. The
# user's choices are
#
#   XPEFT_DEVICE     cpu (default) or cuda: which libtorch to set up and link
#   XPEFT_LIBTORCH   a libtorch that is there already (a folder with lib/ and include/), 2.1 or newer

device=${XPEFT_DEVICE:-cpu}
[[ $device == cpu || $device == cuda ]] || die "XPEFT_DEVICE is '$device': want cpu or cuda"

if [[ -n ${XPEFT_LIBTORCH:-} ]]; then
	libtorch=$(cd "$XPEFT_LIBTORCH" 2>/dev/null && pwd -P) || die "XPEFT_LIBTORCH=$XPEFT_LIBTORCH is no folder"
	stubs=$libtorch/stubs # where setup-torch.sh made the folder
	[[ -d $stubs ]] || stubs=$cache/stubs-$device
else
	libtorch=$cache/libtorch-2.11.0-$device
	stubs=$libtorch/stubs
fi

# libtorch_sets: the sets of wheels.txt that make up the libtorch folder of this device.
libtorch_sets() {
	if [[ $device == cuda ]]; then echo cpu cuda; else echo cpu; fi
}

# libtorch_version: 2.11.0, say; nothing if there is no libtorch.
libtorch_version() {
	local include=$libtorch/include part file
	for file in "$include/torch/headeronly/version.h" "$include/torch/csrc/api/include/torch/version.h"; do
		[[ -f $file ]] || continue
		for part in MAJOR MINOR PATCH; do
			sed -n "s/^#define TORCH_VERSION_$part \([0-9][0-9]*\).*/\1/p" "$file"
		done | paste -sd.
		return
	done
}

# cxx11_abi: 1 if libtorch was built with the new std::string, else 0, told by the mangled name of
# a constructor that takes one. The wheels changed from 0 to 1 with 2.6.
cxx11_abi() {
	local symbols
	symbols=$(nm -D --defined-only "$libtorch/lib/libc10.so")
	if [[ $symbols == *_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx11* ]]; then echo 1; else echo 0; fi
}

# libtorch_flags: exports what cgo needs. Go's build cache is keyed by these values: gotch compiles
# for minutes once, and again whenever one of them changes; so none of them names this checkout. An
# rpath makes programs run without LD_LIBRARY_PATH.
libtorch_flags() {
	export CGO_ENABLED=1
	export CPATH=$libtorch/include:$libtorch/include/torch/csrc/api/include
	export CGO_CXXFLAGS
	CGO_CXXFLAGS="-O2 -g0 -D_GLIBCXX_USE_CXX11_ABI=$(cxx11_abi)"
	if [[ $(libtorch_version) != 2.1.* ]]; then CGO_CXXFLAGS+=" -include $stubs/newer.h"; fi
	export CGO_LDFLAGS="-L$stubs -L$libtorch/lib -Wl,-rpath,$libtorch/lib"
	if [[ $device == cuda ]]; then
		# No code refers to libtorch_cuda by name (it registers its kernels when it is
		# loaded), so the linker must be told to keep it. RPATH instead of RUNPATH: it also
		# holds for what NVIDIA's own libraries load.
		CGO_LDFLAGS+=" -Wl,--disable-new-dtags -Wl,--push-state,--no-as-needed -ltorch_cuda -Wl,--pop-state"
	fi
}
