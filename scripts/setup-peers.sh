#!/usr/bin/env bash
# Makes the Python that runs the rivals of make bench-peers: a virtual environment of
# research/bench/requirements.txt in ${XDG_CACHE_HOME:-~/.cache}/xpeft/peers. Prints its path.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/fetch.sh
source "$scripts/fetch.sh"

requirements=$scripts/../research/bench/requirements.txt
peers=$cache/peers

main() {
	local stamp
	stamp=$(python3 --version && cat "$requirements")
	if [[ -f $peers/.xpeft-stamp && $(<"$peers/.xpeft-stamp") == "$stamp" ]]; then return; fi
	alone
	say "making $peers, of 5 GB: torch and NVIDIA's libraries, which it does not start without; some minutes"
	rm -rf "$peers"
	python3 -m venv "$peers" || die "python3 has no venv; on Debian: apt-get install python3-venv"
	"$peers/bin/python" -m pip install --disable-pip-version-check --no-cache-dir \
		--find-links "$cache/downloads" -r "$requirements" >&2
	echo "$stamp" >"$peers/.xpeft-stamp"
	say "ready: $peers"
}

main >&2
echo "$peers/bin/python"
