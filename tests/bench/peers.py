"""Measures Quern beside llama.cpp in turns and prints medians, spread, ratios and goals. Started by peers.sh, which has
built the peer. Every number comes from the programs' own machine-readable output or from the system's accounting of
their processes; standard library only."""

import argparse
import dataclasses
import fnmatch
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

CONTEXT = 4096
QUIET = 0.05  # of the machine's processors, taken by others
MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. A goal is a ratio to llama.cpp: at least for speeds, at most for times."""

    model: str
    what: str  # "prefill", "decode", "batch8" …, "first-token", "memory"
    kv: str = "f16"
    tokens: int = 0  # of a prompt, or decoded by each sequence
    batch: int = 1
    depth: int = 0
    goal: float = 0  # 0: none
    limit_goal: float = 0  # of the measured limit
    batch_goal: float = 0  # times Quern's own batch 1

    @property
    def name(self):
        kv = "" if self.kv == "f16" else "-" + self.kv
        context = f"-{CONTEXT}" if CONTEXT in (self.tokens, self.depth) else ""
        return f"{self.model}-{self.what}{context}{kv}"

    @property
    def is_process(self):
        return self.what in ("first-token", "memory")

    @property
    def group(self):
        """Rows of one group are measured by one process a side."""
        return (self.model, self.kv, self.depth, CONTEXT in (self.tokens, self.depth), self.is_process)


def rows():
    table = []
    goals = {  # prefill, its share of the multiply-adds, decode, its share of the bandwidth, batches
        "smollm2": (6.5, 0.60, 1.9, 0, {8: 0, 16: 0, 32: 4.0}, {}),
        "gemma3": (2.5, 0, 2.2, 0, {}, {}),
        "1b-q4_0": (1.7, 0.85, 1.25, 0.85, {8: 1.6, 16: 1.6, 32: 1.6}, {8: 3, 16: 4, 32: 5}),
        "1b-q4_k_m": (1.7, 0.85, 1.25, 0.85, {8: 1.6, 16: 1.6, 32: 1.6}, {8: 3, 16: 4, 32: 5}),
    }
    for model, (prefill, multiply, decode, read, batches, own) in goals.items():
        table.append(Row(model, "prefill", tokens=512, goal=prefill, limit_goal=multiply))
        table.append(Row(model, "decode", tokens=64, goal=decode, limit_goal=read))
        for batch, goal in batches.items():
            table.append(
                Row(model, f"batch{batch}", tokens=64, batch=batch, goal=goal, batch_goal=own.get(batch, 0)))
    for model in ("smollm2", "1b-q4_0"):
        for kv in ("f16", "q8_0"):
            table.append(Row(model, "prefill", kv, tokens=CONTEXT, goal=1.7))
            table.append(Row(model, "decode", kv, tokens=32, depth=CONTEXT, goal=1.3))
    for model in goals:
        table.append(Row(model, "first-token", goal=0.8))
        table.append(Row(model, "memory"))
    return table


def busy_seconds():
    """Processor time that everything on this machine has used, time stolen by other virtual machines included."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Quiet:
    """How much of the machine others took while commands ran."""

    def __init__(self):
        self.others = self.available = 0

    def add(self, busy, usage, seconds):
        self.others += max(0, busy - usage.ru_utime - usage.ru_stime)
        self.available += seconds * os.cpu_count()

    @property
    def share(self):
        return self.others / self.available if self.available else 0


