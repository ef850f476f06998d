# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash disable=SC2034 # the variables are for the scripts that source it
#
# For testing/run and testing/lib/each: run a test, and read what came of it.

# What run_limited runs, and background jobs of a script's own, end with it
runner_pid='' runner_jobs=()
runner_stop()
{
	local pid

	for pid in $runner_pid "${runner_jobs[@]}"; do
		if kill "$pid"; then
			wait "$pid" || : # as a rule it ends with an error
		fi
	done 2>/dev/null
	exit 143
}
trap runner_stop INT TERM HUP

# run_limited SECONDS LOG COMMAND...: set status, 124 or 137 if it took longer. In the
# background, because only then does a signal to us end it at once.
run_limited()
{
	timeout -k 30 "$1" "${@:3}" >"$2" 2>&1 </dev/null &
	runner_pid=$! status=0
	wait "$runner_pid" || status=$?
	runner_pid=''
}

# summary_read LOG STATUS: set passed, failed, skipped and trouble. The log's last line must
# be "N passed, N failed, N skipped". A test that died, ran out of time, said nothing or
# tested nothing has failed, and trouble says so.
summary_read()
{
	local last

	passed=0 failed=0 skipped=0 trouble=''
	last=$(tail -n 1 "$1")
	if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		passed=${BASH_REMATCH[1]} failed=${BASH_REMATCH[2]} skipped=${BASH_REMATCH[3]}
	else
		trouble="no summary, exit status $2"
	fi
	case $2 in
	0) ((passed + failed + skipped)) || trouble=${trouble:-"nothing tested"} ;;
	77) ;; # all skipped
	124 | 137) trouble="timeout" ;;
	*) ((failed)) || trouble=${trouble:-"exit status $2"} ;;
	esac
	[[ ! $trouble ]] || failed=$((failed + 1))
}
