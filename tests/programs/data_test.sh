#!/usr/bin/env bash
# Usage: data_test.sh ROARS FOLDER ROARS_DATA
# Data sets are collected, made by an agent that is trained for them, turned from one layout into the other and back,
# joined and told of; what is wrong ends with exit code 2 and one line on standard error.
set -u
data=$3 folder=$2
rm -rf "$folder" && mkdir -p "$folder" || exit 1
failed=0

program=("$data")
source "$(dirname "$0")/refuses.sh"

random=(collect --environment CartPole-v1 --rows 500 --seed 3)
if "$data" "${random[@]}" --out "$folder/random.hdf5" 2>&1 | grep -q "built without HDF5"; then
    echo "built without HDF5"
    exit $failed
fi
for command in "convert $folder/random.hdf5 --format minari --out $folder/random" \
    "convert $folder/random --out $folder/back.hdf5" \
    "join $folder/random.hdf5 $folder/random --rows 200 --out $folder/joined.hdf5" \
    "validate $folder/random $folder/back.hdf5 $folder/joined.hdf5"; do
    "$data" $command >"$folder/stdout" 2>&1 || { cat "$folder/stdout" && failed=1; }
done
for set in "random.hdf5:500, " "random:500, " "back.hdf5:500, " "joined.hdf5:400, "; do
    "$data" info "$folder/${set%%:*}" | grep -qE "^rows +${set#*:}" || { echo "info ${set%%:*} says something else" && failed=1; }
done
diff <("$data" info "$folder/random.hdf5") <("$data" info "$folder/back.hdf5" | grep -v dataset_id) ||
    { echo "there and back is not the same data set" && failed=1; }

refuses "subcommand"
refuses "none: no such file" info "$folder/none"
refuses "stdout: is no HDF5 file" validate "$folder/stdout"
head -c 3000 "$folder/random.hdf5" >"$folder/cut.hdf5"
refuses "cut.hdf5: cannot be opened: the file is damaged or cut short" info "$folder/cut.hdf5"
refuses "no environment is named 'x', expected one of: CartPole-v1" collect --environment x --rows 3 --out "$folder/x"
refuses "0 rows, expected 1 or more" collect --environment CartPole-v1 --rows 0 --out "$folder/x"
refuses "rows: expected 1 or more" join "$folder/random" --rows -4 --out "$folder/x"
refuses "format" "${random[@]}" --format csv --out "$folder/x"
refuses "folder that exists" "${random[@]}" --out "$folder/none/x"
refuses "random: is there already" "${random[@]}" --format minari --out "$folder/random"
"$data" collect --environment Pendulum-v1 --rows 20 --out "$folder/pendulum.hdf5" || failed=1
refuses "pendulum.hdf5: transitions: states of 3" join "$folder/random" "$folder/pendulum.hdf5" --out "$folder/x"

# An agent's five data sets: all there, of the rows asked for, readable, saying where they are from; a seed's are the same.
small=(make --seed 4 --steps 600 --rows 300 --width 16 --batch 16)
for made in "CartPole-v1:double-dqn:cart" "CartPole-v1:dqn:cart2" "Pendulum-v1:sac:swing" "point-reach:td3:reach"; do
    IFS=: read -r world method to <<<"$made"
    "$data" "${small[@]}" --environment "$world" --method "$method" --out "$folder/$to" >"$folder/table" 2>"$folder/stderr" ||
        { cat "$folder/stderr" && failed=1; }
    for name in random medium expert medium-expert medium-replay; do
        case $name in medium-expert) rows=600 ;; medium-replay) rows='[1-9][0-9]*' ;; *) rows=300 ;; esac
        grep -qE "^$name.hdf5 +$rows rows +return +-?[0-9.e+-]+ +normalised" "$folder/table" ||
            { echo "$world: no line of $name.hdf5" && cat "$folder/table" && failed=1; }
        "$data" info "$folder/$to/$name.hdf5" >"$folder/stdout" || failed=1
        for line in "rows +$rows," "environment +$world" "seed +4" "method +$method" "return +-?[0-9]" "policy +[a-z]"; do
            grep -qE "^$line" "$folder/stdout" || { echo "$to/$name.hdf5 does not say '$line'" && failed=1; }
        done
    done
done
grep -qE "^action .* -?[0-9.e-]+ to (1\.[0-9]+|2)$" <("$data" info "$folder/swing/random.hdf5") ||
    { echo "Pendulum's actions are not in its own range of -2 to 2" && failed=1; }
"$data" "${small[@]}" --environment Pendulum-v1 --out "$folder/again" >"$folder/stdout" 2>&1 || failed=1
for name in random medium expert medium-replay; do
    diff <("$data" info "$folder/swing/$name.hdf5") <("$data" info "$folder/again/$name.hdf5") || failed=1
done
"$data" "${small[@]/4/5}" --environment Pendulum-v1 --out "$folder/other" >"$folder/stdout" 2>&1 || failed=1
cmp -s <("$data" info "$folder/swing/random.hdf5") <("$data" info "$folder/other/random.hdf5" | sed 's/^\(seed *\)5/\14/') &&
    echo "another seed gives the same rows" && failed=1
refuses "again: is there already" "${small[@]}" --environment Pendulum-v1 --out "$folder/again"
refuses "folder that exists" "${small[@]}" --environment Pendulum-v1 --out "$folder/none/x"
refuses "expected sac or td3" "${small[@]}" --environment Pendulum-v1 --method dqn --out "$folder/x"
refuses "expected dqn or double-dqn" "${small[@]}" --environment CartPole-v1 --method sac --out "$folder/x"
refuses "no environment is named 'x'" "${small[@]}" --environment x --out "$folder/x"
for flag in steps rows width batch; do
    refuses "--$flag: 0, expected" make --environment CartPole-v1 --$flag 0 --out "$folder/x"
done
refuses "learning-rate" "${small[@]}" --environment CartPole-v1 --learning-rate nan --out "$folder/x"
refuses "out" "${small[@]}" --environment CartPole-v1
ls "$folder" | grep -E '^x|partial' && echo "what was refused has left a file" && failed=1
exit $failed
