#!/usr/bin/env bash
# docs/embedding.md as its reader has it. Two roots of their own:
#
#   debian   gcc, libc6-dev and this machine's Go, no network: `go get` from a module proxy on
#            disk, `go build` without a script or flag, learn and predict
#   bare     the same program, linked statically, and the weights: nothing else
#
# The proxy serves what is committed (HEAD) and this machine's module cache. Needs root.
# CHROOT_TMP names a folder with room for 1.5 GB (default: that of temporary files).
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$scripts/.."
module=github.com/xpeft/xpeft version=v0.1.0
most=$((25 << 20)) # bytes of the static program

skip() {
	say "test-chroot: skipped: $*"
	exit 0
}

# outside makes the folders and hands over to inside, in a namespace of mounts and networks: so
# no mount is left when it has ended, however it ends, and nothing can be fetched.
outside() {
	[[ $(id -u) == 0 ]] || skip "it needs root, for chroot and mount"
	[[ $(uname -s) == Linux ]] || skip "it needs Linux"
	command -v debootstrap >/dev/null || skip "no debootstrap; on Debian: apt-get install debootstrap"
	[[ -f $model/config.json ]] || die "no weights in $model: run $scripts/setup.sh first"
	go mod download
	work=$(mktemp -d "${CHROOT_TMP:-${TMPDIR:-/tmp}}/xpeft-chroot.XXXXXX")
	trap 'rm -rf --one-file-system "$work"' EXIT
	say "making a Debian in $work"
	debootstrap --variant=minbase --include=gcc,libc6-dev bookworm "$work/debian" >"$work/log" 2>&1 ||
		{ tail -5 "$work/log" >&2; die "debootstrap failed"; }
	make_proxy "$work/debian/proxy"
	unshare --mount --net bash "${BASH_SOURCE[0]}" --inside "$work"
}

# make_proxy FOLDER: a module proxy that serves this module. A module's zip has no modules within.
make_proxy() {
	local at=$1/$module/@v
	mkdir -p "$at"
	local within
	mapfile -t within < <(git ls-tree -r --name-only HEAD | sed -n 's|^\(.*\)/go\.mod$|:!\1|p')
	git archive --format=zip --prefix="$module@$version/" -o "$at/$version.zip" HEAD . "${within[@]}"
	git show HEAD:go.mod >"$at/$version.mod"
	printf '{"Version":"%s","Time":"2026-01-01T00:00:00Z"}\n' "$version" >"$at/$version.info"
	echo "$version" >"$at/list"
}

# bind FROM TO: TO shows FROM, read-only.
bind() {
	mkdir -p "$2"
	mount --bind "$1" "$2"
	mount -o remount,bind,ro "$2"
}

# examples: what examples/embedding's own test teaches.
examples() { git show HEAD:examples/embedding/main_test.go | grep '^{"text"'; }

inside() {
	work=$1
	local debian=$work/debian bare=$work/bare
	bind "$(go env GOROOT)" "$debian/usr/local/go"
	bind "$(go env GOMODCACHE)/cache/download" "$debian/modules"
	bind "$model" "$debian/model"
	mount -t proc proc "$debian/proc"
	mkdir -p "$debian/triage"
	git show HEAD:examples/embedding/main.go >"$debian/triage/main.go"
	examples >"$debian/triage/examples.jsonl"
	say "go get, go build, learn, predict"
	in_debian bash -euc "cd /triage; go mod init example.com/triage; go get $module/sdk@$version; time go build ."
	served in_debian /triage/triage

	say "the same, static, in a root of its own"
	in_debian bash -euc "cd /triage; go build -tags netgo,osusergo -ldflags '-linkmode external -extldflags -static' -o static ."
	mkdir -p "$bare/data"
	cp "$debian/triage/static" "$bare/triage"
	bind "$model" "$bare/model"
	served in_bare /triage
	local size
	size=$(stat -c %s "$bare/triage")
	echo "static program: $size bytes"
	((size <= most)) || die "the static program has $size bytes: want at most $most"
	say "test-chroot: all passed"
}

# in_debian COMMAND…: sumdb.golang.org cannot be asked without a network; go.sum is made from the proxy.
in_debian() {
	chroot "$work/debian" /usr/bin/env -i HOME=/root PATH=/usr/local/go/bin:/usr/bin:/bin TMPDIR=/tmp \
		GOPROXY=file:///proxy,file:///modules GOSUMDB=off GOTOOLCHAIN=local \
		XPEFT_MODEL=/model TRIAGE_DATA=/triage/data "$@"
}

in_bare() { env -i "PATH=$PATH" XPEFT_MODEL=/model TRIAGE_DATA=/data chroot "$work/bare" "$@"; }

# served RUN… PROGRAM: someone who has taught nothing is answered by the base, and by a profile after it.
served() {
	local out
	out=$("$@" predict ines "the train is cancelled")
	[[ $out == *"(base)" ]] || die "before learning: got '$out', want an answer of the base"
	out=$("$@" learn ines <"$work/debian/triage/examples.jsonl")
	echo "$out"
	[[ $out == "ines: revision 1,"* ]] || die "learn: got '$out', want revision 1"
	out=$("$@" predict ines "the train is cancelled")
	echo "$out"
	[[ $out == *"(profile)" ]] || die "after learning: got '$out', want an answer of the profile"
}

if [[ ${1:-} == --inside ]]; then inside "$2"; else outside; fi
