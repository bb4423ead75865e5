#!/usr/bin/env bash
# Makes a machine ready, and prints the encoder's folder:
#
#   setup.sh          the encoder's weights, 83 MB
#   setup.sh torch    libtorch and its linker stubs besides, 770 MB (XPEFT_DEVICE=cuda: 2.5 GB)
#
# All goes into ${XDG_CACHE_HOME:-~/.cache}/xpeft. It can be run at any time, again and at once in
# two places; when all is there it takes a moment. common.sh and libtorch.sh list what it honours.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
torch=${1:-}
case $torch in
'') ;;
# shellcheck source=scripts/libtorch.sh
torch) source "$scripts/libtorch.sh" ;;
*) die "setup.sh $torch: want no argument, or torch" ;;
esac

go_want=24 # the least Go 1.x

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

check_model() {
	[[ -f $model/config.json ]] || die "XPEFT_MODEL=$model has no config.json: want a folder in Hugging Face's layout"
}

# --- downloads ----------------------------------------------------------------------------

# check_fetch: what a download needs, and nothing else does.
check_fetch() {
	local what=$1 tool
	for tool in python3 sha256sum flock; do
		command -v "$tool" >/dev/null || die "missing: $tool, to fetch $what; on Debian: apt-get install python3 python3-pip"
	done
	python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip, to fetch $what; on Debian: apt-get install python3-pip"
}

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

model_is_ready() { [[ $model != "$own_model" ]] || is_done "$own_model" model; }

is_ready() { model_is_ready && { [[ -z $torch ]] || libtorch_is_ready; }; }

main() {
	check_go
	[[ $model == "$own_model" ]] || check_model
	[[ -z $torch ]] || check_libtorch
	if ! is_ready; then
		if [[ -n $torch ]]; then check_fetch "libtorch (770 MB) and the encoder's weights (83 MB)"; else check_fetch "the encoder's weights (83 MB; XPEFT_MODEL names a folder that is there)"; fi
		mkdir -p "$cache/downloads"
		exec 9>"$cache/.lock"
		flock -n 9 || { say "waiting for another set-up"; flock 9; }
		model_is_ready || place "$own_model" model
		[[ -z $torch ]] || set_up_libtorch
		say "ready: $cache"
	fi
	echo "$model"
}

main
