#!/usr/bin/env bash
# Usage: methods_test.sh ROARS FOLDER
# Every method that `roars list` names learns bandit prompts, by the exact probability of a right answer; or it cannot,
# and then says which column it would need.
set -u
roars=$1 folder=$2
rm -rf "$folder" && mkdir -p "$folder" || exit 1
failed=0 learnt=0
number() { grep -oE "\"$1\": [0-9.e+-]+" "$2/summary.json" | cut -d' ' -f2; }

for method in $("$roars" list | tail -n +2 | cut -d' ' -f1); do
    out=$folder/$method
    "$roars" train --method "$method" --task bandit --out "$out" >/dev/null 2>"$folder/errors"
    code=$?
    if [ $code -eq 2 ] && grep -q "cannot be trained on bandit: it asks for [a-z]" "$folder/errors"; then
        sed 's/^roars: //' "$folder/errors"
    elif [ $code -ne 0 ]; then
        echo "$method: exit code $code: $(cat "$folder/errors")" && failed=1
    else
        before=$(number accuracy_before "$out") after=$(number accuracy_after "$out")
        echo "$method: $before -> $after"
        learnt=$((learnt + 1))
        awk -v before="$before" -v after="$after" 'BEGIN { exit !(before < 0.1 && after > 0.5) }' ||
            { echo "$method: expected to rise from 1/16 above 0.5" && failed=1; }
    fi
done
[ $learnt -ge 8 ] || { echo "$learnt methods learnt, expected 8 or more" && failed=1; }
exit $failed
