#!/usr/bin/env bash
# Installs reshake for a pipeline: the wheel of RESHAKE_VERSION, in an environment of its own that a cache may keep.
# 'installed' takes what is on PATH. Its folder goes onto $GITHUB_PATH, and is the last line of output.
set -euo pipefail

version=${RESHAKE_VERSION:?which version is to be installed}
if [ "$version" = installed ]; then
    reshake --version >&2
    dirname "$(command -v reshake)"
    exit 0
fi
if ! [[ $version =~ ^[0-9]+(\.[0-9]+)*([a-z0-9.]*)$ ]]; then
    echo "reshake: '$version' is not a version" >&2
    exit 2
fi

# In GitLab only what lies in the project can be cached.
folder=${RESHAKE_CACHE:-$HOME/.cache/reshake-ci}/$version
if [ ! -x "$folder/bin/reshake" ]; then
    rm -rf "$folder"
    python3 -m venv "$folder"
    # Wheels only: nothing is compiled, and nothing of a package runs while it is installed.
    "$folder/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "reshake==$version" >&2
fi
"$folder/bin/reshake" --version >&2
if [ -n "${GITHUB_PATH:-}" ]; then
    # The folder of the program alone: the environment's own python is nobody else's business.
    mkdir -p "$folder/path"
    ln -sf ../bin/reshake "$folder/path/reshake"
    echo "$folder/path" >>"$GITHUB_PATH"
fi
echo "$folder/bin"
