# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# Shared by kernel, userland, run and selftest: the cache and Debian's archive.
# Everything cached is made in a temporary directory beside its place and
# renamed, under a lock: what is in place is whole.

me=${0##*/}
vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck disable=SC2034 # used by the scripts that source this file
top_dir=$(cd "$vm_dir/../.." && pwd -P)
cache_dir=${ECBPF_CACHE:-$top_dir/testing/cache}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

die()
{
	echo "$me: $*" >&2
	exit 1
}

# need COMMAND...: all of them must be installed
need()
{
	local cmd

	for cmd in "$@"; do
		[[ $(command -v "$cmd") ]] || die "no '$cmd' here; run testing/deps vm"
	done
}

# cache_lock NAME: from here on this process alone makes NAME
cache_lock()
{
	mkdir -p "$cache_dir"
	cache_dir=$(cd "$cache_dir" && pwd -P)
	exec {lock_fd}>"$cache_dir/$1.lock"
	flock "$lock_fd"
	work=$cache_dir/tmp-$1
}

# work_make: make $work, an empty directory on the cache's file system, gone at
# exit. Called with the lock: what is there was left by a process that was killed.
work_make()
{
	rm -rf --one-file-system "$work"
	mkdir "$work"
	trap 'trap "" INT TERM HUP; rm -rf --one-file-system "$work"' EXIT
	trap 'trap "" INT TERM HUP; exit 130' INT
	trap 'trap "" INT TERM HUP; exit 143' TERM HUP
}

# debian_mirror: print the address of Debian's archive this host itself uses
debian_mirror()
{
	local line

	if [[ ${ECBPF_MIRROR-} ]]; then
		echo "$ECBPF_MIRROR"
		return
	fi
	# shellcheck disable=SC2016 # $(...) is for apt-get
	line=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
		'Origin: Debian' 'Label: Debian' | sed -n 1p)
	if [[ ! $line ]]; then
		# Nothing fetched yet (a bare image): ask for the addresses instead.
		line=$(apt-get --print-uris update |
			sed -n "s|^'\(.*/debian/\)dists/[^/]*/InRelease'.*|\1|p" | sed -n 1p)
	fi
	[[ $line ]] || die "apt knows no Debian mirror; set ECBPF_MIRROR"
	echo "$line"
}

# apt_root SUITE [deb-src]: set $apt_opts so that apt works in $work/apt, on SUITE alone; with
# deb-src on its source packages.
# The host's own lists, sources and state are neither read nor changed; its
# transport settings (a proxy, say) hold.
apt_root()
{
	local dir=$work/apt mirror

	mirror=$(debian_mirror)
	[[ -r $keyring ]] || die "no $keyring; run testing/deps vm"
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	: >"$dir/status"
	echo "${2:-deb} [arch=amd64 signed-by=$keyring] $mirror $1 main" >"$dir/sources.list"
	apt_opts=(-qq -o Dir::State="$dir" -o Dir::State::lists="$dir/lists"
		-o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache"
		-o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
		-o APT::Sandbox::User=root -o APT::Architecture=amd64
		-o APT::Architectures::=amd64 -o Acquire::Languages=none
		-o Acquire::Retries=3 -o APT::Update::Error-Mode=any)
	apt-get "${apt_opts[@]}" update || die "cannot fetch the package list of Debian $1"
}
