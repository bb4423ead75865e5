# shellcheck shell=bash disable=SC2034
# Sourced by env.sh and, for the torch build alone, by setup.sh: where libtorch is, and what
# makes its folder ready. The user's choices are
#
#   XPEFT_DEVICE     cpu (default) or cuda: which libtorch to set up and link
#   XPEFT_LIBTORCH   a libtorch 2.1 that is there already (a folder with lib/ and include/)

device=${XPEFT_DEVICE:-cpu}
[[ $device == cpu || $device == cuda ]] || die "XPEFT_DEVICE is '$device': want cpu or cuda"

if [[ -n ${XPEFT_LIBTORCH:-} ]]; then
	libtorch=$(cd "$XPEFT_LIBTORCH" 2>/dev/null && pwd -P) || die "XPEFT_LIBTORCH=$XPEFT_LIBTORCH is no folder"
	stubs=$cache/stubs-$device
else
	libtorch=$cache/libtorch-2.1.2-$device
	stubs=$libtorch/stubs
fi

# libtorch_sets: the sets of wheels.txt that make up the libtorch folder of this device.
libtorch_sets() {
	if [[ $device == cuda ]]; then echo cpu cuda; else echo cpu; fi
}

# check_compiler: gotch's bindings are C++.
check_compiler() {
	command -v g++ >/dev/null || die "missing: g++, for libtorch's bindings; on Debian: apt-get install g++"
}

# check_platform: there are wheels for Linux on x86_64 alone.
check_platform() {
	[[ $(uname -s) == Linux && $(uname -m) == x86_64 ]] ||
		die "libtorch is fetched for Linux on x86_64 only, this is $(uname -sm): set XPEFT_LIBTORCH to a libtorch 2.1"
}

# check_own_libtorch: the libtorch that XPEFT_LIBTORCH names must be a 2.1 (gotch's bindings
# compile with no other) and have the device's half.
check_own_libtorch() {
	local version_h=$libtorch/include/torch/csrc/api/include/torch/version.h version
	[[ -f $version_h && -f $libtorch/lib/libtorch_cpu.so ]] ||
		die "XPEFT_LIBTORCH=$libtorch: no lib/libtorch_cpu.so or no include/: want a libtorch 2.1 folder"
	version=$(sed -n 's/^ *"\([0-9][0-9.]*\).*/\1/p' "$version_h")
	[[ $version == 2.1.* ]] || die "XPEFT_LIBTORCH=$libtorch is version $version: want 2.1"
	[[ $device == cpu || -f $libtorch/lib/libtorch_cuda.so ]] ||
		die "XPEFT_LIBTORCH=$libtorch has no lib/libtorch_cuda.so, which XPEFT_DEVICE=cuda needs"
}

# make_stubs FOLDER: gotch's linker flags name CUDA's libraries even on a CPU. One-line linker
# scripts satisfy the linker and leave no trace in the program.
make_stubs() {
	local name names="cuda cudart cublas cudnn caffe2_nvrtc nvrtc-builtins nvrtc nvToolsExt"
	[[ $device == cuda ]] || names+=" torch c10_cuda torch_cuda"
	mkdir -p "$1"
	for name in $names; do
		printf '/* */ INPUT(-lm)\n' >"$1/lib$name.so"
	done
}

# place_stubs: the same, beside a libtorch of the user's.
place_stubs() {
	rm -rf "$stubs" "$stubs.part"
	make_stubs "$stubs.part"
	mv -T "$stubs.part" "$stubs"
}

# libtorch_is_ready: true if nothing of it is left to do.
libtorch_is_ready() {
	if [[ -n ${XPEFT_LIBTORCH:-} ]]; then
		[[ -d $stubs ]]
	else
		local sets
		read -ra sets < <(libtorch_sets)
		is_done "$libtorch" "${sets[@]}"
	fi
}

# check_libtorch: what must be there before anything is fetched.
check_libtorch() {
	check_compiler
	if [[ -n ${XPEFT_LIBTORCH:-} ]]; then check_own_libtorch; else check_platform; fi
}

# set_up_libtorch fetches and places it (place: setup.sh), or the stubs beside one that is there.
set_up_libtorch() {
	if [[ -n ${XPEFT_LIBTORCH:-} ]]; then
		place_stubs
	else
		local sets
		read -ra sets < <(libtorch_sets)
		place "$libtorch" "${sets[@]}"
	fi
}
