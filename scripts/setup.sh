#!/usr/bin/env bash
# Makes a machine ready: checks the tools, and puts libtorch, the linker stubs and the
# encoder's weights into ${XDG_CACHE_HOME:-~/.cache}/xpeft. It can be run at any time, again and
# at once in two places; when all is there it takes a moment. common.sh lists what it honours.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

go_want=24 # the least Go 1.x

# --- tools --------------------------------------------------------------------------------

check_go() {
	local hint="see https://go.dev/dl, or Debian's backports (apt-get install -t bookworm-backports golang-go)"
	command -v go >/dev/null || die "no go: want Go 1.$go_want or newer; $hint"
	local version minor
	version=$(go env GOVERSION)
	[[ $version == go1.* ]] || return 0 # a development version
	minor=${version#go1.}
	minor=${minor%%[!0-9]*}
	((minor >= go_want)) || die "$version is too old: want Go 1.$go_want or newer; $hint"
}

check_tools() {
	local tool missing=()
	for tool in g++ make git python3; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	((${#missing[@]} == 0)) || die "missing: ${missing[*]}; on Debian: apt-get install g++ make git python3 python3-pip"
}

check_pip() {
	python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip; on Debian: apt-get install python3-pip"
}

check_platform() {
	[[ $(uname -s) == Linux && $(uname -m) == x86_64 ]] ||
		die "libtorch is fetched for Linux on x86_64 only, this is $(uname -sm): set XPEFT_LIBTORCH to a libtorch 2.1"
}

# --- downloads ----------------------------------------------------------------------------

sha256() { sha256sum "$1" | cut -d' ' -f1; }

# wheel REQUIREMENT SHA256: prints the path of the verified wheel, fetched if need be.
wheel() {
	local requirement=$1 want=$2 try file name
	name=${requirement%%==*}
	for file in "$cache/downloads/${name//-/_}-${requirement##*==}"-*.whl; do
		[[ -f $file ]] || break
		if [[ $(sha256 "$file") == "$want" ]]; then
			echo "$file"
			return
		fi
		say "$file is damaged: throwing it away"
		rm -f "$file"
	done
	check_platform
	check_pip
	for try in 1 2 3; do
		say "fetching $requirement (try $try of 3)"
		if fetch "$requirement" "$want"; then return; fi
	done
	die "cannot fetch $requirement: see pip's words above"
}

# fetch REQUIREMENT SHA256: pip downloads into a folder of its own, temporary files too, so
# that the next try throws away whatever a try left that was cut off.
fetch() {
	local requirement=$1 want=$2 part=$cache/downloads/part file got
	rm -rf "$part"
	mkdir -p "$part/tmp"
	TMPDIR=$part/tmp python3 -m pip download --no-deps --no-cache-dir --disable-pip-version-check \
		--only-binary=:all: --python-version 3.11 --platform manylinux1_x86_64 \
		--dest "$part" "$requirement" >&2 || return 1
	file=$(echo "$part"/*.whl)
	got=$(sha256 "$file")
	if [[ $got != "$want" ]]; then
		say "$requirement: SHA-256 is $got, want $want"
		rm -rf "$part"
		return 1
	fi
	mv "$file" "$cache/downloads/" || return 1
	rm -rf "$part"
	echo "$cache/downloads/${file##*/}"
}

# --- folders ------------------------------------------------------------------------------

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

# fill FOLDER SET...: unpacks what these sets' pins name.
fill() {
	local folder=$1 requirement sha into member file
	shift
	while read -r _ requirement sha into member <&3; do
		file=$(wheel "$requirement" "$sha")
		python3 "$scripts/unpack.py" "$file" "$folder/$into" "$member"
	done 3< <(pins "$@")
}

# place FOLDER SET...: fills a temporary folder beside FOLDER, stamps it and renames it, so that
# FOLDER is either whole or not there.
place() {
	local folder=$1 part=$1.part
	shift
	if is_done "$folder" "$@"; then return; fi
	say "making $folder"
	rm -rf "$part"
	mkdir -p "$part"
	fill "$part" "$@"
	[[ $1 == model ]] || make_stubs "$part/stubs"
	pins "$@" >"$part/.xpeft-stamp"
	rm -rf "$folder"
	mv -T "$part" "$folder"
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

is_ready() {
	if [[ -n ${XPEFT_LIBTORCH:-} ]]; then
		[[ -d $stubs ]] || return 1
	else
		is_done "$libtorch" "${sets[@]}" || return 1
	fi
	[[ $model != "$own_model" ]] || is_done "$own_model" model
}

check_model() {
	[[ -f $model/config.json ]] || die "XPEFT_MODEL=$model has no config.json: want a folder in Hugging Face's layout"
}

main() {
	check_go
	check_tools
	read -ra sets < <(libtorch_sets)
	[[ -z ${XPEFT_LIBTORCH:-} ]] || check_own_libtorch
	[[ $model == "$own_model" ]] || check_model
	if is_ready; then return; fi
	mkdir -p "$cache/downloads"
	exec 9>"$cache/.lock"
	flock -n 9 || { say "waiting for another set-up"; flock 9; }
	if [[ -n ${XPEFT_LIBTORCH:-} ]]; then place_stubs; else place "$libtorch" "${sets[@]}"; fi
	[[ $model != "$own_model" ]] || place "$own_model" model
	say "ready: $cache"
}

main
