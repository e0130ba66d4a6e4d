#!/usr/bin/env bash
# Usage: errors_test.sh ROARS FOLDER
# What a person may get wrong ends with exit code 2 and one line on standard error that says what was wrong.
set -u
roars=$1 folder=$2
rm -rf "$folder" && mkdir -p "$folder" || exit 1
failed=0

program=("$roars")
source "$(dirname "$0")/refuses.sh"

bandit=(train --method grpo --task bandit --iterations 3)
refuses "subcommand" 
refuses "no method is named 'nothing', expected one of:.* grpo" show nothing
refuses "method is required" train --task bandit --out "$folder/a"
refuses "out is required" train --method grpo
refuses "no method is named 'nothing'" train --method nothing --task bandit --out "$folder/a"
refuses "no task is named 'nothing', expected one of:.* bandit .*cartpole .*chain .*random-calculation .*stop-time" \
    train --method grpo --task nothing --out "$folder/a"
refuses "rlhf cannot be trained on bandit: it asks for model_score" train --method rlhf --task bandit --out "$folder/a"
refuses "sac cannot be trained on bandit: it asks for done" train --method sac --task bandit --out "$folder/a"
refuses "dqn has no training program for pendulum" train --method dqn --task pendulum --out "$folder/a"
refuses "iql learns from data: expected --data FILE" train --method iql --task pendulum --out "$folder/a"
refuses "famo2o learns from data: expected --data FILE" train --method famo2o --task pendulum --out "$folder/a"
refuses "famo2o cannot be trained on bandit: it asks for" train --method famo2o --task bandit --out "$folder/a"
refuses "--stage_3.iterations: no such setting" \
    train --method famo2o --task pendulum --data x --out "$folder/a" --stage_3.iterations 1
refuses "recoil imitates an expert: expected --demonstrations FILE" \
    train --method recoil --task pendulum --data x --out "$folder/a"
refuses "--demonstrations: iql imitates nobody" \
    train --method iql --task pendulum --data x --demonstrations y --out "$folder/a"
refuses "resfit learns beside an expert: expected --demonstrations FILE, or --sampler.demonstrations 0" \
    train --method resfit --task pendulum --base x --out "$folder/a"
refuses "resfit needs a base policy: expected --base RUN" \
    train --method resfit --task pendulum --sampler.demonstrations 0 --out "$folder/a"
refuses "residual-fine-tuning needs a base policy: expected --base RUN" \
    train --method residual-fine-tuning --task pendulum --sampler.demonstrations 0 --out "$folder/a"
refuses "--base: td3 needs no base policy" train --method td3 --task pendulum --base x --out "$folder/a"
refuses "snapshot-td3 needs a teacher: expected --teacher RUN" train --method snapshot-td3 --task pendulum --out "$folder/a"
refuses "--teacher: sac needs no teacher" train --method sac --task pendulum --teacher x --out "$folder/a"
refuses "nowhere: cannot be read" train --method snapshot-sac --task pendulum --teacher "$folder/nowhere" --out "$folder/a"
refuses "resfit cannot be trained on bandit: it asks for" train --method resfit --task bandit --out "$folder/a"
refuses "--data: sac takes steps of its own" train --method sac --task pendulum --data x --out "$folder/a"
refuses "--control.units: no such setting" train --method sac --task pendulum --out "$folder/a" --control.units 3
refuses "control settings: environments, width" train --method sac --task pendulum --out "$folder/a" --control.width 0
refuses "expected 1 or more" train --method sac --task pendulum --out "$folder/a" --updates 0
refuses "seed" "${bandit[@]}" --seed many --out "$folder/a"
refuses "expected a flag" "${bandit[@]}" --out "$folder/a" word
refuses "--optimizer.surrogate.low: expected a value" "${bandit[@]}" --out "$folder/a" --optimizer.surrogate.low
refuses "--optimizer.surrogate.lowest: no such setting" "${bandit[@]}" --out "$folder/a" --optimizer.surrogate.lowest 1
refuses "--task.answer: no such setting.* --task.answers" "${bandit[@]}" --out "$folder/a" --task.answer 3
refuses "--optimizer.surrogate.low: 'x' is not a number" "${bandit[@]}" --out "$folder/a" --optimizer.surrogate.low x
refuses "--optimizer.surrogate.low: 'nan' is not a number" "${bandit[@]}" --out "$folder/a" --optimizer.surrogate.low nan
refuses "--task.prompts: '2.5', expected a whole number" "${bandit[@]}" --out "$folder/a" --task.prompts 2.5
refuses "bandit prompts: 0 prompts" "${bandit[@]}" --out "$folder/a" --task.prompts 0
refuses "expected true or false" "${bandit[@]}" --out "$folder/a" --tabular.in_turn perhaps
refuses "no such setting" train --method grpo --out "$folder/a" --task.operator +
[ -e "$folder/a" ] && echo "a run that was refused has left a folder" && failed=1

refuses "/proc/x: cannot create this folder" "${bandit[@]}" --out /proc/x
touch "$folder/file"
refuses "file/run: cannot create this folder: Not a directory" "${bandit[@]}" --out "$folder/file/run"
refuses "no checkpoint.safetensors to resume from" "${bandit[@]}" --out "$folder/none" --resume
mkdir "$folder/full" && ln -s /dev/full "$folder/full/metrics.jsonl"
refuses "full/metrics.jsonl: cannot write: No space left on device" "${bandit[@]}" --out "$folder/full"

"$roars" "${bandit[@]}" --out "$folder/run" >/dev/null 2>&1 || { echo "a sound run fails" && failed=1; }
refuses "holds a run already" "${bandit[@]}" --out "$folder/run"
refuses "was begun with /seed = 0" "${bandit[@]}" --out "$folder/run" --resume --seed 1
refuses "was begun with /settings/task/prompts = 40" "${bandit[@]}" --out "$folder/run" --resume --task.prompts 41
resfit=(train --method resfit --sampler.demonstrations 0 --out "$folder/a")
refuses "run/checkpoint.safetensors: holds no policy that acts by itself" "${resfit[@]}" --task pendulum --base "$folder/run"
short=(--iterations 1 --updates 3 --control.evaluation_episodes 1)
for method in td3 a2c; do
    "$roars" train --method $method --task pendulum "${short[@]}" --out "$folder/$method" >/dev/null 2>&1 ||
        { echo "$method: a sound run fails" && failed=1; }
done
refuses "observations of 3 and actions of 1 numbers, expected 4 and 2" "${resfit[@]}" --base "$folder/td3" --task point-reach
refuses "a2c: a policy without critics of its actions" \
    train --method snapshot-td3 --task pendulum --teacher "$folder/a2c" --out "$folder/a"
echo "{" >"$folder/run/settings.json"
refuses "settings.json: is not JSON" "${bandit[@]}" --out "$folder/run" --resume
"$roars" "${bandit[@]}" --out "$folder/cut" >/dev/null 2>&1 || failed=1
truncate -s 100 "$folder/cut/checkpoint.safetensors"
refuses "checkpoint.safetensors: " "${bandit[@]}" --out "$folder/cut" --resume

# What is allowed but seldom meant is done, and said.
"$roars" train --method hicra --task bandit --iterations 1 --advantage.weight.alpha 1 --out "$folder/praise" \
    2>&1 >/dev/null | grep -q "^roars: caution: --advantage.weight: alpha of 1 or more" ||
    { echo "alpha of 1 without a caution" && failed=1; }
"$roars" train --method hicra --task bandit --iterations 1 --out "$folder/blame" 2>&1 >/dev/null | grep -q caution &&
    echo "a caution without a reason" && failed=1
exit $failed
