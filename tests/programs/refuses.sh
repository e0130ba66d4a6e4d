# Read by tests with `program` (an array: the command, and words that stand before all others), `folder` and `failed` set.

# refuses REGEX ARGUMENT...: exit code 2, nothing on standard output, one line on standard error that matches.
refuses() {
    local expected=$1 code name
    shift
    name=$(basename "${program[0]}")
    "${program[@]}" "$@" >"$folder/stdout" 2>"$folder/stderr"
    code=$?
    if [ $code -ne 2 ] || [ -s "$folder/stdout" ] || [ "$(wc -l <"$folder/stderr")" -ne 1 ] ||
        ! grep -qE "^$name: .*$expected" "$folder/stderr"; then
        echo "$name ${program[*]:1} $*: exit code $code, expected 2 and one line that matches '$expected', but got:"
        cat "$folder/stdout" "$folder/stderr"
        failed=1
    fi
}
