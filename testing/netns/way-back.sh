#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#
# The way back of a change that fails, while another thread of the process takes all file
# descriptors: what it needs was set aside before.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/lib.sh
. "$(dirname "$0")/../lib/lib.sh"
fresh_net "$@"
require_cmd ip tc jq gcc bpftool
# shellcheck source-path=SCRIPTDIR source=../lib/doctor.sh
. "$(dirname "$0")/../lib/doctor.sh"

# Call SCARCE_AT of SCARCE_CALL fails; no descriptor is free from then on (SCARCE_FROM=call), or
# after the change of the chains is closed, which looks through a directory last
gcc -shared -fPIC -D_GNU_SOURCE -o "$work/scarce.so" -xc - <<-'END'
	#include <dirent.h>
	#include <dlfcn.h>
	#include <fcntl.h>
	#include <stdlib.h>
	#include <string.h>

	static int failed, taken;

	static void take(const char *from)
	{
		if (!failed || taken || strcmp(getenv("SCARCE_FROM"), from))
			return;
		for (taken = 1; fcntl(0, F_DUPFD_CLOEXEC, 0) >= 0;)
			;
	}

	static int fails(const char *call)
	{
		static int count;

		if (failed || strcmp(getenv("SCARCE_CALL"), call) ||
		    ++count < atoi(getenv("SCARCE_AT")))
			return 0;
		failed = 1;
		take("call");
		return 1;
	}

	int bpf_xdp_attach(int ifindex, int fd, unsigned int flags, const void *opts)
	{
		int (*next)(int, int, unsigned int, const void *) = dlsym(RTLD_NEXT, __func__);

		return fails("xdp") ? -12 : next(ifindex, fd, flags, opts);
	}

	int bpf_tc_attach(const void *hook, void *opts)
	{
		int (*next)(const void *, void *) = dlsym(RTLD_NEXT, __func__);

		return fails("tc") ? -12 : next(hook, opts);
	}

	int closedir(DIR *dir)
	{
		int (*next)(DIR *) = dlsym(RTLD_NEXT, __func__);
		int err = next(dir);

		take("closed");
		return err;
	}
END

# state: programs, ports, pins, settings, rules and the log of changes
state()
{
	local iface

	for iface in v0 v1 w0 w1; do
		echo "$iface:"
		ip -j link show "$iface" | jq -c '.[0].xdp.prog.id'
		tc filter show dev "$iface" egress | grep -o ' id [0-9]*' || :
	done
	echo "ports: $(bpftool -j map dump pinned /sys/fs/bpf/ecbpf/fastpath_ports 2>&1)"
	find /sys/fs/bpf/ecbpf /sys/fs/bpf/xdp | sort
	rm -rf "$work/export"
	mkdir "$work/export"
	ecbpf-loader export -d "$work/export" 2>&1 || :
	find "$work/export" -type f -exec head {} +
	tail -n +3 "$ECBPF_STATE_DIR/runtime/changes" 2>&1 || :
}

# goes_back NAME CALL AT FROM COMMAND...: it fails, says so, and all is as it was
goes_back()
{
	local before after status=0

	before=$(state)
	SCARCE_CALL=$2 SCARCE_AT=$3 SCARCE_FROM=$4 LD_PRELOAD=$work/scarce.so \
		prlimit --nofile=200 "${@:5}" >"$work/out" 2>&1 || status=$?
	after=$(state)
	if ((status != 1)) || ! grep -q 'Cannot allocate memory' "$work/out"; then
		fail "$1: it fails" "status $status: $(<"$work/out")"
	elif [[ $after != "$before" ]]; then
		fail "$1: all is as it was" \
			"$(<"$work/out") $(diff <(echo "$before") <(echo "$after"))"
	else
		pass "$1: all is as it was"
	fi
}

begin
run ip link add w0 type veth peer name w1
run ip link set w0 up
run ip link set w1 up
printf '[sampler]\nrate = 7\n[filter]\n' >"$work/settings"
run ecbpf-loader apply "$work/settings" # from now on there is a log of changes

goes_back "load, of two interfaces" xdp 2 call ecbpf-loader load --fused pass v0,w0
run ecbpf-loader load --fused pass v0
run ecbpf-loader load --fused count w0
goes_back "unload, of two interfaces" xdp 2 call ecbpf-loader unload --all v0,w0
run ecbpf-loader unload --all v0
run ecbpf-loader unload --all w0

goes_back "sampler load" xdp 1 closed ecbpf-sampler load --fused --rate 10 v0
run ecbpf-sampler load --fused --rate 10 v0
goes_back "sampler unload" xdp 1 closed ecbpf-sampler unload v0
run ecbpf-sampler unload v0

echo 'ip from 192.0.2.1 to any udp drop name "old"' >"$work/rules"
run ecbpf-fw load --fused -f "$work/rules" v0
sed 's/old/new/' "$work/rules" >"$work/more"
goes_back "fw load" xdp 1 closed ecbpf-fw load --fused -f "$work/more" w0
run ecbpf-fw unload v0

run ecbpf-fastpath load --fused -i w0 -o v1 --flows 1000
goes_back "fastpath load" xdp 1 closed ecbpf-fastpath load --fused -i v0 -o w1
goes_back "fastpath load, of the second TC program" tc 2 call \
	ecbpf-fastpath load --fused -i v0 -o w1
goes_back "fastpath unload" xdp 1 closed ecbpf-fastpath unload
run tc qdisc del dev w0 clsact
# shellcheck disable=SC2046 # one word a byte
run bpftool map delete pinned /sys/fs/bpf/ecbpf/fastpath_ports \
	key $(ip -j link show w0 | jq '.[0].ifindex') 0 0 0
goes_back "fastpath refresh, which repairs" tc 1 call ecbpf-fastpath refresh
run ecbpf-fastpath unload

for rate in 20 30; do
	cat >"$work/$rate" <<-END
		[interfaces]
		ingress = v0
		egress = w1
		[chain]
		stages = filter,fw,fastpath,sampler
		fused = yes
		[filter]
		land = $([[ $rate == 20 ]] && echo drop || echo count)
		vip = 192.0.2.$rate
		drop = $work/drop.$rate
		[fw]
		rules = $work/rules.$rate
		[fastpath]
		exclude = 198.51.100.$rate
		[sampler]
		rate = $rate
	END
	seq -f "203.0.113.%g" $rate $((rate + 5)) >"$work/drop.$rate"
	{
		echo "set s$rate { 198.18.$rate.0/24 }"
		echo "ip from @s$rate to any tcp dport $rate drop"
	} >"$work/rules.$rate"
done
goes_back "apply, of all that is new" xdp 1 closed ecbpf-loader apply "$work/20"
run ecbpf-loader apply "$work/20"
sed -i 's/filter,//; /gress =/{s/v0/v0 w0/; s/w1/v1/}' "$work/30"
goes_back "apply, of all that is other" xdp 1 closed ecbpf-loader apply "$work/30"
goes_back "apply --stop" xdp 1 closed ecbpf-loader apply --stop "$work/20"
summary
