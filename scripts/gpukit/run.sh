#!/usr/bin/env bash
# Runs what gpukit.sh packed, on a machine with PyTorch 2.11 and no Go: the golden vectors and the
# tests on the GPU, then the measurements on the GPU and the CPU, and transformers and peft beside
# them if they are here. Under 8 minutes. Results go to the folder OUT (default: out beside this
# file); the exit code is the number of parts that failed.
#
#   run.sh            on the GPU, and on the CPU beside it
#   run.sh cpu        on the CPU alone
#   PYTHON=…          the Python that has PyTorch (default python3)
#   TORCH_LIB=…       its torch/lib, where asking that Python does not tell
#   SMALL=1           whether everything runs, no figures
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 100
devices=${1:-cuda,cpu}
python=${PYTHON:-python3}
OUT=${OUT:-$PWD/out}
mkdir -p "$OUT"
failed=0

lib=${TORCH_LIB:-$("$python" -c 'import importlib.util, os; print(os.path.join(os.path.dirname(importlib.util.find_spec("torch").origin), "lib"))')} || exit 101
[[ -f $lib/libtorch_cpu.so ]] || { echo "no libtorch_cpu.so in $lib: install PyTorch 2.11" >&2; exit 101; }
ln -sfn "$lib" torch-lib # the programs look there
export XPEFT_MODEL=$PWD/model XPEFT_GOLDEN=$PWD/golden
export XPEFT_TEST_DEVICE=${devices%%,*}

# part NAME SECONDS FOLDER COMMAND...: runs one part and says how it went. All have 470 s together.
part() {
	local name=$1 limit=$2 folder=$3 began=$SECONDS code=0
	shift 3
	((limit <= 470 - SECONDS)) || limit=$((SECONDS < 465 ? 470 - SECONDS : 5))
	(cd "$folder" && timeout "$limit" "$@") >"$OUT/$name.log" 2>&1 || code=$?
	((code == 0)) || { failed=$((failed + 1)); tail -n 15 "$OUT/$name.log"; }
	printf '%-12s %s after %d s\n' "$name" "$([[ $code == 0 ]] && echo ok || echo "FAILED ($code)")" $((SECONDS - began))
}

nvidia-smi >"$OUT/nvidia-smi.log" 2>&1 || echo "no nvidia-smi" >"$OUT/nvidia-smi.log"
part libtorch 60 libtorch ./test -test.v -test.run 'Device|Operators|Grad|Fork|Keep'
part engine 120 engine ./test -test.v
part learner 90 learner ./test -test.v -test.short -test.run Golden
part sdk 90 sdk ./test -test.v -test.short -test.run 'Device|TestLearn|PredictBatch'
part figures 240 . ./gpu -model model -devices "$devices" -texts "$OUT/texts.jsonl" ${SMALL:+-small}
if "$python" -c 'import torch, transformers, peft' 2>/dev/null; then
	for device in ${devices//,/ }; do
		part "peers-$device" 150 . "$python" peers.py model "$OUT/texts.jsonl" "$device"
	done
else
	echo "no transformers and peft here: their side is left out"
fi
cat "$OUT"/figures.log "$OUT"/peers-*.log 2>/dev/null | grep '^{' | tee "$OUT/figures.jsonl"
skipped=$(grep -hE '^ *--- SKIP' "$OUT"/*.log | sort | uniq -c)
[[ -z $skipped ]] || printf 'skipped:\n%s\n' "$skipped"
echo "$SECONDS s in all, $failed parts failed"
exit "$failed"
