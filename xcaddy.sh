#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds Caddy with Gatehouse, and starts it. See usage below.
set -euo pipefail

MODULE=github.com/gatehouse-id/gatehouse
CADDY=github.com/caddyserver/caddy/v2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
	cat <<'EOF'
Usage: ./xcaddy.sh build [output]      build the program (default: ./gatehouse)
       ./xcaddy.sh run [Caddyfile]     build it if the source has changed, then start it
                                       (default: ./Caddyfile.example, the demo)

Uses xcaddy where it is installed, and otherwise builds cmd/gatehouse, which is the same program.
Needs Go. The first build takes a few minutes, because it compiles Caddy.
EOF
}

# demo_text says what to do with the demo once it runs. Everything that a name in Caddyfile.example decides is here.
demo_text() {
	cat <<'EOF'

  Gatehouse is starting with the demo configuration.

  In a browser     open  http://localhost:8081/
                   log in as  alice  with the password  wonderland-2026

  With curl        token=$(curl -s -u demo-machine:demo-machine-secret-0123456789 \
                     -d grant_type=client_credentials -d scope=accounts:read \
                     http://localhost:8080/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
                   curl -i http://localhost:8082/                                              # 401
                   curl -i -H "Authorization: Bearer $token" http://localhost:8082/            # 200
                   curl -i -H "Authorization: Bearer $token" http://localhost:8082/payments    # 403: the scope is missing

  Discovery        http://localhost:8080/.well-known/openid-configuration
  As an operator   ./gatehouse user list    ./gatehouse session list    ./gatehouse config check Caddyfile.example

  It takes the ports 8080 to 8084, and 2019 for the commands. Stop it with Ctrl-C. What it keeps is in ./data and
  ./data.key: whoever was logged in still is when it starts again; remove both to begin anew.

EOF
}

die() {
	printf 'xcaddy.sh: %s\n' "$*" >&2
	exit 1
}

need_go() {
	command -v go >/dev/null 2>&1 ||
		die "Go is not installed. It is needed in version $(sed -n 's/^go //p' "$root/go.mod") or later: https://go.dev/dl/"
}

version() { echo "gatehouse-$(git -C "$root" describe --tags --always --dirty 2>/dev/null || echo devel)"; }

# build OUTPUT builds the program; the path is absolute.
build() {
	need_go
	if command -v xcaddy >/dev/null 2>&1; then
		local caddy
		caddy=$(cd "$root" && go list -m -f '{{.Version}}' "$CADDY")
		xcaddy build "$caddy" --output "$1" --with "$MODULE/caddymodule/standard" --replace "$MODULE=$root"
	else
		(cd "$root" && go build -trimpath -ldflags "-s -w -X $CADDY.CustomVersion=$(version)" -o "$1" ./cmd/gatehouse)
	fi
	echo "built $1" >&2
}

# fresh BINARY reports whether no source is newer than the program.
fresh() {
	[ -x "$1" ] && [ -z "$(find "$root" \( -path "$root/.*" -o -path "$root/tests" -o -path "$root/docs" -o -path "$root/data" \) -prune -o \
		-type f -newer "$1" ! -name '*_test.go' \( -name '*.go' -o -name go.mod -o -name go.sum -o -path "$root/internal/web/*" \) \
		-print -quit)" ]
}

run() {
	local config=${1:-$root/Caddyfile.example}
	[ -f "$config" ] || die "there is no $config"
	config=$(cd "$(dirname "$config")" && pwd)/$(basename "$config")
	fresh "$root/gatehouse" || {
		echo "building; the first time this takes a few minutes" >&2
		build "$root/gatehouse"
	}
	if [ "$config" = "$root/Caddyfile.example" ]; then
		cd "$root" # the demo keeps its store here, wherever it is started from
		demo_text
	fi
	# exec, so that signals reach the program itself.
	exec "$root/gatehouse" run --config "$config" --adapter caddyfile
}

case ${1:-} in
build)
	[ $# -le 2 ] || die "build takes one output path"
	output=${2:-$root/gatehouse}
	case $output in /*) ;; *) output=$PWD/$output ;; esac
	build "$output"
	;;
run)
	[ $# -le 2 ] || die "run takes one Caddyfile"
	run "${2:-}"
	;;
-h | --help | help)
	usage
	;;
*)
	usage >&2
	exit 2
	;;
esac
