#!/usr/bin/env bash
# What the browser tests of examples/chatbot need besides setup.sh: Chromium, from Debian's packages
# if this is root, and axe-core, which checks accessibility, in the cache folder. Prints the path of
# the latter.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/fetch.sh
source "$scripts/fetch.sh"

# the names that the tests look for
has_browser() {
	[[ -n ${CHROMIUM:-} ]] && command -v "$CHROMIUM" >/dev/null || command -v chromium chromium-browser google-chrome >/dev/null
}

install_browser() {
	has_browser && return
	local hint="on Debian: apt-get install chromium; CHROMIUM names one that is elsewhere"
	if ((EUID)) || ! command -v apt-get >/dev/null; then die "no Chromium: $hint"; fi
	say "installing Debian's chromium"
	{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-inter; } >&2 ||
		die "apt-get cannot install chromium: $hint"
}

main() {
	install_browser
	if ! is_done "$cache/axe" axe; then
		alone
		place true "$cache/axe" axe
	fi
	echo "$cache/axe/axe.min.js"
}

main
