#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs everything that must hold before a change is merged. See usage below.
set -uo pipefail

STATICCHECK=honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK=golang.org/x/vuln/cmd/govulncheck@v1.8.0
GOTESTSUM=gotest.tools/gotestsum@v1.13.0

TEST_TIMEOUT=40m # of one package: a machine that is busy with other things takes its time

usage() {
	cat <<'EOF'
Usage: tests/run.sh [options] [packages]

Formatting, vet, staticcheck, govulncheck, then all tests in shuffled order, those of everything below the wiring with the
race detector, among them what the fuzz targets have found so far and their seeds. Packages default to ./...

  --no-install   do not install what is missing (Debian packages, only as root)
  --no-lint      only the tests: skip gofmt, vet, staticcheck and govulncheck
  --fuzz N       have every fuzz target look further, for N seconds each, before the tests
  --no-race      without the race detector
  --race         with the race detector for the wiring too: caddymodule and what runs the program as a whole
  -h, --help     this text

Needs Go and, for the race detector, a C compiler; the browser tests need Chromium, those of the LDAP login module
OpenLDAP's server, those with a database PostgreSQL and PgBouncer, and the example resource servers and the second
implementation of the device protocol Node with npm, and Apache with mod_oauth2; OpenSSL looks at certificates. On Debian as root all but Go are
installed when they are missing. Reads nothing from standard input and needs no terminal.
EOF
}

install=yes lint=yes fuzz=0 race=some
packages=()
failed=()

step() { printf '\n== %s\n' "$*"; }
skip() { printf 'SKIPPED %s\n' "$*"; }

# check runs a command, and remembers its name when it fails; the run goes on, so that one run tells everything.
check() {
	local name=$1
	shift
	step "$name"
	"$@" || failed+=("$name")
}

