"""Many clients at once: Quern in process, `quern serve` and llama-server over loopback, in turns. Started by
many_clients.sh, which has built the peer. All sides get the same texts, greedy, past the end of the answer; every round
has new ones, so that nothing is known from before. Standard library only."""

import argparse
import asyncio
import contextlib
import json
import math
import os
import pathlib
import random
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

IN_PROCESS, BESIDE = "in process", "with others"
QUIET = 0.05  # of the machine's processors, taken by others
GOALS = {"tokens_per_second": ("≥", 3.0), "first_token_ms": ("≤", 0.25)}
SUBJECTS = ("the mill by the river", "a lighthouse in winter", "the old railway bridge", "bees and their hives",
            "a city of glass", "how bread is baked", "the long way home", "a clock that runs backwards")
ASKS = ("Explain it to a child of ten and give one example from everyday life.",
        "Write a short letter about it to a friend who has never seen it.",
        "List three things that people often get wrong about it, and say why.",
        "Tell its history in a few plain sentences and end with a question.")


def busy_seconds():
    """Processor time of this machine, and of it what this script and its ended children had."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    own = sum(usage.ru_utime + usage.ru_stime for usage in
              map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK"), own


def make_prompts(count, seed):
    """Texts of some 30 to 60 tokens that differ from the first word on: no block of a cache is shared by two."""
    source = random.Random(seed)
    words = "amber birch cedar delta ember flint grove heron ivory jetty knoll larch maple north ochre pearl".split()
    texts = []
    for number in range(count):
        beginning = " ".join(source.choice(words) for _ in range(6 + number % 12))
        texts.append(f"{source.randrange(10**6)} {beginning}. Think of {source.choice(SUBJECTS)}. {source.choice(ASKS)}")
    return texts


def percentile(values, share):
    """The nearest rank, as many_clients.cpp has it."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


def llama_request(prompt, tokens):
    return "/completion", {"prompt": prompt, "n_predict": tokens, "temperature": 0, "ignore_eos": True, "stream": True,
                           "cache_prompt": False}


def llama_event(event):
    """(whether a token came, the count of all once it is known)."""
    return not event.get("stop"), event.get("tokens_predicted") if event.get("stop") else None


def openai_request(prompt, tokens):
    return "/v1/completions", {"prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
                               "stream": True, "stream_options": {"include_usage": True}}


def openai_event(event):
    usage = event.get("usage")
    return any(choice["text"] for choice in event["choices"]), usage["completion_tokens"] if usage else None


async def ask(server, prompt, tokens):
    """One client: (when it asked, when each token came, how many the server counted). What comes is read while it comes
    and understood afterwards: the client shares the machine with what it measures."""
    path, body = server.request(prompt, tokens)
    data = json.dumps(body).encode()
    asked = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     f"Connection: close\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        pieces = []
        while piece := await reader.read(65536):
            pieces.append((time.monotonic(), piece))
    finally:
        writer.close()
    return asked, pieces


def understand(server, asked, pieces):
    arrivals, counted, rest = [], 0, b""
    for now, piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                sys.exit(f"{server.name}: {event['error']}")
            came, count = server.event(event)
            if came:
                arrivals.append(now)
            if count is not None:
                counted = count
    return asked, arrivals, counted


async def ask_all(server, prompts, tokens):
    return [understand(server, *answer) for answer in
            await asyncio.gather(*(ask(server, prompt, tokens) for prompt in prompts))]


