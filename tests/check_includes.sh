#!/bin/sh
# The layers of pith and what each may include, besides itself and pith.h. Fails on any other
# project include.
set -eu
cd "$(dirname "$0")/.."

allowed() {
    case $1 in
    base) echo ;;
    grammar) echo "base" ;;
    simd) echo "base" ;;
    tokenizer) echo "base" ;;
    families) echo "base simd tokenizer/vocab.h" ;;
    weights) echo "base simd families tokenizer/vocab.h" ;;
    engine) echo "base grammar simd families weights tokenizer" ;;
    convert) echo "base simd families weights tokenizer" ;;
    store) echo "base" ;;
    perf) echo "base simd families weights tokenizer engine" ;;
    server) echo "base store convert/convert.h" ;;
    cli) echo "base simd families weights tokenizer convert store perf server/server.h server/ledger.h" ;;
    mpi) echo "base engine/random_model.h perf/shares.h cli/command_line.h cli/ranks.h" ;;
    examples) echo ;;
    esac
}

bad=0
layers="base grammar simd families tokenizer weights engine convert store perf server cli mpi examples"
for layer in $layers; do
    for line in $(grep -Hno '^#include "[^"]*"' "$layer"/*.[ch] "$layer"/*/*.[ch] 2>/dev/null |
        sed 's/#include "\(.*\)"/\1/'); do
        file=${line%%:*}
        path=${line##*:}
        ok=
        [ "$path" = pith.h ] && ok=1
        for may in $layer $(allowed "$layer"); do
            case $path in
            "$may" | "$may"/*) ok=1 ;;
            esac
        done
        [ "$layer" != examples ] || [ "$path" = pith.h ] || ok=
        if [ -z "$ok" ]; then
            echo "$file includes $path, which $layer must not see" >&2
            bad=1
        fi
    done
done
for layer in $layers; do
    printf '%-10s %s\n' "$layer" "$(allowed "$layer")" | sed 's/ *$//'
done
exit $bad
