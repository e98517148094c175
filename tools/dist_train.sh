#!/usr/bin/env bash
# CONFIG GPUS [flags of tools/train.py]; NNODES, NODE_RANK, MASTER_ADDR and PORT for several machines.
set -euo pipefail
CONFIG=$1 GPUS=$2; shift 2; ARGS=("$CONFIG")
exec torchrun --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" --nproc_per_node="$GPUS" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    "$(dirname "$0")/train.py" "${ARGS[@]}" --launcher pytorch "$@"
