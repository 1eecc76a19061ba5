"""Runs one program and prints what it took, as JSON: `python -I -S launch.py CORE|any FOLDER COMMAND …`.

A small process of its own, because Linux counts the memory of whoever starts a program into that program's peak. The
program's output goes to FOLDER/stdout and FOLDER/stderr; the processes that it starts and awaits are counted in.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    """The command line."""
    core, folder, *command = sys.argv[1:]
    if core != "any":
        os.sched_setaffinity(0, {int(core)})
    with (Path(folder) / "stdout").open("wb") as out, (Path(folder) / "stderr").open("wb") as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    took = {
        "exit_code": process.returncode,
        "wall_s": wall_s,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mib": usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10),
    }
    print(json.dumps(took))


if __name__ == "__main__":
    main()
