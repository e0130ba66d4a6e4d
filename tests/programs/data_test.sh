#!/usr/bin/env bash
# Usage: data_test.sh ROARS FOLDER ROARS_DATA
# Data sets are collected, turned from one layout into the other and back, joined and told of; what is wrong ends with
# exit code 2 and one line on standard error.
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
ls "$folder" | grep -E '^x|partial' && echo "what was refused has left a file" && failed=1
exit $failed
