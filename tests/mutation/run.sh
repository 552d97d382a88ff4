#!/bin/sh
# Mutate modules in a copy of the last commit, never here, and print what no test noticed: [SINCE=commit] run.sh MODULE...
# SINCE leaves out the mutants of lines that have not changed since then.
set -eu
here=$(pwd)
copy=$here/build/mutation
rm -rf "$copy"
git clone -q "$here" "$copy"
cd "$copy"
export PATH="$here/.venv/bin:$PATH" PYTHONPATH="$copy/include"
for module in "$@"; do
    book=$here/build/mutation-$module${SINCE:+-$SINCE}.sqlite
    config=tests/mutation/$module.toml
    if [ ! -e "$book" ]; then  # else it goes on; whole or not at all, as one that is broken off here has nothing to do
        rm -f "$book.new"
        cosmic-ray init "$config" "$book.new"
        cr-filter-operators "$book.new" "$config"
        if [ -n "${SINCE:-}" ]; then
            printf '\n[cosmic-ray.filters.git-filter]\nbranch = "%s"\n' "$SINCE" >>"$config"
            cr-filter-git --config "$config" "$book.new"
        fi
        mv "$book.new" "$book"
    fi
    cosmic-ray exec "$config" "$book"
    cr-report "$book" --surviving-only --show-diff
done
