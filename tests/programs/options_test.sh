#!/usr/bin/env bash
# Usage: options_test.sh ROARS FOLDER
# The page of the documentation is what the program prints.
set -u
page=$(cd "$(dirname "$0")/../.." && pwd)/docs/options.md
diff -u "$page" <("$1" options --markdown) || {
    echo "docs/options.md is not up to date: write it with \`roars options --markdown >docs/options.md\`"
    exit 1
}
[ "$("$1" options | wc -l)" -gt 150 ] || { echo "roars options: expected a line for each option" && exit 1; }
