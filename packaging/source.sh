# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# shellcheck shell=bash
#
# For packaging/deb and packaging/rpm: this tree as a release would have it

# source_make DIRECTORY: make ecbpf-$version there, and set $version. What git describes as
# 1.2-3-gabc is 1.2+3.gabc here: a hyphen begins the packaging's own version
source_make()
{
	local tree

	version=$(build-aux/get-version | sed 's/-/+/; s/-/./g')
	tree=$1/ecbpf-$version
	mkdir "$tree"
	{ git ls-files 2>/dev/null | grep . || cat .dist-files; } | tar -cf - -T - |
		tar -xf - -C "$tree"
	git ls-files >"$tree/.dist-files" 2>/dev/null || cp .dist-files "$tree/.dist-files"
	echo "$version" >"$tree/.dist-version"
	(cd "$tree" && ./autogen.sh >"$1/autogen.log" 2>&1) || { cat "$1/autogen.log" >&2; exit 1; }
}
