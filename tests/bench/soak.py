"""Mixed load on `quern serve`, started by soak.sh. Standard library only."""

import argparse
import asyncio
import json
import pathlib
import random
import signal
import sys
import time

sys.path.append(str(pathlib.Path(__file__).parent.parent / "clients"))
from server import exchange, start  # noqa: E402

CLIENTS = 24
PARALLEL = 8
WARM_UP = 0.25  # of the time, at most five minutes: caches and pools reach their size
GROWTH = 0.02
SUBJECTS = ("bread", "rivers", "old clocks", "the moon", "a bicycle", "salt", "letters", "winter", "glass", "trains")
SCHEMA = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "count": {"type": "integer", "minimum": 0, "maximum": 99}},
          "required": ["name", "count"], "additionalProperties": False}


def chat(subject, tokens, **more):
    return "/v1/chat/completions", dict({"messages": [{"role": "user", "content": f"Tell me about {subject}."}],
                                         "max_tokens": tokens, "temperature": 0}, **more)


def right_requests():
    """Requests whose answers are always the same."""
    for number, subject in enumerate(SUBJECTS):
        yield chat(subject, 24 + 8 * number)
        yield chat(subject, 32, temperature=0.9, seed=number)
        yield "/v1/completions", {"prompt": f"Once upon a time, {subject}", "max_tokens": 40, "temperature": 0, "n": 1 + number % 2}
        yield "/v1/messages", {"max_tokens": 20, "temperature": 0,
                               "messages": [{"role": "user", "content": f"One word about {subject}."}]}
    for subject in SUBJECTS[:3]:
        yield chat(subject, 60, response_format={"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA}})
        yield "/v1/embeddings", {"input": [f"something about {subject}", subject]}
    # Longer than one slice of a prompt, and with a beginning that others share.
    for number in range(4):
        yield chat("the sea and its weather " * 60 + str(number), 16)


WRONG = [("/v1/chat/completions", b"{", 400), ("/v1/chat/completions", b'{"messages": 5}', 400),
         ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "x"}], "temperature": 1e308}', 400),
         ("/v1/completions", b'{"prompt": "x", "max_tokens": -7}', 400),
         ("/v1/completions", b'{"prompt": "' + b"x " * 40000 + b'"}', 400), ("/v1/nothing", b"{}", 404),
         ("/v1/chat/completions", b"[" * 5000, 400)]


def events(data):
    return [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: {")]


def essence(path, data, is_streamed):
    """What must be the same every time, and the same streamed and not."""
    if path == "/v1/embeddings":
        return [[round(value, 4) for value in item["embedding"][:8]] for item in json.loads(data)["data"]]
    if path == "/v1/messages":
        if is_streamed:
            return "".join(e["delta"].get("text", "") for e in events(data) if e["type"] == "content_block_delta")
        return "".join(block.get("text", "") for block in json.loads(data)["content"])
    texts = {}
    for chunk in events(data) if is_streamed else [json.loads(data)]:
        if "error" in chunk:
            raise ValueError(chunk["error"])
        for choice in chunk["choices"]:
            message = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
            texts[choice["index"]] = texts.get(choice["index"], "") + (message.get("content") or "")
    return sorted(texts.items())


class Soak:
    def __init__(self, options, server):
        self.options, self.server, self.port = options, server, server.port
        self.requests = list(right_requests())
        self.expected = []
        self.counts = {"right": 0, "busy": 0, "hung up": 0, "refused as wrong": 0}
        self.failures = []
        self.memory = []

    async def learn(self):
        for path, body in self.requests:
            status, _, data = await exchange(self.port, path, json.dumps(body).encode())
            if status != 200:
                sys.exit(f"{path} {body} was answered {status}: {data[:300]}")
            self.expected.append(essence(path, data, False))

    async def one(self, source):
        kind = source.random()
        if kind < 0.08:
            path, body, wanted = source.choice(WRONG)
            status, _, data = await exchange(self.port, path, body)
            self.count("refused as wrong", status == wanted, f"{path} {body[:60]}: {status}, not {wanted}: {data[:200]}")
            return
        number = source.randrange(len(self.requests))
        path, body = self.requests[number]
        is_streamed = source.random() < 0.5 and path != "/v1/embeddings"
        sent = json.dumps(dict(body, stream=True) if is_streamed else body).encode()
        if kind < 0.2:
            await exchange(self.port, path, sent, hang_up=source.random() * 1.5)
            self.counts["hung up"] += 1
            return
        status, _, data = await exchange(self.port, path, sent)
        if status == 429:
            self.counts["busy"] += 1
            await asyncio.sleep(0.2)
            return
        if status != 200:
            return self.count("right", False, f"lost: {path} {body}: {status} {data[:200]}")
        try:
            found = essence(path, data, is_streamed)
        except (ValueError, KeyError) as error:
            return self.count("right", False, f"unreadable: {path} {body}: {error!r} {data[-300:]}")
        self.count("right", found == self.expected[number], f"wrong: {path} {body}: {found} instead of {self.expected[number]}")

    def count(self, name, is_right, failure):
        if is_right:
            self.counts[name] += 1
        else:
            self.failures.append(failure)

    async def client(self, number, until):
        source = random.Random(number)
        while time.monotonic() < until:
            await self.one(source)

    async def watch(self, until):
        while time.monotonic() < until:
            self.memory.append((time.monotonic(), self.server.resident_bytes()))
            await asyncio.sleep(1)

    async def run(self):
        await self.learn()
        began = time.monotonic()
        until = began + 60 * self.options.minutes
        await asyncio.gather(self.watch(until), *(self.client(n, until) for n in range(CLIENTS)))
        warm = began + min(300, WARM_UP * 60 * self.options.minutes)
        later = [size for at, size in self.memory if at >= warm]
        third = max(1, len(later) // 3)
        # The most that the first and the last third had: what grows without end shows in it.
        return {"counts": self.counts, "failures": self.failures[:10], "failed": len(self.failures),
                "resident_first": max(later[:third]), "resident_last": max(later[-third:])}


def main():
    parser = argparse.ArgumentParser(prog="soak.sh", description="Mixed load on quern serve.")
    for hidden in ("--root", "--model"):
        parser.add_argument(hidden, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--program", help="the quern to run")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.program:
        builds = [pathlib.Path(options.root) / "build" / preset / "bin/quern" for preset in ("release", "headless")]
        options.program = next((str(path) for path in builds if path.exists()), None)
        if options.program is None:
            parser.error("there is no build/release or build/headless: build quern first")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with start(options.program, options.model, "--parallel", str(PARALLEL), "--ctx", "1024") as server:
        result = asyncio.run(Soak(options, server).run())
        result["alive"] = server.process.poll() is None
        result["exit"] = server.end()
    growth = result["resident_last"] / result["resident_first"] - 1
    result["growth"] = growth
    is_good = result["failed"] == 0 and growth <= GROWTH and result["alive"] and result["exit"] == 0
    if options.json:
        print(json.dumps(dict(result, good=is_good), indent=2))
    else:
        print(f"{options.minutes:g} minutes, {CLIENTS} clients: " + ", ".join(f"{count} {name}" for name, count in result["counts"].items()))
        print(f"{result['failed']} wrong or lost; resident memory {result['resident_first'] / 2**20:.0f} MiB, then "
              f"{result['resident_last'] / 2**20:.0f} MiB ({growth * 100:+.1f} %, at most {GROWTH * 100:g}); exit {result['exit']}")
        for failure in result["failures"]:
            print("  " + failure)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
