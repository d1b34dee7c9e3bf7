# The tests of the service that send many requests, with few of them; `make service-test` sends all.

counts() {
    what="tests/server/$1.py"
    expect 0 python3 "tests/server/$1.py" "$PITH" "${@:2}"
    prints '^[0-9]+ passed, 0 failed$'
}
counts codes
counts spin
counts format
counts ollama
counts strict 60
counts usage 40
counts quota 16 400
counts disconnect 60
counts hostile 400
counts vectors 200 2
counts rerank
counts channels
