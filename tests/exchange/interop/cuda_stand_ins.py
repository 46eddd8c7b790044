#!/usr/bin/env python3
"""Makes stand-ins for the CUDA libraries (4 GB) that the torch wheel of a machine without a GPU is installed without:

    cuda_stand_ins.py SITE-PACKAGES FOLDER

With FOLDER in LD_LIBRARY_PATH, Python imports that torch, which then computes on the CPU. A stand-in has the functions
that torch's libraries want of it; each stops the program. Where SITE-PACKAGES has a library, none is made.
"""

import re
import subprocess
import sys
from pathlib import Path


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write_stand_in(library: str, versions: set[str], wanted: set[str], folder: Path) -> None:
    # A library without versions has its own name in those of its functions: cuFileRead in libcufile.so.0.
    prefix = library.removeprefix("lib").partition(".")[0].lower()
    functions: dict[str, set[str]] = {version: set() for version in versions}
    bare = set()
    for symbol in wanted:
        name, _, version = symbol.partition("@")
        if version in functions:
            functions[version].add(name)
        elif not version and name.lower().startswith(prefix):
            bare.add(name)
    script = folder / f"{library}.versions"
    script.write_text("".join(f"{version} {{ global: {'; '.join(sorted(names))}; }};\n"
                              for version, names in functions.items() if names))
    source = "".join(f"void {name}(void) {{ __builtin_trap(); }}\n" for name in sorted(bare.union(*functions.values())))
    link = [f"-Wl,--version-script={script}"] if script.stat().st_size else []
    # -w: some are names of the compiler's own functions.
    subprocess.run(["gcc", "-shared", "-nostdlib", "-w", *link, f"-Wl,-soname,{library}", "-o", folder / library,
                    "-x", "c", "-"], input=source, text=True, check=True)
    script.unlink()


def main() -> None:
    packages, folder = map(Path, sys.argv[1:])
    libraries = list((packages / "torch/lib").glob("*.so*"))
    present = {path.name for path in [*libraries, *(packages / "nvidia").rglob("*.so*")]}
    versions: dict[str, set[str]] = {}  # by library
    wanted: set[str] = set()  # what torch's libraries take from others, "name@version" or "name"
    for path in libraries:
        # libcuda is the driver's, and is loaded at its first use alone.
        for library in re.findall(r"\(NEEDED\).*\[(lib(?:cu|nccl|nvshmem)[^\]]*)\]", output("readelf", "-dW", path)):
            if library not in present and not library.startswith("libcuda."):
                versions.setdefault(library, set())
        for library, entries in re.findall(r"File: (\S+) .*\n((?:.* Name: .*\n)*)", output("readelf", "-VW", path)):
            if library in versions:
                versions[library].update(re.findall(r" Name: (\S+)", entries))
        wanted.update(re.findall(r" U (\S+)", output("nm", "-D", path)))
    folder.mkdir(parents=True, exist_ok=True)
    for library, names in versions.items():
        write_stand_in(library, names, wanted, folder)


if __name__ == "__main__":
    main()
