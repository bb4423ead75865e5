#!/usr/bin/env bash
# The environment of the torch build: env.sh's, libtorch's compiler and linker flags, and the tag.
#
#   eval "$(scripts/torch.sh)"        then plain go build, go test, gopls …
#   scripts/torch.sh go test ./...    one command
#
# setup-torch.sh must have run before; libtorch.sh lists what both honour.
set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=scripts/libtorch.sh
source "$scripts/libtorch.sh"

if [[ ! -f $libtorch/lib/libtorch_cpu.so || ! -f $stubs/newer.h && $(libtorch_version) != 2.1.* ]]; then
	die "no libtorch in $libtorch: run $scripts/setup-torch.sh first"
fi
libtorch_flags
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-tags=torch"
export XPEFT_MODEL=$model
if (($#)); then
	exec "$@"
fi
for name in CGO_ENABLED CPATH CGO_CXXFLAGS CGO_LDFLAGS GOFLAGS XPEFT_MODEL; do
	printf 'export %s=%q\n' "$name" "${!name}"
done
