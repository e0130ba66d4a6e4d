#!/usr/bin/env bash
# Usage: resume_test.sh ROARS FOLDER ROARS_DATA
# A run that is killed without warning, in its warm start and again later, and goes on each time must leave the same
# policy, bit for bit, and the same metrics, seconds aside, as one that nothing happened to.
set -u
roars=$1 folder=$2 data=$3
rm -rf "$folder" && mkdir -p "$folder" || exit 1
fail() { echo "$1"; exit 1; }

lines() { { wc -l <"$1/metrics.jsonl" || echo 0; } 2>/dev/null; }
without_seconds() { sed -E 's/"(train_)?seconds": ?[^,}]*//' "$1"; }

# killed_at LINES FOLDER COMMAND...: starts the command and kills it once it has written that many lines of metrics.
killed_at() {
    local wanted=$1 out=$2
    shift 2
    "$@" >/dev/null 2>&1 &
    local run=$!
    until [ "$(lines "$out")" -ge "$wanted" ]; do
        kill -0 $run 2>/dev/null || fail "$out: ended before it could be killed at line $wanted"
        sleep 0.01
    done
    kill -9 $run
    wait $run 2>/dev/null
    [ -e "$out/summary.json" ] && fail "$out: ended before it could be killed at line $wanted"
}

# compare NAME FIRST SECOND FLAG...: FIRST and SECOND are the lines of metrics at which the second run is killed.
compare() {
    local name=$1 first=$2 second=$3 whole=$folder/$1-whole torn=$folder/$1-torn
    shift 3
    "$roars" train "$@" --out "$whole" >/dev/null 2>"$folder/errors" || fail "$name: $(cat "$folder/errors")"
    killed_at "$first" "$torn" "$roars" train "$@" --out "$torn"
    killed_at "$second" "$torn" "$roars" train "$@" --out "$torn" --resume
    "$roars" train "$@" --out "$torn" --resume >/dev/null 2>"$folder/errors" || fail "$name: $(cat "$folder/errors")"
    cmp "$whole/checkpoint.safetensors" "$torn/checkpoint.safetensors" || fail "$name: the checkpoints differ"
    local file
    for file in metrics.jsonl summary.json settings.json; do
        diff <(without_seconds "$whole/$file") <(without_seconds "$torn/$file") || fail "$name: $file differs"
    done
    echo "$name: killed at line $first and $second of $(lines "$whole"), the same end"
}

compare bandit 130 900 --method dapo --task bandit --seed 3 --task.reward_noise 0.1 --sampler.prompts 64 \
    --warm_start 200 --iterations 1200 --checkpoint_every 70 --evaluate_every 500
compare reference 150 700 --method grpo --task stop-time --seed 4 --optimizer.epochs 2 --optimizer.minibatches 2 \
    --warm_start 200 --iterations 900 --checkpoint_every 90 --evaluate_every 500
compare critic 15 70 --method ppo --task random-calculation --seed 5 --actor.layers 1 --actor.width 32 \
    --actor.heads 2 --actor.hidden 64 --task.train_per_level 60 --task.test_per_level 20 --sampler.prompts 32 \
    --warm_start 30 --iterations 60 --checkpoint_every 7 --evaluate_every 20
compare replay 5 14 --method sac --task pendulum --seed 6 --iterations 20 --updates 100 --checkpoint_every 3 \
    --control.evaluation_episodes 2 --sampler.capacity 1200 --control.environments 2
compare several-updates 5 14 --method redq --task pendulum --seed 13 --iterations 20 --updates 50 --checkpoint_every 3 \
    --control.evaluation_episodes 2 --sampler.batch_size 16
compare priorities 5 14 --method prioritised-dqn --task cartpole --seed 7 --iterations 20 --updates 150 \
    --checkpoint_every 3 --control.evaluation_episodes 2
compare rollouts 6 20 --method ppo-control --task cartpole --seed 8 --iterations 30 --updates 1 --checkpoint_every 4 \
    --control.evaluation_episodes 2 --sampler.steps 64
grep -q '"total_steps": 9600' "$folder/rollouts-whole/settings.json" ||
    fail "rollouts: the rate is to fall over 30 iterations of 10 epochs of 32 minibatches"
compare stages 130 900 --method tscac --task sessions --seed 9 --stage.iterations 100 --stage_2.iterations 100 \
    --stage_3.iterations 100 --stage_4.iterations 100 --stage_5.iterations 800 --checkpoint_every 70 --evaluate_every 500

# A policy of a finished run as what is corrected, in both stages, and as a teacher.
"$roars" train --method td3 --task pendulum --seed 2 --iterations 3 --control.evaluation_episodes 2 --out "$folder/policy" \
    >/dev/null 2>"$folder/errors" || fail "policy: $(cat "$folder/errors")"
compare base-policy 5 14 --method resfit --task pendulum --seed 11 --base "$folder/policy" --sampler.demonstrations 0 \
    --stage.iterations 1000 --stage_2.iterations 1000 --updates 100 --sampler.batch_size 16 --checkpoint_every 3 \
    --control.evaluation_episodes 2
grep -q '"steps":200.0' <(sed -n 10p "$folder/base-policy-whole/metrics.jsonl") &&
    grep -q '"steps":450.0' <(tail -1 "$folder/base-policy-whole/metrics.jsonl") ||
    fail "base-policy: behind the warm-up critics are to learn alone, then a step comes with every fourth update"
compare teacher 5 14 --method snapshot-td3 --task pendulum --seed 12 --teacher "$folder/policy/checkpoint.safetensors" \
    --iterations 20 --updates 100 --sampler.batch_size 16 --sampler.phases.snapshot_steps 1000 \
    --sampler.phases.truncate 50 --checkpoint_every 3 --control.evaluation_episodes 2
# 1,000 steps in episodes of 50, the others in whole ones of 200.
grep -q '"episodes": 25' "$folder/teacher-whole/summary.json" ||
    fail "teacher: expected 20 episodes of 50 steps and 5 of 200: $(cat "$folder/teacher-whole/summary.json")"

# Killed in the first stage and in the second. Without HDF5 there is no data to begin with.
"$data" collect --environment Pendulum-v1 --rows 400 --seed 1 --out "$folder/pendulum.hdf5" >"$folder/errors" 2>&1 ||
    { grep -q "built without HDF5" "$folder/errors" && exit 0; fail "$(cat "$folder/errors")"; }
compare offline-to-online 5 14 --method famo2o --task pendulum --seed 10 --data "$folder/pendulum.hdf5" \
    --stage.iterations 1000 --stage_2.iterations 1000 --updates 100 --sampler.first.batch_size 16 \
    --sampler.second.batch_size 16 --checkpoint_every 3 --control.evaluation_episodes 2
grep -q '"steps":0.0' <(sed -n 10p "$folder/offline-to-online-whole/metrics.jsonl") &&
    grep -q '"steps":1000.0' <(tail -1 "$folder/offline-to-online-whole/metrics.jsonl") ||
    fail "offline-to-online: the first 1,000 updates are to be without steps, the others with one each"
