# shellcheck shell=bash disable=SC2034
# Sourced by setup.sh and env.sh: where things are. The user's choices are
#
#   XDG_CACHE_HOME   where the cache folder goes (default ~/.cache)
#   XPEFT_DEVICE     cpu (default) or cuda: which libtorch to set up and link
#   XPEFT_LIBTORCH   a libtorch 2.1 that is there already (a folder with lib/ and include/)
#   XPEFT_MODEL      another encoder's folder, in Hugging Face's layout

die() {
	printf 'xpeft: %s\n' "$*" >&2
	exit 1
}

say() { printf 'xpeft: %s\n' "$*" >&2; }

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
wheels=$scripts/wheels.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}/xpeft
device=${XPEFT_DEVICE:-cpu}
[[ $device == cpu || $device == cuda ]] || die "XPEFT_DEVICE is '$device': want cpu or cuda"

if [[ -n ${XPEFT_LIBTORCH:-} ]]; then
	libtorch=$(cd "$XPEFT_LIBTORCH" 2>/dev/null && pwd -P) || die "XPEFT_LIBTORCH=$XPEFT_LIBTORCH is no folder"
	stubs=$cache/stubs-$device
else
	libtorch=$cache/libtorch-2.1.2-$device
	stubs=$libtorch/stubs
fi

own_model=$cache/all-MiniLM-L6-v2
model=${XPEFT_MODEL:-$own_model}

# pins SET...: the lines of wheels.txt in these sets. A folder's stamp is these lines: when a
# pin changes, the folder is made anew.
pins() {
	local set
	for set in "$@"; do
		grep "^$set " "$wheels"
	done
}

# libtorch_sets: the sets of wheels.txt that make up the libtorch folder of this device.
libtorch_sets() {
	if [[ $device == cuda ]]; then echo cpu cuda; else echo cpu; fi
}

# is_done FOLDER SET...: true if setup.sh finished FOLDER from the pins in force now.
is_done() {
	local folder=$1
	shift
	[[ -f $folder/.xpeft-stamp && $(<"$folder/.xpeft-stamp") == "$(pins "$@")" ]]
}
