#!/usr/bin/env bash
# A small rerun of the paper's Table 2 and Figures 4 and 5 (arXiv 2401.16137) on MiniLM; README.md says what comes out. `make paper` runs it with the Makefile's
# GLUE and TASKS. A run that is in OUT is not repeated.
set -euo pipefail
cd "$(dirname "$0")/../.."

glue=${GLUE:-../shared/data/glue}
rows=${ROWS:-400} epochs=${EPOCHS:-1} seeds=${SEEDS:-1}
sizes=${SIZES:-100,400} chosen=${KS:-10 25}
out=${OUT:-out/paper/rows$rows-epochs$epochs} # runs of other lengths would be averaged into the same cells

tasks=()
for t in ${TASKS:-CoLA MRPC}; do
	if [[ -d $glue/$t ]]; then tasks+=("$glue/$t"); else echo "paper: no folder $glue/$t: left out" >&2; fi
done
if ((${#tasks[@]} == 0)); then
	echo "paper: skipped: no task of GLUE in $glue; GLUE=FOLDER says where they are" >&2
	exit 0
fi

make build-torch # adapters in all blocks
eval "$(bash scripts/env.sh)"
learn() {
	bin/torch/xpeft-lab eval tasks "${tasks[@]}" --model "$XPEFT_MODEL" --out "$out" --rows "$rows" --epochs "$epochs" --seeds "$seeds" "$@" >/dev/null
}
learn --sizes "$sizes" # Table 2, Figures 4 and 5a
learn --sizes "${sizes%%,*}" --one-mask # Figure 5b
for k in $chosen; do learn --sizes "${sizes%%,*}" --k "$k"; done # Figure 5c, with the 50 of Table 2
bin/torch/xpeft-lab eval report "$out" | tee "$out/table2.md"
for picture in tasks:figure4 sizes:figure5a masks:figure5b k:figure5c; do
	bin/torch/xpeft-lab plot "${picture%:*}" "$out" -o "$out/${picture#*:}.png"
done
