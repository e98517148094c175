#!/usr/bin/env bash
# CONFIG CHECKPOINT GPUS [flags of tools/test.py]; NNODES, NODE_RANK, MASTER_ADDR and PORT for several machines.
set -euo pipefail
CONFIG=$1 CHECKPOINT=$2 GPUS=$3; shift 3; ARGS=("$CONFIG" "$CHECKPOINT")
exec torchrun --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$GPUS" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/test.py" "${ARGS[@]}" --launcher pytorch "$@"
