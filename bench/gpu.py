"""What a graphics card gives: copies, half precision, memory layout, compiled models, and NCCL between several.

`make gpu` runs it, after the tests, in the course's own environment; fastai has no part in it. Times are medians of
`--rounds`; before each one the card has finished all that was asked of it.
"""
import statistics, subprocess, sys, time
from common import HERE, Report, arguments, load

def seconds(torch, f, rounds):
    "The median time of `f`, until the card is done with it; the first two calls are not counted."
    times = []
    for _ in range(rounds + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        f()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])

def copies(lib, report, rounds):
    "To the card, from ordinary and from pinned memory; and what the CPU waits while it goes on."
    torch = lib.torch
    plain = torch.randn(64, 3, 224, 224)
    pinned, size = plain.pin_memory(), plain.nbytes/1e9
    for name,batch in ('ordinary', plain), ('pinned', pinned):
        s = seconds(torch, lib.partial(lib.to_device, batch, 'cuda'), rounds)
        report.note(f'copy of {size*1000:.0f} MB from {name} memory', f'{size/s:.1f} GB/s')
        torch.cuda.synchronize()
        start = time.perf_counter()
        lib.to_device(batch, 'cuda', non_blocking=True)
        report.note('the same with non_blocking, until the CPU goes on', f'{1e6*(time.perf_counter() - start):.0f} µs')

def make_step(lib, precision, layout, compiled, bs):
    "A function that makes a training step of ResNet-50, in this precision and memory layout."
    torch = lib.torch
    model = lib.resnet50().cuda().to(memory_format=getattr(torch, layout))
    if compiled: model.compile()
    opt = torch.optim.SGD(model.parameters(), 0.01)
    scaler = torch.amp.GradScaler('cuda', enabled=precision == 'float16')
    x = torch.randn(bs, 3, 224, 224, device='cuda').to(memory_format=getattr(torch, layout))
    y = torch.randint(1000, (bs,), device='cuda')
    def step():
        with torch.autocast('cuda', getattr(torch, precision), enabled=precision != 'float32'):
            loss = lib.F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(opt)
        scaler.update()
        opt.zero_grad()
    return step

def steps(lib, report, rounds, bs):
    "Pictures a second of ResNet-50, by precision, layout, and compiled or not; the ratio is to the first line."
    first = None
    for precision in 'float32', 'float16', 'bfloat16':
        for layout in 'contiguous_format', 'channels_last':
            for compiled in False, True:
                s = seconds(lib.torch, make_step(lib, precision, layout, compiled, bs), rounds)
                first = first or s
                how = f'{precision}, {layout}' + ', compiled'*compiled
                report.note(f'step of resnet50, {how}', f'{bs/s:,.0f} images/s', f'{first/s:.2f} times the first')
                lib.torch.cuda.empty_cache()

RING = '''
import os, time, torch, torch.distributed as dist
torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
dist.init_process_group('nccl')
n, grads = dist.get_world_size(), torch.ones(25_557_032, device='cuda')
for round in range(12):
    torch.cuda.synchronize(); dist.barrier()
    start = time.perf_counter()
    dist.all_reduce(grads)
    torch.cuda.synchronize()
    if round > 1 and dist.get_rank() == 0: print((time.perf_counter() - start), flush=True)
dist.destroy_process_group()
'''

def between_cards(lib, report):
    "The gradients of ResNet-50, added up over all cards; the speed of a wire by the formula of the ring (chapter 16)."
    n = lib.torch.cuda.device_count()
    if n < 2: return report.note('all-reduce of 102 MB by NCCL', 'one card: nothing to add up')
    script = HERE/'results'/'ring.py'
    script.parent.mkdir(exist_ok=True)
    script.write_text(RING)
    command = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={n}', str(script)]
    out = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True).stdout
    s = statistics.median(map(float, out.split()))
    on_a_wire = 2*(n-1)/n*0.1022/s
    report.note(f'all-reduce of 102 MB by NCCL, {n} cards', f'{1000*s:.1f} ms', f'{on_a_wire:.0f} GB/s on a wire')

def main():
    a = arguments(__doc__, bs=64, rounds=10)
    lib = load('course_lib')
    torch = lib.torch
    if not torch.cuda.is_available(): return print('Nothing was measured: there is no graphics card with CUDA here.')
    report = Report('gpu', f'{torch.cuda.get_device_name()}, torch {torch.__version__}, bs={a.bs}; {a.rounds} rounds.')
    copies(lib, report, a.rounds)
    steps(lib, report, a.rounds, a.bs)
    between_cards(lib, report)
    report.save()

if __name__ == '__main__': main()
