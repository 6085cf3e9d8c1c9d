#!/usr/bin/env bash
#SBATCH --job-name=fourtuple
#SBATCH --array=1-8
#SBATCH --output=fourtuple.%a.log
# A killed task is run again: its part is the same, and so are its bytes.
#SBATCH --requeue
set -euo pipefail
part="part.$SLURM_ARRAY_TASK_ID.jsonl"
fourtuple run "${1:-scenarios}" --shard auto --format json-lines > "$part.tmp"
mv "$part.tmp" "$part"
