#!/usr/bin/env bash
# The environment of the default build, which needs neither cgo nor flags: where the weights are,
# for the tests and the examples.
#
#   eval "$(scripts/env.sh)"        then plain go test …
#   scripts/env.sh go test ./...    one command
#
# torch.sh is the same for the torch build.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

export XPEFT_MODEL=$model
if (($#)); then
	exec "$@"
fi
printf 'export XPEFT_MODEL=%q\n' "$XPEFT_MODEL"
