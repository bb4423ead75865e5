# shellcheck shell=bash disable=SC2154
# Sourced after common.sh by the set-ups: fetches wheels that wheels.txt pins and fills folders from
# them.

check_pip() {
	python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip; on Debian: apt-get install python3-pip"
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
	check_pip
	for try in 1 2 3; do
		say "fetching $requirement (try $try of 3)"
		if fetch "$requirement" "$want"; then return; fi
	done
	die "cannot fetch $requirement: see pip's words above"
}

# The platforms of the wheels that are pinned.
platforms=()
for tag in 2_28 2_27 2_25 2_18 2_17 2_12 2_5; do platforms+=(--platform "manylinux_${tag}_x86_64"); done
for tag in 1 2014; do platforms+=(--platform "manylinux${tag}_x86_64"); done

# fetch REQUIREMENT SHA256: pip downloads into a folder of its own, temporary files too, so
# that the next try throws away whatever a try left that was cut off.
fetch() {
	local requirement=$1 want=$2 part=$cache/downloads/part file got
	rm -rf "$part"
	mkdir -p "$part/tmp"
	TMPDIR=$part/tmp python3 -m pip download --no-deps --no-cache-dir --disable-pip-version-check \
		--only-binary=:all: --python-version 3.11 "${platforms[@]}" \
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

# fill FOLDER SET...: unpacks what these sets' pins name.
fill() {
	local folder=$1 requirement sha into member file
	shift
	while read -r _ requirement sha into member <&3; do
		file=$(wheel "$requirement" "$sha")
		python3 "$scripts/unpack.py" "$file" "$folder/$into" "$member"
	done 3< <(pins "$@")
}

# place FINISH FOLDER SET...: fills a temporary folder beside FOLDER, lets the function FINISH add to it, stamps
# it and renames it, so that FOLDER is either whole or not there.
place() {
	local finish=$1 folder=$2 part=$2.part
	shift 2
	if is_done "$folder" "$@"; then return; fi
	say "making $folder"
	rm -rf "$part"
	mkdir -p "$part"
	fill "$part" "$@"
	"$finish" "$part"
	pins "$@" >"$part/.xpeft-stamp"
	rm -rf "$folder"
	mv -T "$part" "$folder"
}

# alone: one set-up at a time fills the cache folder.
alone() {
	mkdir -p "$cache/downloads"
	exec 9>"$cache/.lock"
	flock -n 9 || { say "waiting for another set-up"; flock 9; }
}
