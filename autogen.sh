#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# Make ./configure
set -e
cd "$(dirname "$0")"
for tool in autoreconf:autoconf automake:automake libtoolize:libtool pkg-config:pkg-config; do
	command -v "${tool%:*}" >/dev/null || {
		echo "autogen.sh: ${tool%:*} is missing (Debian: apt-get install ${tool#*:})" >&2
		exit 1
	}
done
mkdir -p m4
exec autoreconf -fi
