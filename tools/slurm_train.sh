#!/usr/bin/env bash
# PARTITION JOB_NAME CONFIG WORK_DIR [flags of tools/train.py]; GPUS, GPUS_PER_NODE, CPUS_PER_TASK.
set -euo pipefail
PARTITION=$1 JOB_NAME=$2 CONFIG=$3 WORK_DIR=$4; shift 4
GPUS=${GPUS:-8} GPUS_PER_NODE=${GPUS_PER_NODE:-8} CPUS_PER_TASK=${CPUS_PER_TASK:-5}
exec srun -p "$PARTITION" --job-name="$JOB_NAME" --gres="gpu:$GPUS_PER_NODE" --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" --cpus-per-task="$CPUS_PER_TASK" --kill-on-bad-exit=1 \
    python -u "$(dirname "$0")/train.py" "$CONFIG" --work-dir "$WORK_DIR" --launcher slurm "$@"
