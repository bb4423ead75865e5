#!/usr/bin/env bash
# Packs what a machine with a GPU and PyTorch 2.11 needs to test and measure xpeft, without Go and
# without a network: programs against PyTorch's own libtorch, the golden vectors and the weights, in
# parts of at most 64 MiB, in the folder OUT (default out/gpukit). docs/gpu.md says how it is used.
#
# setup-torch.sh must have run, on a libtorch 2.11 (XPEFT_DEVICE=cpu does).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/common.sh
source scripts/common.sh
# shellcheck source=scripts/libtorch.sh
source "$scripts/libtorch.sh"
# shellcheck source=scripts/fetch.sh
source "$scripts/fetch.sh"

out=${OUT:-out/gpukit}
[[ $(libtorch_version) == 2.11.* ]] || die "$libtorch is libtorch $(libtorch_version): want 2.11, as the machine with the GPU has"
rm -rf "$out"
mkdir -p "$out/kit"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The CUDA half is only linked against. No code refers to it by name, so the linker is told to keep
# it; what it needs itself is on the other machine. Programs find libtorch by the link torch-lib
# beside their folder, and what NVIDIA's libraries load by the same path.
read -r _ requirement sha _ < <(grep '^cuda *torch==' "$wheels")
python3 "$scripts/unpack.py" "$(wheel "$requirement" "$sha")" "$work" 'torch/lib/:libtorch_cuda.so,libc10_cuda.so'
link="-Wl,--no-as-needed $work/libtorch_cuda.so -Wl,--as-needed -Wl,--allow-shlib-undefined -Wl,-rpath-link,$libtorch/lib:$work"
flags=(-ldflags "-s -w -extldflags '$link -Wl,--disable-new-dtags -Wl,-rpath,\$ORIGIN/../torch-lib:\$ORIGIN/torch-lib'")

for name in libtorch:internal/engine/torch/libtorch engine:internal/engine/torch learner:learner sdk:sdk; do
	say "building the tests of ${name#*:}"
	mkdir -p "$out/kit/${name%%:*}"
	bash scripts/torch.sh go test -c "${flags[@]}" -o "$out/kit/${name%%:*}/test" "./${name#*:}"
	if [[ -d ${name#*:}/testdata ]]; then cp -r "${name#*:}/testdata" "$out/kit/${name%%:*}/"; fi
done
say "building the measurements"
bash scripts/torch.sh go -C research build "${flags[@]}" -o "$PWD/$out/kit/gpu" ./gpu
cp -r testdata/golden "$out/kit/golden"
cp scripts/gpukit/run.sh scripts/gpukit/peers.py "$out/kit/"

say "packing"
tar -C "$out/kit" -c . | xz -T0 -6 | split -b 64M -d - "$out/kit.tar.xz."
tar -C "$model/.." -ch --transform "s|^$(basename "$model")|model|" "$(basename "$model")" | split -b 60M -d - "$out/weights.tar."
cat >"$out/README" <<'R'
On the machine with the GPU, in this folder:

    mkdir -p kit && cat kit.tar.xz.* | tar -C kit -xJ && cat weights.tar.* | tar -C kit -x && bash kit/run.sh
R
rm -rf "$out/kit"
ls -l "$out"
for file in "$out"/*; do (($(stat -c %s "$file") <= 64 << 20)) || die "$file is over 64 MiB"; done
