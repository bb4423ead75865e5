#!/usr/bin/env bash
# Makes a machine ready for the default build: checks the tools and puts the encoder's weights into
# ${XDG_CACHE_HOME:-~/.cache}/xpeft. It can be run at any time, again and at once in two places;
# when all is there it takes a moment. common.sh lists what it honours; setup-torch.sh is what the
# torch build needs besides.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/fetch.sh
source "$scripts/fetch.sh"

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

main() {
	check_go
	if [[ $model != "$own_model" ]]; then
		check_model
		return
	fi
	if is_done "$own_model" model; then return; fi
	command -v python3 >/dev/null || die "no python3, which fetches the weights; on Debian: apt-get install python3 python3-pip"
	alone
	place true "$own_model" model
	say "ready: $cache"
}

main