arguments() {
	while [ $# -gt 0 ]; do
		case $1 in
		--no-install) install=no ;;
		--no-lint) lint=no ;;
		--fuzz)
			fuzz=${2:-}
			[[ $fuzz =~ ^[1-9][0-9]*$ ]] || {
				echo "--fuzz takes a number of seconds" >&2
				exit 2
			}
			shift
			;;
		--no-race) race=no ;;
		--race) race=all ;;
		-h | --help)
			usage
			exit 0
			;;
		-*)
			printf 'unknown option %s\n\n' "$1" >&2
			usage >&2
			exit 2
			;;
		*) packages+=("$1") ;;
		esac
		shift
	done
	[ ${#packages[@]} -gt 0 ] || packages=(./...)
}

have() { command -v "$1" >/dev/null 2>&1; }

have_slapd() { [ -x /usr/sbin/slapd ]; }

have_browser() { have chromium || have chromium-browser || have google-chrome || have google-chrome-stable; }

have_postgres() { have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

have_pooler() { [ -x /usr/sbin/pgbouncer ]; }

have_apache() { have apache2 && [ -e /usr/lib/apache2/modules/mod_oauth2.so ]; }

have_openssl() { have openssl; }

have_shell() { have curl && have jq; }

have_node() { have node && have npm; }

have_history() {
	git merge-base --is-ancestor "$(sed -n 's/^const formerCommit = "\(.*\)"$/\1/p' tests/cluster/former_test.go)" HEAD 2>/dev/null
}

# prepare installs what is missing where that is possible, and says what is skipped where it is not.
prepare() {
	if ! have go; then
		echo "Go is not installed. It is needed in version $(sed -n 's/^go //p' go.mod) or later: https://go.dev/dl/" >&2
		exit 1
	fi
	local missing=()
	have_browser || missing+=(chromium fonts-liberation)
	have_slapd || missing+=(slapd)
	have_postgres || missing+=(postgresql)
	have_pooler || missing+=(pgbouncer)
	have_apache || missing+=(apache2-bin libapache2-mod-oauth2)
	have_node || missing+=(nodejs npm)
	have_shell || missing+=(curl jq)
	have_openssl || missing+=(openssl)
	[ "$race" = no ] || have "${CC:-gcc}" || missing+=(gcc libc6-dev)
	if [ ${#missing[@]} -gt 0 ] && [ "$install" = yes ]; then
		install_packages "${missing[@]}"
	fi
	have_browser || skip "the browser tests: no Chromium was found (apt-get install chromium)"
	have_slapd || skip "the tests against an LDAP directory: no OpenLDAP server was found (apt-get install slapd)"
	have_postgres || skip "the tests with PostgreSQL: it was not found (apt-get install postgresql)"
	have_pooler || skip "the tests behind PgBouncer: it was not found (apt-get install pgbouncer)"
	have_apache || skip "the example of an Apache resource server: mod_oauth2 was not found (apt-get install apache2-bin libapache2-mod-oauth2)"
	have_node || skip "the example of a Node resource server, the second implementation of the device protocol and the CIBA client of others: Node was not found (apt-get install nodejs npm)"
	have_shell || skip "the stories of the README and of docs/api.md: curl or jq was not found (apt-get install curl jq)"
	have_history || skip "the upgrade of nodes from a former build: the history does not go back so far (git fetch --unshallow)"
	have_openssl || skip "what OpenSSL says of certificates, requests and lists of ours: it was not found (apt-get install openssl)"
	if [ "$race" != no ] && ! have "${CC:-gcc}"; then
		skip "the race detector: no C compiler was found (apt-get install gcc libc6-dev)"
		race=no
	fi
}

install_packages() {
	if ! have apt-get || [ "$(id -u)" != 0 ]; then
		echo "not installed: $* (that takes root on Debian)"
		return
	fi
	step "apt-get install $*"
	export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 # in runlevel 1 a server is installed and not started
	{ apt-get update && apt-get install -y --no-install-recommends "$@"; } >/tmp/gatehouse-apt.$$ 2>&1 ||
		tail -n 20 /tmp/gatehouse-apt.$$
	rm -f /tmp/gatehouse-apt.$$
}

formatted() {
	local unformatted
	unformatted=$(find . -name '*.go' -not -path '*/testdata/*' -not -path './.*' -exec gofmt -l {} +) || return 1
	[ -z "$unformatted" ] || {
		printf 'not formatted with gofmt:\n%s\n' "$unformatted"
		return 1
	}
}

# vulnerabilities asks the Go vulnerability database about the code that is reached. A machine that cannot reach the
# database is told so and goes on; one small package is asked about first, to find that out quickly.
vulnerabilities() {
	local answer status
	answer=$(timeout 60 go run "$GOVULNCHECK" ./storage 2>&1)
	status=$?
	if [ $status -eq 124 ] || grep -q 'fetching vulnerabilities' <<<"$answer"; then
		skip "govulncheck: the database at ${GOVULNDB:-https://vuln.go.dev} is unreachable from here"
		return 0
	fi
	timeout 600 go run "$GOVULNCHECK" "${packages[@]}"
}

# fuzz_targets prints "folder target" for every fuzz target of the packages.
fuzz_targets() {
	local dir
	while read -r dir; do
		find "$dir" -maxdepth 1 -name '*_test.go' -exec sed -nE "s|^func (Fuzz[A-Za-z0-9_]+)\\(.*|$dir \\1|p" {} +
	done < <(go list -f '{{.Dir}}' "${packages[@]}") | sort
}

# fuzz_all builds the targets of a package once, and runs each.
fuzz_all() {
	local targets work dir built='' bad=0
	mapfile -t targets < <(fuzz_targets)
	[ ${#targets[@]} -gt 0 ] || {
		echo "no fuzz targets"
		return 0
	}
	echo "${#targets[@]} targets, ${fuzz}s each"
	work=$(mktemp -d) || return 1
	for target in "${targets[@]}"; do
		dir=${target% *}
		if [ "$dir" != "$built" ]; then
			built=$dir
			(cd "$dir" && go test -vet=off -c -fuzz . -o "$work/fuzz") || {
				rm -f "$work/fuzz"
				bad=1
			}
		fi
		[ ! -x "$work/fuzz" ] || fuzz_one "$dir" "${target#* }" "$fuzz" "$work" || bad=1
	done
	rm -rf "$work"
	return $bad
}

# fuzz_one runs one target. The fuzzing engine sometimes fails with its own deadline when the time is up and no input was
# bad; then the target is run again.
fuzz_one() {
	local dir=$1 target=$2 seconds=$3 work=$4 output
	for _ in 1 2; do
		output=$(cd "$dir" && "$work/fuzz" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "${seconds}s" \
			-test.fuzzcachedir "$work/corpus" 2>&1) && {
			printf 'ok  %s %s: %s\n' "${dir#"$PWD"/}" "$target" "$(sed -n 's/.*\(execs: [0-9]*\).*/\1/p' <<<"$output" | tail -n 1)"
			return 0
		}
		if ! grep -q 'context deadline exceeded' <<<"$output" || grep -q 'Failing input' <<<"$output"; then
			break
		fi
	done
	printf '%s\n' "$output"
	return 1
}

# WIRING is what is built on Caddy, and what runs the program as a whole: there the race detector would have to build all of
# Caddy once more, to watch what is done one after the other.
WIRING='/(caddymodule|cmd|examples|tests)(/|$)'

# run_tests tests everything else with the race detector, and then the wiring without, unless one of both is wanted for all.
run_tests() {
	local all core=() wiring=() package bad=0
	all=$(go list "${packages[@]}") || return 1
	while read -r package; do
		if [ "$race" = all ] || [ "$race" = some ] && ! [[ $package =~ $WIRING ]]; then
			core+=("$package")
		else
			wiring+=("$package")
		fi
	done <<<"$all"
	[ ${#core[@]} -eq 0 ] || tested -race "${core[@]}" || bad=1
	[ ${#wiring[@]} -eq 0 ] || tested "${wiring[@]}" || bad=1
	return $bad
}

# tested prints go test's own lines, what failed, what was skipped and why, and the count.
tested() {
	local flags=(-shuffle=on -vet=off -ldflags=-w -timeout "$TEST_TIMEOUT") # stack traces need no DWARF, and linking takes long
	if go run "$GOTESTSUM" --version >/dev/null 2>&1; then
		go run "$GOTESTSUM" --format standard-quiet -- "${flags[@]}" "$@"
	else
		go test "${flags[@]}" "$@"
	fi
}

main() {
	arguments "$@"
	cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
	exec </dev/null
	prepare
	if [ "$lint" = yes ]; then
		check gofmt formatted
		check vet go vet "${packages[@]}"
		check staticcheck go run "$STATICCHECK" "${packages[@]}"
		check govulncheck vulnerabilities
	fi
	[ "$fuzz" = 0 ] || check fuzz fuzz_all
	check tests run_tests
	if [ ${#failed[@]} -gt 0 ]; then
		printf '\nFAILED: %s\n' "${failed[*]}"
		exit 1
	fi
}

main "$@"
