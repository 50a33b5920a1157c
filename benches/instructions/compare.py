"""Compares what callgrind counted with what is kept: compare.py DIRECTORY KEPT [--update]. Called by scripts/instructions.

The directory holds the program's output (`paths`: a line "name requests" each, in the order of the dumps) and the dumps of its
main thread. What the program itself does to send requests and to read answers is taken out.
"""

import collections
import json
import pathlib
import re
import sys

TOLERANCE = 0.10
SHOWN = 20
# What a crate must have of a path to be kept: less than this is noise.
KEPT_SHARE = 0.002
OWN = re.compile(r"instructions(\[[0-9a-f]+\])?::wire::.*::(send|receive)$")
LIBRARIES = [
    ("mi_", "mimalloc"),
    ("_mi_", "mimalloc"),
    ("__rustc::", "mimalloc"),
    ("aws_lc", "aws_lc"),
    ("AWS_LC", "aws_lc"),
    ("sha256_", "aws_lc"),
    ("__mem", "copying, comparing and zeroing"),
]
NUMBERS = re.compile(r"^[+*-]?\d*\s+(\d+)$")


def read(dump):
    """Instructions by function without those it calls, and those of the program's own work with what it calls."""
    names, selves, own = {}, collections.Counter(), 0
    function = called = None
    in_call = False
    for line in dump.read_text().splitlines():
        kind, _, rest = line.partition("=")
        if kind in ("fn", "cfn"):
            number, _, name = rest.partition(" ")
            if name:
                names[number] = re.sub(r"::h[0-9a-f]{16}$", "", re.sub(r"'\d+$", "", name))
            if kind == "fn":
                function = names[number]
            else:
                called = names[number]
        elif kind == "calls":
            in_call = True
        elif found := NUMBERS.match(line):
            if not in_call:
                selves[function] += int(found[1])
            elif OWN.search(called) and not OWN.search(function):
                own += int(found[1])
            in_call = False
    return selves, own


def crate(function):
    """Of the type or module whose function it is; for C, the library."""
    for prefix, library in LIBRARIES:
        if function.startswith(prefix):
            return library
    # `<F as axum::handler::Handler>::call` is axum's, for lack of anything better.
    for found in re.finditer(r"\b([a-z_][a-z0-9_]*)(?:\[[0-9a-f]+\])?::", function):
        return found[1]
    return "other"


def count(directory):
    counted = {}
    for number, line in enumerate((directory / "paths").read_text().splitlines(), 1):
        path, requests = line.split()
        selves, own = read(directory / f"counted.{number}-01")
        crates = collections.Counter()
        for function, instructions in selves.items():
            crates[crate(function)] += instructions
        total = sum(selves.values()) - own
        if total <= 0:
            sys.exit(f"[instructions] nothing was counted for {path}: were the marks not found?")
        each = lambda instructions: round(instructions / int(requests))
        kept = {name: each(n) for name, n in crates.most_common() if n >= KEPT_SHARE * total}
        counted[path] = {"instructions": each(total), "crates": kept}
        functions = [(each(n), name) for name, n in selves.most_common(SHOWN)]
        print(f"{path}: {each(total):,} instructions a request ({each(own):,} of the generator's not among them)")
        yield path, counted[path], functions


def main():
    directory, kept_at = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    kept = json.loads(kept_at.read_text()) if kept_at.exists() else {}
    counted, dearer, cheaper = {}, [], []
    for path, now, functions in count(directory):
        counted[path] = now
        if path not in kept:
            print(f"  nothing is kept for it: scripts/instructions --update")
            dearer.append(path)
            continue
        before = kept[path]["instructions"]
        change = now["instructions"] / before - 1
        print(f"  kept: {before:,}, so {change:+.1%}")
        if abs(change) <= TOLERANCE:
            continue
        (dearer if change > 0 else cheaper).append(path)
        old, new = kept[path]["crates"], now["crates"]
        moved = sorted(((new.get(name, 0) - old.get(name, 0), name) for name in {*old, *new}), key=lambda m: -abs(m[0]))
        print("  what changed most, in instructions a request, by the crate whose functions they are:")
        for difference, name in [m for m in moved if m[0]][:SHOWN]:
            print(f"  {difference:>+10,}  {name}")
        if change > 0:
            print("  the functions that take most now, without those they call:")
            for instructions, name in functions:
                print(f"  {instructions:>10,}  {name[:150]}")
    if "--update" in sys.argv:
        kept_at.write_text(json.dumps(counted, indent=2) + "\n")
        print(f"kept in {kept_at}")
    elif dearer:
        sys.exit(
            f"[instructions] MORE than {TOLERANCE:.0%} were added to {', '.join(dearer)}. If that is worth it, keep the new "
            "counts with scripts/instructions --update, and say why in the commit."
        )
    elif cheaper:
        print(f"[instructions] FEWER by more than {TOLERANCE:.0%}: {', '.join(cheaper)}. Well done; keep it with --update.")


main()
