#!/usr/bin/env bash
#SBATCH --job-name=fourtuple
#SBATCH --array=1-8
#SBATCH --output=fourtuple.%a.log
# A killed task is run again: its part is the same, and so are its bytes.
#SBATCH --requeue
# Usage: sbatch slurm.sh run scenarios, and then: fourtuple merge part.*.jsonl > all.jsonl
set -euo pipefail
part="part.$SLURM_ARRAY_TASK_ID.jsonl"
status=0
fourtuple "$@" --shard auto --format json-lines > "$part.tmp" || status=$?
# 1 is a result: something is not as expected. Anything else is a task that has not come to its end.
[ "$status" -le 1 ] || exit "$status"
mv "$part.tmp" "$part"
