"""complete_in_bash.py SCRIPT FOLDER LINE: what an interactive bash in FOLDER makes of LINE, by the completion SCRIPT, when
it is asked for all completions of the last word (Alt-*): the words after `spectral-gan`, one a line."""

import os
import pty
import subprocess
import sys
import tempfile

script, folder, line = sys.argv[1:]
with tempfile.NamedTemporaryFile("r") as out:
    terminal, side = pty.openpty()
    bash = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=side, stdout=side, stderr=side, cwd=folder,
                            env={"PATH": os.environ["PATH"], "TERM": "dumb", "HISTFILE": ""}, start_new_session=True)
    os.close(side)
    os.write(terminal, f". '{script}'; spectral-gan() {{ printf '%s\\n' \"$@\" >'{out.name}'; exit; }}\n".encode())
    os.write(terminal, f"{line}\x1b*\n".encode())
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:  # the last process of the terminal has ended
        pass
    bash.wait()
    sys.stdout.write(out.read())
