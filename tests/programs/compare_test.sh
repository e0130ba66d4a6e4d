#!/usr/bin/env bash
# Usage: compare_test.sh ROARS FOLDER
# A comparison that is killed and goes on ends as one that nothing happened to, and its runs are those of `roars train`.
set -u
roars=$1 folder=$2
rm -rf "$folder" && mkdir -p "$folder" || exit 1
failed=0
fail() { echo "$1" && failed=1; }

some=(--task bandit --iterations 300 --checkpoint_every 50 --evaluate_every 100 --task.prompts 8 --sampler.prompts 8
    --sampler.group_size 4)
compare=("$roars" compare --methods "lite-ppo,grpo" --seeds 2 "${some[@]}")
"${compare[@]}" --out "$folder/whole" >"$folder/told" 2>"$folder/errors" || fail "whole: $(cat "$folder/errors")"
"${compare[@]}" --out "$folder/torn" >/dev/null 2>&1 &
run=$!
until [ -e "$folder/torn/lite-ppo/seed-1/checkpoint.safetensors" ]; do
    kill -0 $run 2>/dev/null || break
    sleep 0.01
done
kill -9 $run 2>/dev/null
wait $run 2>/dev/null
[ -e "$folder/torn/compare.json" ] && fail "the comparison ended before it could be killed"
"${compare[@]}" --out "$folder/torn" >/dev/null 2>"$folder/errors" || fail "torn: $(cat "$folder/errors")"
"$roars" train --method grpo --seed 1 "${some[@]}" --out "$folder/alone" >/dev/null 2>&1 || fail "train fails"
for other in "$folder/torn/grpo/seed-1" "$folder/alone"; do
    cmp "$folder/whole/grpo/seed-1/checkpoint.safetensors" "$other/checkpoint.safetensors" || fail "$other differs"
done
accuracies() { cut -d'|' -f1-9 "$1/compare.md"; }  # all but the seconds
cmp <(accuracies "$folder/whole") <(accuracies "$folder/torn") || fail "the tables differ"
[ "$(grep -cE '^\| (lite-ppo|grpo) ' "$folder/told")" -eq 2 ] || fail "no row for each method: $(cat "$folder/told")"

# Returns and steps of an environment, and a method under two names with settings of its own.
"$roars" compare --methods "double-dqn,dueling=double-dqn:control.dueling=true:control.width=8" --task cartpole \
    --seeds 2 --iterations 2 --updates 300 --out "$folder/control" >/dev/null 2>"$folder/errors" ||
    fail "control: $(cat "$folder/errors")"
[ "$(grep -cE '^\| (double-dqn|dueling) \| .* \| 600 \| [0-9.]+ \|$' "$folder/control/compare.md")" -eq 2 ] ||
    fail "no row of 600 steps for each: $(cat "$folder/control/compare.md")"
grep -q '"dueling": true' "$folder/control/dueling/seed-1/settings.json" || fail "dueling has no setting of its own"
grep -q '"dueling": false' "$folder/control/double-dqn/seed-1/settings.json" || fail "all have the setting of one"

if command -v gnuplot >/dev/null; then
    grep -q '</svg>' "$folder/whole/compare.svg" || fail "compare.svg is no whole picture"
fi

program=("$roars" compare)
source "$(dirname "$0")/refuses.sh"
refuses "methods is required" --task bandit --out "$folder/a"
refuses "no method is named 'nothing'" --methods grpo,nothing --task bandit --out "$folder/a"
refuses "grpo is named twice" --methods grpo,grpo --task bandit --out "$folder/a"
refuses "rlhf cannot be trained on bandit: it asks for model_score" --methods grpo,rlhf --task bandit --out "$folder/a"
refuses "grpo is named twice" --methods a=lite-ppo,grpo,grpo=lite-ppo --task bandit --out "$folder/a"
refuses "no such setting.*roars show grpo" --methods grpo,b=grpo:nothing=1 --task bandit --out "$folder/a"
refuses "'nothing' of 'b=grpo:nothing': expected SETTING=VALUE" --methods b=grpo:nothing --task bandit --out "$folder/a"
refuses "'../b' is to name a folder" --methods ../b=grpo --task bandit --out "$folder/a"
refuses "seeds" --methods grpo --seeds 0 --task bandit --out "$folder/a"
refuses "--regularizer.coefficient: no such setting.*roars show lite-ppo" --methods grpo,lite-ppo --task bandit \
    --out "$folder/a" --regularizer.coefficient 0
[ -e "$folder/a" ] && fail "what was refused has left a folder"
refuses "was begun with /settings/task/prompts = 8" --methods lite-ppo,grpo --out "$folder/whole" "${some[@]}" \
    --task.prompts 9
exit $failed
