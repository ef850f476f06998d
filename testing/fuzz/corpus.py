#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A fuzzer's corpus as one file, a line of hexadecimal digits an input.

    corpus.py unpack FILE DIR    inputs into files of DIR, that is made
    corpus.py pack DIR           print those of DIR; to be kept, after fuzz_NAME -merge=1 DIR MORE
"""
import os
import sys


def unpack(path, directory):
    """See above"""
    os.makedirs(directory, exist_ok=True)
    with open(path, encoding="ascii") as file:
        for i, line in enumerate(line for line in file if not line.startswith("#")):
            with open(os.path.join(directory, f"{i:04}"), "wb") as out:
                out.write(bytes.fromhex(line))


def pack(directory):
    """See above"""
    inputs = []
    for name in os.listdir(directory):
        with open(os.path.join(directory, name), "rb") as file:
            inputs.append(file.read().hex())
    print("# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause")
    print("\n".join(sorted(inputs, key=lambda text: (len(text), text))))


if __name__ == "__main__":
    if sys.argv[1:2] == ["unpack"] and len(sys.argv) == 4:
        unpack(*sys.argv[2:])
    elif sys.argv[1:2] == ["pack"] and len(sys.argv) == 3:
        pack(sys.argv[2])
    else:
        sys.exit(__doc__)
