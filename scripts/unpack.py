#!/usr/bin/env python3
"""Unpack some members of a wheel: unpack.py WHEEL INTO PREFIX:GLOB,GLOB…

Every glob must match something. A member's CRC is checked by zipfile as it is read, and a
member that would leave the folder INTO is refused.
"""
import fnmatch
import os
import shutil
import sys
import zipfile


def members(names, prefix, globs):
    """The (member, path below INTO) pairs that the globs select."""
    chosen, unmatched = [], set(globs)
    for name in names:
        if not name.startswith(prefix) or name.endswith("/"):
            continue
        rest = name[len(prefix):]
        for glob in globs:
            if fnmatch.fnmatchcase(rest, glob):
                chosen.append((name, rest))
                unmatched.discard(glob)
                break
    if unmatched:
        sys.exit(f"unpack: nothing matches {prefix}: {', '.join(sorted(unmatched))}")
    return chosen


def main(wheel, into, member):
    prefix, _, globs = member.partition(":")
    root = os.path.realpath(into)
    with zipfile.ZipFile(wheel) as archive:
        for name, rest in members(archive.namelist(), prefix, globs.split(",")):
            path = os.path.realpath(os.path.join(root, rest))
            if not path.startswith(root + os.sep):
                sys.exit(f"unpack: {name} leaves {into}")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with archive.open(name) as source, open(path, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
