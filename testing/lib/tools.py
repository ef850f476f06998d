# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The tools as they were built, and a user without rights to run them as"""
import os

TOOLS = os.path.abspath(os.environ.get("TOOLS", "tools"))
# what libtool runs, without its script, which takes ten times as long as the tool
if os.path.isdir(os.path.join(TOOLS, ".libs")):
    os.environ["LD_LIBRARY_PATH"] = os.path.join(os.path.dirname(TOOLS), "lib", ".libs")
    TOOLS = os.path.join(TOOLS, ".libs")
# who may reach them, wherever they are
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
          "--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search",
          "--bounding-set=-all,+dac_read_search", "--"]