@contextlib.contextmanager
def bystanders(port, idle, slow):
    command = [sys.executable, pathlib.Path(__file__).with_name("bystanders.py"), *map(str, (port, idle, slow))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline() != "ready\n":
            sys.exit("The bystanders ended.")
        yield
        left, _ = process.communicate(timeout=60)
        if int(left) < slow:
            sys.exit(f"Of {slow} slow readers only {left.strip()} had something left to read.")
    finally:
        process.kill()
        process.wait()


def summary(answers, tokens):
    first, between, begin, end = [], [], math.inf, 0
    for asked, arrivals, counted in answers:
        if counted != tokens or not arrivals:
            sys.exit(f"A server made {counted} tokens instead of {tokens}.")
        first.append((arrivals[0] - asked) * 1000)
        between += [(b - a) * 1000 for a, b in zip(arrivals, arrivals[1:])]
        begin, end = min(begin, asked), max(end, arrivals[-1])
    return {"clients": len(answers), "tokens": tokens * len(answers), "seconds": end - begin,
            "tokens_per_second": tokens * len(answers) / (end - begin),
            "first_token_ms": {"p50": percentile(first, 0.5), "p99": percentile(first, 0.99)},
            "inter_token_ms": {"p50": percentile(between, 0.5), "p99": percentile(between, 0.99)}}


class Server:
    """A server of its own for each round; it ends with the `with`."""

    def __init__(self, options):
        self.options = options
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        self.home = tempfile.TemporaryDirectory()
        environment = dict(os.environ, QUERN_HOME=self.home.name, **self.environment())
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env=environment)
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def environment(self):
        return {}

    def wait_until_ready(self):
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                self.log.seek(0)
                sys.exit(f"{self.name} ended: " + self.log.read().decode(errors="replace")[-400:])
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{self.ready}", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        sys.exit(f"{self.name} was not ready after 60 seconds.")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.home.cleanup()


class LlamaServer(Server):
    name, ready = "llama-server", "/health"
    request, event = staticmethod(llama_request), staticmethod(llama_event)

    def environment(self):
        return {"LD_LIBRARY_PATH": self.options.peer}

    def command(self):
        slots, threads = self.options.clients, str(self.options.threads)
        return [self.options.peer + "/llama-server", "-m", self.options.model, "-np", str(slots),
                "-c", str(slots * (256 + self.options.tokens)), "-t", threads, "-tb", threads, "--host", "127.0.0.1",
                "--port", str(self.port), "--no-ui"]


class QuernServer(Server):
    name, ready = "quern serve", "/ready"
    request, event = staticmethod(openai_request), staticmethod(openai_event)

    def command(self):
        return [self.options.quern, "serve", "--host", "127.0.0.1", "--port", str(self.port), "--model",
                self.options.model, "--parallel", str(self.options.clients), "--ctx", str(256 + self.options.tokens),
                "--threads", str(self.options.threads)]


def measure_server(kind, options, seed, idle=0, slow=0):
    async def work(server):
        return await asyncio.wait_for(ask_all(server, make_prompts(options.clients, seed), options.tokens), options.limit)

    with kind(options) as server, bystanders(server.port, idle, slow) if idle or slow else contextlib.nullcontext():
        return [summary(asyncio.run(work(server)), options.tokens)]


def measure_quern(options, seed):
    counts = sorted({count for count in (1, 8, 16, 32) if count < options.clients} | {options.clients})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        # The peer's prompts for the same number of clients.
        json.dump([make_prompts(count, seed if count == options.clients else f"{seed}-{count}") for count in counts],
                  file)
        file.flush()
        command = [options.program, "-m", options.model, "--prompts", file.name, "-n", str(options.tokens),
                   "-t", str(options.threads), "--clients", ",".join(map(str, counts))]
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=options.limit, check=False)
    if done.returncode != 0:
        sys.exit(f"many_clients failed ({done.returncode}).")
    return json.loads(done.stdout)["runs"]


def value_of(run, key):
    name, _, part = key.partition(".")
    return run[name][part] if part else run[name]


def median(runs, key):
    return statistics.median(value_of(run, key) for run in runs)


