# shellcheck shell=bash disable=SC2034
# Sourced by the other scripts: where things are. The user's choices are
#
#   XDG_CACHE_HOME   where the cache folder goes (default ~/.cache)
#   XPEFT_MODEL      another encoder's folder, in Hugging Face's layout
#
# and, for the torch build alone, those of libtorch.sh.

die() {
	printf 'xpeft: %s\n' "$*" >&2
	exit 1
}

say() { printf 'xpeft: %s\n' "$*" >&2; }

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
wheels=$scripts/wheels.txt
cache=${XDG_CACHE_HOME:-$HOME/.cache}/xpeft

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

# is_done FOLDER SET...: true if a set-up finished FOLDER from the pins in force now.
is_done() {
	local folder=$1
	shift
	[[ -f $folder/.xpeft-stamp && $(<"$folder/.xpeft-stamp") == "$(pins "$@")" ]]
}
