#!/bin/sh
# Reads the listing of the kernels that live by their registers: the innermost loops that multiply
# integers must store no vector to the stack. A sum that does not stay in its register costs a store
# and a load per step, and a third of the speed, while every result stays right. No more does a result
# show how weights are fetched, so that is read here too.
# Usage: tests/check_spills.sh BUILD [CC]   (BUILD/simd/x86/*.o exist; CC only names the compiler)
set -eu
build=$1
cc=${2:-cc}
echo "$("$cc" --version | head -n 1), $(objdump --version | head -n 1)"

# FILE PRODUCT FUNCTION[:STORES]... : in every function, the innermost loops with the instruction
# PRODUCT, which may hold loops without it; STORES of its vectors are meant to lie on the stack.
check() {
    file=$build/simd/x86/$1.o
    product=$2
    shift 2
    objdump -d --no-show-raw-insn "$file" | awk -v product="$product" -v wanted="$*" \
        -v file="${file##*/}" '
    function hex(text,    i, n) {
        n = 0
        for (i = 1; i <= length(text); i++) {
            n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
        }
        return n
    }
    # What a loop from instruction `first` to `last` holds; true when it has the product, and no
    # other loop inside it has.
    function innermost(first, last,    i, latest) {
        products = stores = loads = 0
        latest = -1
        for (i = first; i <= last; i++) {
            if (i < last && target[i] >= address[first] && target[i] <= latest) {
                return 0
            }
            if (opcode[i] == product) {
                latest = address[i]
            }
            if (opcode[i] == product) {
                products++
            }
            if (is_store[i]) {
                stores++
            }
            if (is_load[i]) {
                loads++
            }
        }
        return products > 0
    }
    function finish(    i, j, n, loops) {
        if (name == "" || !(name in want)) {
            return
        }
        n = loops = 0
        for (i = 1; i <= count; i++) {
            for (j = 1; target[i] != -1 && j <= i; j++) {
                if (address[j] == target[i] && innermost(j, i)) {
                    loops++
                    n += stores > allowed[name]
                    printf "%-14s %-14s loop of %3d instructions: %3d %s, %2d vector stores to ", \
                        file, name, i - j + 1, products, product, stores
                    printf "the stack, %2d loads\n", loads
                }
            }
        }
        if (loops == 0) {
            printf "%s: %s has no loop with %s\n", file, name, product
        }
        bad += n > 0 || loops == 0
        delete want[name]
    }
    BEGIN {
        n_wanted = split(wanted, names, " ")
        for (i = 1; i <= n_wanted; i++) {
            split(names[i], parts, ":")
            want[parts[1]] = 1
            allowed[parts[1]] = parts[2] + 0
        }
    }
    /^[0-9a-f]+ <.*>:$/ {
        finish()
        name = substr($2, 2, length($2) - 3)
        count = frame = 0
        next
    }
    /^ *[0-9a-f]+:\t/ {
        i = ++count
        address[i] = hex(substr($1, 1, length($1) - 1))
        opcode[i] = $2 == "{vex}" ? $3 : $2
        target[i] = $2 ~ /^j/ && $3 ~ /^[0-9a-f]+$/ ? hex($3) : -1
        if ($0 ~ /mov +%rsp,%rbp/) {
            frame = 1 # else rbp is a register like others
        }
        vector = $0 ~ /%[xyz]mm/
        stack = $0 ~ /\(%rsp[,)]/ || (frame && $0 ~ /\(%rbp[,)]/)
        store = $0 ~ /%[xyz]mm[0-9]+,[^,]*\(%r[sb]p[^)]*\)( *\{[^}]*\})?$/
        is_store[i] = vector && stack && store
        is_load[i] = vector && stack && !store
    }
    END {
        finish()
        for (name in want) {
            printf "%s: no function %s\n", file, name
            bad++
        }
        exit bad > 0
    }' || failed=1
}

# FILE N... : the products of N tokens have a function for every hint, which fetches weights by it and
# nothing else but activations, which are fetched into L1 for one and two tokens.
check_fetches() {
    file=$1
    shift
    for n in "$@"; do
        hints="t1 t0"
        [ "$n" -gt 2 ] || hints="none nta t1 t0"
        for hint in $hints; do
            function=few_tile_${n}_$hint
            found=$(objdump -d --no-show-raw-insn "$build/simd/x86/$file.o" |
                sed -n "/^[0-9a-f]* <$function>:\$/,/^\$/s/.*\tprefetch\([a-z0-9]*\) .*/\1/p" |
                sort -u | tr '\n' ' ')
            case $n-$hint in
            [12]-none | *-t0) wanted="t0 " ;;
            [12]-nta) wanted="nta t0 " ;;
            [12]-t1) wanted="t0 t1 " ;;
            *-t1) wanted="t1 " ;;
            esac
            if [ "$found" != "$wanted" ]; then
                echo "$file.o: $function fetches with '$found', not '$wanted'"
                failed=1
            fi
        done
    done
}

# N[:STORES]... : the names of the functions of N tokens, for check.
few_tiles() {
    for form in "$@"; do
        n=${form%:*}
        stores=${form#"$n"}
        [ "$n" -gt 2 ] || echo "few_tile_${n}_none$stores few_tile_${n}_nta$stores"
        echo "few_tile_${n}_t1$stores few_tile_${n}_t0$stores"
    done
}

failed=0
# A lone tile is a product of 16 rows: clang keeps its sums on the stack, where they do little harm.
check vnni_tile vpdpbusd add_group_1x4 add_group_1x8:16 add_group_2x4 add_group_2x8 \
    add_group_3x4 add_group_3x8
# A slice's block sums wait on the stack for their multipliers, of one or two tokens.
# shellcheck disable=SC2046
check vnni_int4 vpdpbusd $(few_tiles 1:2 2:4 3 4 6 8)
# shellcheck disable=SC2046
check vnni_int8 vpdpbusd $(few_tiles 1 2 3 4 8)
# With one or two tokens a slice's block sums wait likewise. Sums of int4 groups stay in memory where
# 16 registers do not hold them beside those of a block, and so do some of a slice's multipliers;
# for two tokens clang keeps one more there than gcc.
# shellcheck disable=SC2046
check avx2_int4 vpmaddubsw $(few_tiles 1:4 2:8 3:14 4:20) multiply_2:5 multiply_4:8 multiply_6:12
# shellcheck disable=SC2046
check avx2_int8 vpmaddwd $(few_tiles 1 2 3 4) multiply_2 multiply_4 multiply_6
check avxvnni_tile vpdpbusd pith_multiply_2_avxvnni pith_multiply_4_avxvnni pith_multiply_6_avxvnni
# Sums are in tiles; vectors finish the group before.
check amx_tile tdpbssd add_group_1x1 add_group_1x2 add_group_2x1 add_group_2x2
# shellcheck disable=SC2046
check avxvnni_int4 vpdpbusd $(few_tiles 1:4 2:8 3:14 4:20)
# shellcheck disable=SC2046
check avxvnni_int8 vpdpbusd $(few_tiles 1 2 3 4)
check_fetches vnni_int4 1 2 3 4 6 8
check_fetches vnni_int8 1 2 3 4 8
for file in avxvnni_int4 avxvnni_int8 avx2_int4 avx2_int8; do
    check_fetches $file 1 2 3 4
done
if [ "$failed" != 0 ]; then
    echo "check-spills: FAILED"
    exit 1
fi
echo "check-spills: no vector is stored to the stack in these loops but those that are meant to be"
