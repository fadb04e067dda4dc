"Programs that `torchrun` starts several times, and what came of them."
import os, re, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENV = dict(os.environ, OMP_NUM_THREADS='1', GOMP_SPINCOUNT='1000', MPLBACKEND='agg', PYTHONPATH=str(ROOT))

def start(n, *args, restarts=0):
    "Start `python args` in `n` processes; 1 means without `torchrun`."
    options = ['--standalone', f'--nproc-per-node={n}', f'--max-restarts={restarts}']
    run = ['-m', 'torch.distributed.run', *options] if n > 1 else []
    return subprocess.Popen([sys.executable, *run, *map(str, args)], env=ENV, cwd=ROOT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

def end(program, timeout=120):
    "The exit status and all that was printed. A program that does not end in time is ended."
    try: out, _ = program.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        program.terminate() # torchrun then ends its processes
        raise
    return program.returncode, out

def said(out):
    "What our processes said, without the table of `torchrun` and the lines that say where an error was."
    out = re.sub(r'^\[rank\d+\]: ', '', out.split('torch/distributed/elastic')[0], flags=re.MULTILINE)
    return [o for o in out.splitlines() if re.match(r'[A-Z]\w*(Error|Failed): ', o)]
