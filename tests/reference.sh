#!/bin/bash
# The command's logits against the reference data, and an independent numpy implementation against
# both; configurations as published ones have them, shrunk and run.
# Usage: tests/reference.sh PYTHON PITH
# Prints what each script prints, its verdict, and "N passed, N failed"; non-zero on failure.
set -u
cd "$(dirname "$0")/.." || exit 1
python=$1
pith=$2
passed=0
failed=0

check() {
    echo "$python $*"
    if "$python" "$@"; then
        echo "passed: $1"
        passed=$((passed + 1))
    else
        echo "FAILED: $1"
        failed=$((failed + 1))
    fi
}

check golden/check_reference.py
check golden/check_logits.py "$pith"
check golden/check_pith_file.py weights/models/story-int4.pith
check golden/check_bits.py "$pith"
check golden/check_encoder.py "$pith"
check golden/check_bert.py "$pith"
check golden/check_encoders.py "$pith"
check tests/real_configs.py "$pith" tests/configs
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
