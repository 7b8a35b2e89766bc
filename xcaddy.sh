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
Usage: ./xcaddy.sh build [--with MODULE[=FOLDER]]... [output]
           build the program (default: ./gatehouse), with other modules in it
       ./xcaddy.sh run [--with MODULE[=FOLDER]]... [Caddyfile]
           build it if the source has changed, then start it (default: ./Caddyfile.example, the demo)

Uses xcaddy where it is installed, and otherwise Go alone. The two differ in one thing: xcaddy builds a program of its own, in
which our commands stand behind a word, "gatehouse gatehouse user list" for "gatehouse user list". Set XCADDY= to do without it.
Without xcaddy a module of --with needs a FOLDER, and what it requires has to be in ours or in Go's module cache.
Set BUILD_FLAGS= to have Go build with what it has compiled for tests already; the program then names folders of this machine.
Needs Go. The first build takes a few minutes, because it compiles Caddy.
EOF
}

# demo_text says what to do with the demo once it runs. Everything that a name in Caddyfile.example decides is here.
demo_text() {
	cat <<'EOF'

  Gatehouse is starting with the demo configuration.

  In a browser     open  http://localhost:8081/      and log in as  alice  with the password  wonderland-2026
                   open  http://localhost:8081/tour  to be led through all of it, step by step

  With curl        token=$(curl -s -u demo-machine:demo-machine-secret-0123456789 \
                     -d grant_type=client_credentials -d scope=accounts:read \
                     http://localhost:8080/token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
                   curl -i http://localhost:8082/                                              # 401
                   curl -i -H "Authorization: Bearer $token" http://localhost:8082/            # 200
                   curl -i -H "Authorization: Bearer $token" http://localhost:8082/payments    # 403: the scope is missing

  With a phone     see "A phone in five minutes" in README.md

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

# flags are what Go alone builds with: a program that names no folder of this machine.
flags=${BUILD_FLAGS--trimpath}

# xcaddy is the program, if it is to be used.
xcaddy=${XCADDY-xcaddy}
with=() # MODULE or MODULE=FOLDER, each

# add_with WHAT takes a module that is built in as well. A folder is made absolute.
add_with() {
	local module=${1%%=*} folder=
	[ -n "$module" ] || die "--with needs a module, such as example.com/realm=./realm"
	if [ "$module" != "$1" ]; then
		folder=$(cd "${1#*=}" 2>/dev/null && pwd) || die "--with $1: there is no such folder"
		[ -f "$folder/go.mod" ] || die "--with $1: there is no go.mod in it"
		module=$module=$folder
	fi
	with+=("$module")
}

# build OUTPUT builds the program; the path is absolute.
build() {
	need_go
	if [ -n "$xcaddy" ] && command -v "$xcaddy" >/dev/null 2>&1; then
		local caddy more=() module
		caddy=$(cd "$root" && go list -m -f '{{.Version}}' "$CADDY")
		for module in ${with[@]+"${with[@]}"}; do more+=(--with "$module"); done # old versions of bash call an empty list unset
		"$xcaddy" build "$caddy" --output "$1" --with "$MODULE/caddymodule/standard" --replace "$MODULE=$root" ${more[@]+"${more[@]}"}
	elif [ ${#with[@]} -gt 0 ]; then
		build_with "$1"
	else
		(cd "$root" && go build $flags -ldflags "-s -w -X $CADDY.CustomVersion=$(version)" -o "$1" ./cmd/gatehouse)
	fi
	echo "built $1" >&2
}

# build_with OUTPUT builds cmd/gatehouse with the modules of --with, as a module of its own in a folder that is removed again. Our
# go.mod stands in it word by word, so that all versions are the tested ones and nothing has to be fetched for us.
build_with() (
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	cp "$root/go.sum" "$folder/go.sum"
	sed 's|^module .*|module gatehouse.local/build|' "$root/go.mod" >"$folder/go.mod"
	cp "$root/cmd/gatehouse/main.go" "$folder/main.go"
	{
		printf 'package main\n\nimport (\n'
		for module in "${with[@]}"; do printf '\t_ "%s"\n' "${module%%=*}"; done
		printf ')\n'
	} >"$folder/with.go"
	cd "$folder"
	go mod edit -require "$MODULE@v0.0.0" -replace "$MODULE=$root"
	for module in "${with[@]}"; do
		[ "${module%%=*}" != "$module" ] || die "--with $module: without xcaddy it needs a folder, as in $module=./folder"
		go mod edit -require "${module%%=*}@v0.0.0" -replace "$module"
		[ ! -f "${module#*=}/go.sum" ] || cat "${module#*=}/go.sum" >>go.sum
	done
	GOFLAGS=-mod=mod GOWORK=off go build $flags -ldflags "-s -w -X $CADDY.CustomVersion=$(version)" -o "$1" .
)

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
	local binary=$root/gatehouse
	if [ ${#with[@]} -gt 0 ]; then # it is another program, and what it is made of may be anywhere
		binary=$root/gatehouse-with
		build "$binary"
	elif ! fresh "$binary"; then
		echo "building; the first time this takes a few minutes" >&2
		build "$binary"
	fi
	if [ "$config" = "$root/Caddyfile.example" ]; then
		cd "$root" # the demo keeps its store here, wherever it is started from
		demo_text
	fi
	# exec, so that signals reach the program itself.
	exec "$binary" run --config "$config" --adapter caddyfile
}

command=${1:-}
[ $# -eq 0 ] || shift
while [ "${1:-}" = --with ]; do
	[ $# -ge 2 ] || die "--with needs a module, such as example.com/realm=./realm"
	add_with "$2"
	shift 2
done

case $command in
build)
	[ $# -le 1 ] || die "build takes one output path"
	output=${1:-$root/gatehouse}
	case $output in /*) ;; *) output=$PWD/$output ;; esac
	build "$output"
	;;
run)
	[ $# -le 1 ] || die "run takes one Caddyfile"
	run "${1:-}"
	;;
-h | --help | help)
	usage
	;;
*)
	usage >&2
	exit 2
	;;
esac
