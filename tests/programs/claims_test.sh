#!/usr/bin/env bash
# Usage: claims_test.sh ROARS_CLAIMS FOLDER
# Every arm of every experiment runs; what is finished is not run again, whatever was torn; and what a person may get
# wrong ends with exit code 2 and one line.
set -u
claims=$1 folder=$2
rm -rf "$folder" && mkdir -p "$folder/pages" || exit 1
failed=0
fail() { echo "$1" && failed=1; }

"$claims" --smoke --out "$folder/smoke" 2>"$folder/errors" | grep -q "every arm of [1-9][0-9]* experiments runs" ||
    fail "smoke: $(cat "$folder/errors")"
arms=$("$claims" --list | grep -c "^[a-z]") runs=$(cut -d'"' -f4,8 "$folder/smoke/runs.jsonl" | sort | uniq -d | wc -l)
[ "$arms" -ge 11 ] || fail "--list: $arms experiments, expected 11 or more"
[ "$runs" -eq 0 ] || fail "smoke: an arm ran twice"

# The same numbers from a run that lost its last lines, one of them torn, with another number of threads.
some=(open-rs survey-margin --seeds 2 --search-seeds 1)
"$claims" "${some[@]}" --out "$folder/whole" >"$folder/told" 2>"$folder/errors" || fail "whole: $(cat "$folder/errors")"
mkdir "$folder/torn"
{ head -n 7 "$folder/whole/runs.jsonl" && sed -n 8p "$folder/whole/runs.jsonl" | cut -c1-40; } >"$folder/torn/runs.jsonl"
"$claims" "${some[@]}" --jobs 1 --out "$folder/torn" >/dev/null 2>"$folder/errors" || fail "torn: $(cat "$folder/errors")"
cmp "$folder/whole/claims.json" "$folder/torn/claims.json" || fail "a run that was torn has other results"
cmp <(sort "$folder/whole/runs.jsonl") <(sort "$folder/torn/runs.jsonl") || fail "a run that was torn has other runs"
cp "$folder/torn/runs.jsonl" "$folder/before"
"$claims" "${some[@]}" --out "$folder/torn" >/dev/null 2>&1
cmp "$folder/before" "$folder/torn/runs.jsonl" || fail "finished runs were run again"

grep -q "survey-margin.*margin.*DPO - IPO.*shown$" "$folder/told" || fail "survey-margin: $(cat "$folder/told")"
grep -q "^| .*DPO against IPO.*| shown |$" "$folder/whole/claims.md" || fail "claims.md lacks a row"

# The picture of what is there, without a run. Without gnuplot there is none.
if [ -e "$folder/whole/claims.svg" ]; then
    mkdir "$folder/drawn" && cp "$folder/whole/claims.json" "$folder/drawn/"
    "$claims" --picture --out "$folder/drawn" 2>"$folder/errors" || fail "picture: $(cat "$folder/errors")"
    cmp "$folder/whole/claims.svg" "$folder/drawn/claims.svg" || fail "the picture drawn again is another one"
fi

printf '# A page\n<!-- claims -->\nold\n<!-- end of claims -->\nend\n' >"$folder/pages/open-rs.md"
"$claims" open-rs --seeds 2 --search-seeds 1 --out "$folder/torn" --pages "$folder/pages" >/dev/null 2>"$folder/errors" ||
    fail "pages: $(cat "$folder/errors")"
grep -q "^| .*cosine against format and accuracy.* shown |$" "$folder/pages/open-rs.md" &&
    grep -q "^end$" "$folder/pages/open-rs.md" && ! grep -q "^old$" "$folder/pages/open-rs.md" ||
    fail "the page was not written between its marks"

program=("$claims")
source "$(dirname "$0")/refuses.sh"
refuses "out is required"
refuses "no experiment is named 'nothing', expected one of:.* rl-plus" nothing --out "$folder/a"
refuses "seeds" --seeds 0 --out "$folder/a"
refuses "jobs" --jobs no --out "$folder/a"
refuses "claims.json: holds no claims" --picture --out "$folder/pages"
refuses "cannot create this folder" rl-plus --out /proc/x
refuses "rl-plus.md: cannot be read" rl-plus --out "$folder/a" --pages "$folder/pages"
echo "no marks" >"$folder/pages/rl-plus.md"
refuses "rl-plus.md: has no lines '<!-- claims -->'" rl-plus --out "$folder/a" --pages "$folder/pages"
[ -e "$folder/a" ] && fail "what was refused has left a folder"
exit $failed