def print_tables(samples, options):
    last = {name: [runs[-1] for runs in all_runs] for name, all_runs in samples.items()}
    print(f"{options.clients} clients × {options.tokens} tokens, {options.threads} threads, "
          f"{len(last[IN_PROCESS])} round(s) in turns, medians")
    print(f"\n| {'':<22} | " + " | ".join(f"{name:>12}" for name in last) + " | × llama-server | goal |")
    print("|" + "-" * 24 + "|" + "-------------:|" * len(last) + "---------------:|------|")
    for key, text in (("tokens_per_second", "tokens/s in sum"), ("first_token_ms.p50", "first token p50, ms"),
                      ("first_token_ms.p99", "first token p99, ms"), ("inter_token_ms.p50", "between tokens p50, ms"),
                      ("inter_token_ms.p99", "between tokens p99, ms")):
        values = {name: median(runs, key) for name, runs in last.items()}
        ratio = values[QuernServer.name] / values[LlamaServer.name]
        goal = ""
        if not key.endswith("p99") and key.partition(".")[0] in GOALS:
            sign, wanted = GOALS[key.partition(".")[0]]
            goal = f"{sign} {wanted:g}: " + ("met" if (ratio >= wanted if sign == "≥" else ratio <= wanted) else "missed")
        print(f"| {text:<22} | " + " | ".join(f"{value:>12.1f}" for value in values.values()) +
              f" | {ratio:>14.2f} | {goal} |")
    speeds = {name: median(runs, "tokens_per_second") for name, runs in last.items()}
    print(f"\nThe server makes {speeds[QuernServer.name] / speeds[IN_PROCESS] * 100:.1f} % of what the engine makes in "
          "process (goal: at least 97).")
    if BESIDE in last:
        for key, text in (("tokens_per_second", "tokens/s"), ("first_token_ms.p50", "first token p50")):
            change = median(last[BESIDE], key) / median(last[QuernServer.name], key) - 1
            print(f"{options.idle} idle connections and {options.slow} slow readers change {text} by {change * 100:+.1f} % "
                  "(goal: at most 5).")
    print("\n| Quern, clients | tokens/s | × one client | first token p50, ms | between tokens p50, ms |")
    print("|---------------:|---------:|-------------:|--------------------:|-----------------------:|")
    alone = median([runs[0] for runs in samples[IN_PROCESS]], "tokens_per_second")
    for runs in zip(*samples[IN_PROCESS]):
        speed = median(runs, "tokens_per_second")
        print(f"| {runs[0]['clients']} | {speed:.0f} | {speed / alone:.1f} | {median(runs, 'first_token_ms.p50'):.1f} | "
              f"{median(runs, 'inter_token_ms.p50'):.1f} |")


def parse_arguments():
    parser = argparse.ArgumentParser(prog="many_clients.sh", description="Quern beside llama-server, in turns.")
    for hidden in ("--root", "--peer", "--model"):
        parser.add_argument(hidden, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=64, help="of each answer (64)")
    parser.add_argument("--threads", type=int, default=2, help="of each side (2)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=int, default=0, help="connections that ask for nothing, once more beside them")
    parser.add_argument("--slow", type=int, default=0, help="readers that take a few bytes a second, likewise")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--limit", type=float, default=120, help="seconds that one side may take in a round (120)")
    parser.add_argument("--json", action="store_true", help="all samples, for a machine to read")
    options = parser.parse_args()
    programs = [pathlib.Path(options.root) / "build" / preset / "bin/many_clients" for preset in ("release", "headless")]
    options.program = next((str(path) for path in programs if path.exists()), None)
    if options.program is None:
        parser.error("there is no build/release or build/headless with many_clients: build it with the tests")
    options.quern = str(pathlib.Path(options.program).with_name("quern"))
    wanted = options.idle + options.slow + 1024
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, wanted), hard), hard))
    options.rounds = 1 if options.quick else max(1, options.rounds)
    return options


def main():
    options = parse_arguments()
    # As an exception, so that the server ends, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    sides = [(IN_PROCESS, measure_quern),
             (QuernServer.name, lambda *a: measure_server(QuernServer, *a))]
    if options.idle or options.slow:
        sides.append((BESIDE, lambda *a: measure_server(QuernServer, *a, idle=options.idle, slow=options.slow)))
    sides.append((LlamaServer.name, lambda *a: measure_server(LlamaServer, *a)))
    samples = {name: [] for name, _ in sides}
    others = {name: [] for name, _ in sides}
    for turn in range(options.rounds):
        for name, measure in sides if turn % 2 == 0 else reversed(sides):
            all_before, own_before, began = *busy_seconds(), time.monotonic()
            samples[name].append(measure(options, turn))
            all_after, own_after = busy_seconds()
            share = (all_after - all_before - own_after + own_before) / (time.monotonic() - began) / os.cpu_count()
            others[name].append(max(0, share))
    if options.json:
        print(json.dumps(dict(samples, others_share=others), indent=2))
        return
    print_tables(samples, options)
    if max(map(max, others.values())) > QUIET:
        print("\nDisturbed, these figures mean little: others took " +
              " and ".join(f"{max(shares) * 100:.0f} % of the machine beside {name}" for name, shares in others.items()) +
              ".")


if __name__ == "__main__":
    main()