def run(command, environment=None, quiet=None):
    """Runs a command to its end: (standard output, seconds, bytes of its largest resident memory)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        busy, began = busy_seconds(), time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if quiet:
            quiet.add(busy_seconds() - busy, usage, seconds)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        if process.returncode != 0:
            err.seek(0)
            tail = err.read().decode(errors="replace").strip().splitlines()[-3:]
            sys.exit(f"{' '.join(map(str, command))} failed ({process.returncode}): " + " / ".join(tail))
        return out.read().decode(errors="replace"), seconds, usage.ru_maxrss * 1024


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


class Quern:
    name = "Quern"

    def __init__(self, options):
        self.prefix = options.prefix
        self.program = options.quern
        self.threads = ["-t", str(options.threads)]
        self.kernels = ["--kernels", "avx2"] if options.avx2 else []
        self.limits = []  # of every bench run
        self.shares = {}  # by row: (share of its limit, which limit)
        self.quiet = Quiet()

    def call(self, command):
        return run(self.prefix + command + self.threads + self.kernels, quiet=self.quiet)

    def measure(self, path, group_rows):
        first = group_rows[0]
        if first.is_process:
            command = [self.program, "run", path, "--raw", "-p", "The", "-n", "1", "--temp", "0", "--ctx", str(CONTEXT)]
            _, seconds, peak = self.call(command)
            return {row: seconds if row.what == "first-token" else peak / MIB for row in group_rows}
        prompts = sorted({row.tokens for row in group_rows if row.what == "prefill"})
        decodes = [row for row in group_rows if row.what != "prefill"]
        command = [self.program, "bench", "-m", path, "-r", "1", "--json", "--kv", first.kv, "-d", str(first.depth)]
        command += ["-p", ",".join(map(str, prompts)) or "0", "-n", str(max((r.tokens for r in decodes), default=0))]
        command += ["-b", ",".join(str(row.batch) for row in decodes) or "1"]
        document = json.loads(self.call(command)[0])
        self.limits.append(document["limits"])
        found = {}
        for row in group_rows:
            name = "prefill" if row.what == "prefill" else "decode"
            for result in document["results"]:
                if (result["name"], result["batch"], result["tokens"]) == (name, row.batch, row.tokens):
                    found[row] = result["tokens_per_second"]["median"]
                    self.shares.setdefault(row, []).append((result["limit_share"], result["limited_by"]))
        return found


class LlamaCpp:
    name = "llama.cpp"

    def __init__(self, options):
        self.prefix = options.prefix
        self.programs = pathlib.Path(options.peer) / "native/bin"
        self.quiet = Quiet()
        self.threads = ["-t", str(options.threads)]
        libraries = [str(self.programs)]
        if options.avx2:
            libraries.insert(0, str(pathlib.Path(options.peer) / "avx2/bin"))
        self.environment = dict(os.environ, LD_LIBRARY_PATH=":".join(libraries))
        listed = run(["ldd", self.programs / "llama-bench"], self.environment)[0]
        if f"{libraries[0]}/libggml-cpu.so" not in listed:
            sys.exit(f"llama-bench does not load the kernels in {libraries[0]}; remove {options.peer} and build again.")

    def call(self, program, arguments):
        return run(self.prefix + [self.programs / program] + arguments + self.threads, self.environment, self.quiet)

    def measure(self, path, group_rows):
        first = group_rows[0]
        if first.is_process:
            # Its warm-up run would only cost it time here.
            arguments = ["-m", path, "-p", "The", "-n", "1", "--temp", "0", "-c", str(CONTEXT), "-no-cnv"]
            _, seconds, peak = self.call("llama-completion", arguments + ["--no-warmup"])
            return {row: seconds if row.what == "first-token" else peak / MIB for row in group_rows}
        # Flash attention is "auto" unless the cache is quantized, which needs it.
        kv = [] if first.kv == "f16" else ["-ctk", first.kv, "-ctv", first.kv, "-fa", "on"]
        found = {}
        single = [row for row in group_rows if row.batch == 1]
        if single:
            arguments = ["-m", path, "-r", "1", "-o", "jsonl", "-d", str(first.depth)] + kv
            arguments += ["-p", ",".join(str(r.tokens) for r in single if r.what == "prefill") or "0"]
            arguments += ["-n", ",".join(str(r.tokens) for r in single if r.what == "decode") or "0"]
            for result in json_lines(self.call("llama-bench", arguments)[0]):
                for row in single:
                    key = "n_prompt" if row.what == "prefill" else "n_gen"
                    if result[key] == row.tokens:
                        found[row] = result["avg_ts"]
        batched = [row for row in group_rows if row.batch > 1]
        if batched:
            tokens = batched[0].tokens
            cells = max(row.batch for row in batched) * (tokens + 1)
            arguments = ["-m", path, "-c", str(cells), "-npp", "1", "-ntg", str(tokens), "--output-format", "jsonl"]
            arguments += ["-npl", ",".join(str(row.batch) for row in batched)] + kv
            for result in json_lines(self.call("llama-batched-bench", arguments)[0]):
                for row in batched:
                    if result["pl"] == row.batch:
                        found[row] = result["speed_tg"]
        return found


def kv_mib(quern, path):
    """The cache that a sequence of CONTEXT tokens needs, from the model's own numbers (float16)."""
    shown = json.loads(run([quern, "show", path, "--json"])[0])
    metadata, architecture = shown["metadata"], shown["architecture"]
    number = lambda key, fallback=None: metadata.get(f"{architecture}.{key}", fallback)
    heads = number("attention.head_count")
    head_dim = number("attention.key_length", number("embedding_length") // heads)
    return 2 * 2 * number("block_count") * number("attention.head_count_kv", heads) * head_dim * CONTEXT / MIB


def model_paths(options, names):
    test, random = pathlib.Path(options.test_models), pathlib.Path(options.random_models)
    paths = {"smollm2": test / "smollm2-135m-instruct-q4_1.gguf", "gemma3": test / "gemma-3-270m-q4_k_m.gguf"}
    for name in names:
        if name in paths:
            continue
        preset, kind = name.split("-", 1)
        paths[name] = random / f"{name}.gguf"
        if not paths[name].exists():
            random.mkdir(parents=True, exist_ok=True)
            writer = pathlib.Path(options.quern).parent / "synthetic_model"
            if not writer.exists():
                sys.exit(f"{writer} is missing: build the target synthetic_model.")
            run([writer, preset, kind, paths[name]])
    return {name: str(paths[name]) for name in names}


def measure_quietly(side, path, group):
    """Measures again, twice at most, while others take more than QUIET of the machine; the quietest counts."""
    tries = []
    while len(tries) < 3 and (not tries or tries[-1][1] > QUIET):
        side.quiet = Quiet()
        tries.append((side.measure(path, group), side.quiet.share))
    return min(tries, key=lambda one: one[1])


def measure(options, wanted, paths, sides):
    """Samples by row and side, and what others took of the machine at most. Each round measures every group by both
    sides, and who begins alternates."""
    groups = {}
    for row in wanted:
        groups.setdefault(row.group, []).append(row)
    disturbed = {}
    samples = {row: {side.name: [] for side in sides} for row in wanted}
    for turn in range(options.rounds):
        for number, group in enumerate(groups.values()):
            for side in sides if turn % 2 == 0 else reversed(sides):
                if sys.stderr.isatty():
                    print(f"\r\033[Kround {turn + 1} of {options.rounds}: {group[0].model} {group[0].what} … "
                          f"({number + 1} of {len(groups)}, {side.name})", end="", file=sys.stderr, flush=True)
                found, others = measure_quietly(side, paths[group[0].model], group)
                for row in group:
                    if row not in found:
                        sys.exit(f"{side.name} said nothing about {row.name}.")
                    samples[row][side.name].append(found[row])
                    disturbed[row] = max(disturbed.get(row, 0), others)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return samples, disturbed


def conclude(row, ours, theirs, quern, options, paths, batch1):
    """One row as a dictionary: medians, spreads, the ratio and whether the goals are met."""
    a, b = statistics.median(ours), statistics.median(theirs)
    result = {"row": row.name, "quern": a, "quern_samples": ours, "peer": b, "peer_samples": theirs, "ratio": a / b,
              "ratio_min": min(x / y for x, y in zip(ours, theirs)),
              "ratio_max": max(x / y for x, y in zip(ours, theirs)),
              "unit": {"first-token": "s", "memory": "MiB"}.get(row.what, "tok/s")}
    goal = row.goal if not (options.avx2 and not row.is_process) else 1.2
    if row.what == "memory":
        result["goal_mib"] = os.path.getsize(paths[row.model]) / MIB + kv_mib(options.quern, paths[row.model]) + 150
        result["met"] = a <= result["goal_mib"]
    elif goal:
        result["goal"] = goal
        result["met"] = a / b <= goal if row.is_process else a / b >= goal
    shares = quern.shares.get(row)
    if shares:
        result["limit_share"] = statistics.median(share for share, _ in shares)
        result["limited_by"] = shares[0][1]
    if row.limit_goal and not options.avx2:
        result["limit_goal"] = row.limit_goal
    if row.batch > 1 and batch1:
        result["times_batch1"] = a / batch1
        if row.batch_goal:
            result["batch_goal"] = row.batch_goal
    return result


def spread(values):
    digits = 2 if max(values) < 10 else 0 if max(values) >= 1000 else 1
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def print_table(results):
    lines = [("row", "Quern", "llama.cpp", "unit", "ratio", "goal", "", "of its limit", "goal", "× batch 1", "goal")]
    for r in results:
        goal = f"≤ {r['goal_mib']:.0f} MiB" if "goal_mib" in r else ""
        if "goal" in r:
            goal = ("≤ " if r["unit"] == "s" else "≥ ") + f"{r['goal']:g}"
        met = {True: "met", False: "missed"}.get(r.get("met"), "")
        if r["others_share"] > QUIET:
            met = f"disturbed: others took {r['others_share'] * 100:.0f} %"
        share = f"{r['limit_share'] * 100:.0f} % {r['limited_by']}" if "limit_share" in r else ""
        lines.append((r["row"], spread(r["quern_samples"]), spread(r["peer_samples"]), r["unit"],
                      f"{r['ratio']:.2f} ({r['ratio_min']:.2f}–{r['ratio_max']:.2f})", goal, met, share,
                      f"≥ {r['limit_goal'] * 100:.0f} %" if "limit_goal" in r else "",
                      f"{r['times_batch1']:.1f}" if "times_batch1" in r else "",
                      f"≥ {r['batch_goal']:g}" if "batch_goal" in r else ""))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def print_document(document):
    machine = document["machine"]
    limits = machine["limits"]
    print(f"{machine['cpu']}, {machine['threads']} threads each, kernels {machine['kernels']}, "
          f"{machine['rounds']} round(s) in turns; medians (least–most)")
    if limits:
        print(f"limits: {limits['read_gb_s']:.1f} GB/s read from memory, "
              f"{limits['int8_gmac_s']:.0f} G int8 multiply-adds/s")
    print()
    print_table(document["results"])


def parse_arguments():
    parser = argparse.ArgumentParser(prog="peers.sh", description="Quern beside llama.cpp, in turns.")
    for hidden in ("--root", "--peer", "--test-models"):
        parser.add_argument(hidden, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--random-models", required=True, help="where the random models are kept")
    parser.add_argument("--only", default="*", help="rows by name, with * and commas: smollm2-*,1b-q4_0-decode")
    parser.add_argument("--list", action="store_true", help="the rows, and nothing is measured")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side (3)")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--threads", type=int, default=0, help="of each side (one per physical core)")
    parser.add_argument("--avx2", action="store_true", help="both sides with AVX2 only; the goal is 1.2 everywhere")
    parser.add_argument("--quern", help="the program (build/release/bin/quern, else build/headless/bin/quern)")
    parser.add_argument("--prefix", default="", 
                        help="a command before every measured one, as 'taskset -c 0,1'; its own time counts as well")
    parser.add_argument("--json", action="store_true", help="all samples as JSON")
    parser.add_argument("--show", nargs="+", metavar="FILE",
                        help="the tables of earlier --json runs; nothing is measured")
    options = parser.parse_args()
    builds = [pathlib.Path(options.root) / "build" / preset / "bin/quern" for preset in ("release", "headless")]
    options.quern = options.quern or next((str(path) for path in builds if path.exists()), None)
    if options.quern is None:
        parser.error("there is no build/release or build/headless with quern; name one with --quern")
    options.prefix = options.prefix.split()
    options.rounds = 1 if options.quick else max(1, options.rounds)
    return options


def main():
    options = parse_arguments()
    if options.show:
        for file in options.show:
            print_document(json.loads(pathlib.Path(file).read_text()))
            print()
        return
    patterns = options.only.split(",")
    wanted = [row for row in rows() if any(fnmatch.fnmatch(row.name, pattern) for pattern in patterns)]
    if options.list:
        print("\n".join(row.name for row in wanted))
        return
    if not wanted:
        sys.exit(f"No row is called {options.only}; --list names them.")
    doctor = json.loads(run([options.quern, "doctor", "--json"])[0])
    options.threads = options.threads or doctor["cpu"]["physical_cores"]
    paths = model_paths(options, sorted({row.model for row in wanted}))
    quern, peer = Quern(options), LlamaCpp(options)
    samples, disturbed = measure(options, wanted, paths, [quern, peer])

    decode = {r.model: statistics.median(s["Quern"]) for r, s in samples.items() if r.name == f"{r.model}-decode"}
    results = [conclude(row, s["Quern"], s["llama.cpp"], quern, options, paths, decode.get(row.model))
               for row, s in samples.items()]
    for row, result in zip(samples, results):
        result["others_share"] = disturbed[row]
    limits = {}
    for key in quern.limits[0] if quern.limits else ():
        limits[key] = statistics.median(limit[key] for limit in quern.limits)
    machine = {"cpu": doctor["cpu"]["name"], "kernels": "avx2" if options.avx2 else doctor["kernels"]["name"],
               "threads": options.threads, "rounds": options.rounds, "limits": limits}
    document = {"machine": machine, "results": results}
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        print_document(document)


if __name__ == "__main__":
    main()
