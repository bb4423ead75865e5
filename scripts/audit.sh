#!/usr/bin/env bash
# Known vulnerabilities in what the packages call, the product's and those of research, or those that are named, by govulncheck.
#
#   AUDIT_DB=URL      the database; default https://vuln.go.dev, file:///… works too
#   AUDIT_STRICT=1    a database that cannot be reached is an error
#
# Exit codes: 0 nothing known, or not checked; 1 the check failed; 3 vulnerabilities, which are printed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
db=${AUDIT_DB:-https://vuln.go.dev}
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

not_checked() {
	echo "audit: NOT CHECKED: $db cannot be reached. Whether there are known vulnerabilities is not known."
	if [[ ${AUDIT_STRICT:-} == 1 ]]; then exit 1; fi
	exit 0
}

# govulncheck takes an empty folder for a database without entries.
if [[ $db == file://* && ! -f ${db#file://}/index/modules.json ]]; then not_checked; fi
code=0
audit() {
	local failed=0
	bin/govulncheck -db "$db" "$@" 2>"$errors" || failed=$?
	cat "$errors" >&2
	if ((failed)) && grep -q '^govulncheck: fetching vulnerabilities' "$errors"; then not_checked; fi
	((failed == 0)) || code=$failed
}
audit "${@:-./...}"
if (($# == 0)); then audit -C research ./...; fi
if ((code == 0)); then echo "audit: checked against $db"; fi
exit "$code"
