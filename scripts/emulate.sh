#!/usr/bin/env bash
# emulate.sh PROGRAM [ARGUMENT…]: runs a static Linux program on an emulated Xeon (Sapphire Rapids: AVX-512, VNNI, BF16,
# AMX), prints what it prints and exits with its status.
#
#   EMULATE_FILES   files or folders, with colons between, that it finds under their own absolute paths
#   EMULATE_LIMIT   seconds until it is given up (default 3600); exit code 124
#
# The program has the environment variables XPEFT_* and GO*, one processor, 2 GB and no network. The emulator is Bochs,
# which the first run builds from Debian's source with bochs.patch, and the kernel Debian's: no root is needed. Its time
# is its own: it tells what is right, and nothing about speed.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/fetch.sh
source "$scripts/fetch.sh" # alone
home=$cache/emulator release=trixie # the Debian whose Bochs knows AMX

check() { # COMMAND=PACKAGE…
	local pair missing=()
	for pair in "$@"; do command -v "${pair%=*}" >/dev/null || missing+=("${pair#*=}"); done
	((${#missing[@]} == 0)) || die "the emulator needs, on Debian: apt-get install ${missing[*]}"
}

apt() { # COMMAND…: this machine's apt for another release, with folders of its own
	local at=$home.part/apt
	"apt-$1" -qq -o Dir::Etc::SourceList="$at/sources" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$at" \
		-o Dir::State::status="$at/status" -o Dir::Cache="$at" -o APT::Sandbox::User="$(id -un)" "${@:2}"
}

failed() { tail -5 "$home.part/log" >&2; die "$1 failed: see $home.part/log"; }

# set_up makes $home: bochs, root/ with what comes from packages, and a stamp.
set_up() {
	check apt-get=apt dpkg-deb=dpkg g++=g++ make=make patch=patch xz=xz-utils
	local mirror line kernel package log=$home.part/log
	rm -rf "$home" "$home.part"
	mkdir -p "$home.part"/{apt/lists/partial,apt/archives/partial,root,bochs} && cd "$home.part"
	# shellcheck disable=SC2016 # apt's own variables
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Component: main' | grep -vm1 security)
	[[ -n $mirror ]] || die "apt knows no archive of Debian: run apt-get update first"
	line="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main"
	printf '%s\n' "deb $line" "deb-src $line" >apt/sources && touch apt/status
	say "fetching Bochs and a kernel from Debian $release"
	apt get update >"$log" 2>&1 || failed apt-get
	kernel=$(apt cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p')
	apt get download "$kernel" bochsbios vgabios busybox-static isolinux syslinux-common >>"$log" 2>&1 || failed apt-get
	apt get source --download-only --tar-only bochs >>"$log" 2>&1 || failed apt-get
	for package in ./*.deb; do dpkg-deb -x "$package" root; done
	tar xf bochs_*.orig.tar.xz --strip-components=1 -C bochs
	patch -d bochs -p1 <"$scripts/bochs.patch" >>"$log" || failed patch
	say "building Bochs: some 5 minutes"
	(cd bochs && CXXFLAGS='-O3 -march=x86-64-v2' ./configure --with-nogui --disable-docbook --enable-cpu-level=6 \
		--enable-x86-64 --enable-avx --enable-evex --enable-amx --enable-all-optimizations --disable-debugger \
		--disable-debugger-gui && make -j"$(nproc)") >>"$log" 2>&1 || failed make
	mv bochs/bochs root/bochs
	rm -rf bochs bochs_* ./*.deb apt root/{,usr/}lib/modules
	stamp >.stamp && mv "$home.part" "$home"
}

# stamp changes with what set_up makes.
stamp() { { cat "$scripts/bochs.patch" && declare -f set_up; } | sha256sum; }

# image FOLDER PROGRAM ARGUMENT…: a disc in FOLDER that starts the program.
image() {
	local to=$1/initrd program=$2 file name
	mkdir -p "$to"/{bin,proc,dev,tmp} "$1/disc"
	cp "$home/root/usr/bin/busybox" "$to/bin" && cp "$program" "$to/program"
	tr : '\n' <<<"${EMULATE_FILES:-}" | while read -r file; do [[ -z $file ]] || cp -rL --parents "$file" "$to"; done
	{
		printf '#!/bin/busybox sh\n'
		printf '/bin/busybox %s\n' 'mount -t proc proc /proc' 'mount -t devtmpfs dev /dev' 'stty -F /dev/ttyS0 -onlcr'
		compgen -e | grep -E '^(XPEFT_|GO)' | while read -r name; do printf 'export %s=%q\n' "$name" "${!name}"; done
		printf 'exec </dev/null >/dev/ttyS0 2>&1\n/program'
		printf ' %q' "${@:3}"
		printf '\necho "@@status $?"\n/bin/busybox sleep 1\n/bin/busybox poweroff -f\n'
	} >"$to/init"
	chmod +x "$to/init"
	(cd "$to" && find . | cpio -o -H newc --quiet) >"$1/disc/initrd"
	cp "$home"/root/boot/vmlinuz-* "$1/disc/vmlinuz"
	cp "$home/root/usr/lib/ISOLINUX/isolinux.bin" "$home/root/usr/lib/syslinux/modules/bios/ldlinux.c32" "$1/disc"
	# Bochs has no MSRs of power states or performance counters; the kernel takes their absence badly.
	printf 'default x\nprompt 0\nlabel x\nkernel vmlinuz\nappend initrd=initrd console=ttyS0 quiet loglevel=2 %s\n' \
		'mitigations=off nokaslr tsc=reliable cpuidle.off=1 idle=halt clearcpuid=aperfmperf' >"$1/disc/isolinux.cfg"
	xorriso -as mkisofs -quiet -o "$1/disc.iso" -b isolinux.bin -c boot.cat -no-emul-boot \
		-boot-load-size 4 -boot-info-table "$1/disc" 2>"$1/log" || { cat "$1/log" >&2; die "xorriso failed"; }
	# The compact formats of XSAVE, and 5 levels of pages under SMM, are wrong in Bochs 3.0.
	cat >"$1/bochsrc" <<-END
		config_interface: textconfig
		display_library: nogui
		memory: guest=2048, host=2048
		romimage: file=$home/root/usr/share/bochs/BIOS-bochs-latest
		vgaromimage: file=$home/root/usr/share/vgabios/vgabios.bin
		boot: cdrom
		ata0-master: type=cdrom, path=$1/disc.iso, status=inserted
		cpu: model=sapphire_rapids, ips=100000000, exclude_features="xsaves,xsavec,la57"
		clock: sync=none, time0=utc
		com1: enabled=1, mode=file, dev=$1/out
		log: $1/log
		panic: action=fatal
		error: action=ignore
	END
}

[[ -x ${1:-} ]] || die "usage: emulate.sh PROGRAM [ARGUMENT…], a static program"
check cpio=cpio xorriso=xorriso
if [[ ! -f $home/.stamp || $(<"$home/.stamp") != "$(stamp)" ]]; then (alone && set_up); fi
work=$(mktemp -d "${TMPDIR:-/tmp}/xpeft-emulate.XXXXXX")
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT
touch "$work/out" && image "$work" "$@"
"$home/root/bochs" -q -f "$work/bochsrc" >"$work/stdout" 2>&1 </dev/null &
bochs=$!
end=$((SECONDS + ${EMULATE_LIMIT:-3600}))
tail -n +1 -f --pid=$bochs "$work/out" | grep -v --line-buffered '^@@status' &
while kill -0 $bochs 2>/dev/null && ((SECONDS < end)) && ! grep -qE '^@@status|Kernel panic' "$work/out"; do
	sleep 1
done
sleep 2 # for tail
if ((SECONDS >= end)); then say "given up after $SECONDS seconds"; exit 124; fi
status=$(sed -n 's/^@@status //p' "$work/out")
[[ -n $status ]] || { tail -20 "$work/log" "$work/stdout" >&2; die "the emulated machine stopped"; }
exit "$status"
