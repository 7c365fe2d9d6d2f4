#!/usr/bin/env python3
"""Attacks on a whole `quern serve`: under_attack.py PROGRAM [--burst N] [--rounds N] [--json]

Every kept attack and every bad request, again and again, with storms of clients that hang up and a burst of thousands of
requests; keys that are wrong, expired and revoked; signals under load. After each part the server must be healthy, its
counters at rest, and its memory where it was. Exit code 77 (skipped) where SmolLM2 is not there. Standard library only.
"""

import argparse
import asyncio
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).parent))
from server import add_key, exchange, parse, request, start  # noqa: E402

DATA = pathlib.Path(__file__).parent.parent / "data" / "serve"
CHAT = "/v1/chat/completions"
HEALTH_MS = 50
GROWTH = 0.02
DONE = b"data: [DONE]"


def expect(truth, *shown):
    if not truth:
        raise AssertionError(" ".join(str(one)[:600] for one in shown))


def chat(tokens, **more):
    return json.dumps(dict({"messages": [{"role": "user", "content": "Count to a hundred."}], "max_tokens": tokens,
                            "temperature": 0, "ignore_eos": True}, **more)).encode()


def bytes_of(send):
    if isinstance(send, str):
        return send.encode()
    if isinstance(send, dict):
        return send["text"].encode() * send["times"]
    return b"".join(map(bytes_of, send))


def gauges(server):
    text = server.ask("GET", "/metrics")[2].decode()
    return {name: sum(float(value) for value in re.findall(rf"^vllm:{name}{{[^}}]*}} (\S+)$", text, re.M))
            for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "prompt_tokens_total",
                         "generation_tokens_total")}


def at_rest(server, seconds=20):
    """Nothing runs, waits or holds memory of its own soon."""
    until = time.monotonic() + seconds
    while True:
        now = gauges(server)
        if now["num_requests_running"] == now["num_requests_waiting"] == 0:
            return now
        expect(time.monotonic() < until, "still at work:", now)
        time.sleep(0.1)


def is_well(server):
    expect(server.process.poll() is None, "the server has ended:", server.text()[-2000:])
    for path in ("/live", "/ready", "/health"):
        status, _, body = server.ask("GET", path)
        expect(status == 200, path, status, body)


class Health:
    """Asks /live all the time, in a process of its own, so that this script's work is not measured."""

    SCRIPT = """
import json, socket, sys, time
times = []
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(flush=True)
while not __import__("select").select([sys.stdin], [], [], 0.02)[0]:
    began = time.monotonic()
    connection.sendall(b"GET /live HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    data = b""
    while b"\\r\\n\\r\\n" not in data:
        data += connection.recv(4096)
    times.append((time.monotonic() - began) * 1000)
    assert data.startswith(b"HTTP/1.1 200"), data
print(json.dumps(times))
"""

    def __init__(self, server):
        self.process = subprocess.Popen([sys.executable, "-c", self.SCRIPT, str(server.port)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()

    def end(self):
        out, _ = self.process.communicate("x\n", 30)
        times = sorted(json.loads(out))
        return {"asked": len(times), "p50_ms": statistics.median(times), "p99_ms": times[int(len(times) * 0.99)]}


def kept_attacks(server, _options):
    for file in sorted((DATA / "attacks").glob("*.json")):
        for case in json.loads(file.read_text()):
            with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
                try:
                    connection.sendall(bytes_of(case["send"]))
                    connection.shutdown(socket.SHUT_WR)
                    data = connection.recv(65536)
                except OSError:
                    data = b""  # cut while we were sending
            status = parse(data)[0] if data else 0
            expect(status < 500 or status in (501, 505), file.name, case["name"], status, data)


def bad_requests(server, _options):
    for case in json.loads((DATA / "bad_requests.json").read_text()):
        body = case.get("body", case.get("raw"))
        # The cases are for the tests' own model, which judge by the field; here another one answers.
        if isinstance(body, dict) and body.get("model") == "fake":
            body = {name: value for name, value in body.items() if name != "model"}
        sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        status, _, answer = server.ask("POST", case["path"], sent)
        expect(200 <= status < 500, case, status, answer)
    patterns = ["(a*)*b", "(a|a)*$", "((a{1,100}){1,100}){1,100}", "(?=a)b", "[", "\\1", "x{1000000}", "(" * 5000]
    for pattern in patterns:
        schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}, "required": ["x"]}
        began = time.monotonic()
        body = chat(8, response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
        status, _, answer = server.ask("POST", CHAT, body)
        expect(status in (200, 400) and time.monotonic() - began < 20, pattern, status, answer)
    for body in (b"\xff\xfe", b'{"messages": "\x00"}', b'{"messages": [{"role": "user", "content": "\xc3\x28"}]}', b"[" * 100_000,
                 b'{"a":' * 100_000, b'{"seed": NaN}', b"1" * 1_000_000, b'{"x":"' + b"a" * 5_000_000 + b'"}'):
        status, _, answer = server.ask("POST", CHAT, body)
        expect(status == 400, body[:40], status, answer)


async def storm(port, clients):
    """Clients that hang up at any moment: before the head, in the body, before and in the answer."""
    source = random.Random(clients)
    whole = request(CHAT, chat(64, stream=True))

    async def one():
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(whole[:source.randrange(len(whole) + 1)] if source.random() < 0.4 else whole)
        await asyncio.sleep(source.random() * 0.5)
        if source.random() < 0.5:
            writer.transport.abort()
        else:
            writer.close()

    for _ in range(0, clients, 50):
        await asyncio.gather(*(one() for _ in range(50)))


def disconnect_storm(server, _options):
    asyncio.run(storm(server.port, 300))


async def crowd(port, requests, connections):
    """Seconds from request to status by status, over connections that are kept."""
    body = request(CHAT, chat(4))
    times, hints = {}, 0
    left = iter(range(requests))

    async def one():
        nonlocal hints
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            began = time.monotonic()
            writer.write(body)
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)).lower()
            times.setdefault(int(head.split(b" ", 2)[1]), []).append(time.monotonic() - began)
            hints += b"\r\nretry-after:" in head
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return times, hints


def burst(server, options):
    health = Health(server)
    began = time.monotonic()
    times, hints = asyncio.run(crowd(server.port, options.burst, min(1500, options.burst)))
    seconds = time.monotonic() - began
    shown = health.end()
    counts = {status: len(each) for status, each in sorted(times.items())}
    expect(set(counts) <= {200, 429}, counts)
    expect(sum(counts.values()) == options.burst, "lost:", counts)
    expect(counts.get(429, 0) == hints, "429 without Retry-After:", counts, hints)
    expect(shown["p99_ms"] <= options.health_ms, "health at full load:", shown)
    return {"answers": counts, "seconds": round(seconds, 2), "health": shown}


def counters(server, _options):
    before = at_rest(server)
    prompt = 0
    for number in range(10):
        status, _, body = server.ask("POST", CHAT, chat(10, seed=number))
        usage = json.loads(body)["usage"]
        expect(status == 200 and usage["completion_tokens"] == 10, body)
        prompt += usage["prompt_tokens"]
    after = at_rest(server)
    expect(after["generation_tokens_total"] - before["generation_tokens_total"] == 100, before, after)
    expect(after["prompt_tokens_total"] - before["prompt_tokens_total"] == prompt, before, after, prompt)

    async def cancel():
        await asyncio.gather(*(exchange(server.port, CHAT, chat(900, stream=True), hang_up=0.3) for _ in range(3)))

    asyncio.run(cancel())
    rest = at_rest(server)
    expect(rest["kv_cache_usage_perc"] == 0, rest)


def keys(options):
    """Of programs on this machine, too, when that is said."""
    made = {}

    def prepare(home):
        for name, expires in (("good", "0"), ("late", "0"), ("expired", "1")):
            made[name] = add_key(options.program, home, name, "--expires", expires)
        file = next(pathlib.Path(home).rglob("keys.json"))
        kept = json.loads(file.read_text())
        for key in kept["keys"]:
            if key["name"] == "expired":
                key["expires_ms"] = int(time.time() * 1000) - 1
        file.write_text(json.dumps(kept))
        made["home"] = home

    with start(options.program, options.model, "--require-key", "--ctx", "256", wait=300, prepare=prepare) as server:

        def asked(key):
            status, _, body = server.ask("POST", CHAT, chat(2), f"Authorization: Bearer {key}\r\n" if key else "")
            return status, json.loads(body)

        good, late, expired = made["good"], made["late"], made["expired"]
        expect(asked(late)[0] == 200, asked(late))
        subprocess.run([options.program, "key", "revoke", "late"], check=True, capture_output=True,
                       env=dict(os.environ, QUERN_HOME=made["home"]))
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        unknown = set()
        for key in ("", "x", good[:-1], good + "a", good.split("-")[1]):
            status, body = asked(key)
            expect(status == 401, repr(key), status, body)
            if key:
                unknown.add(body["error"]["message"])
        # Nothing of a key can be guessed from what is said of a wrong one; who has a real one is told why it is refused.
        expect(len(unknown) == 1, unknown)
        for key, word in ((late, "revoked"), (expired, "expired")):
            status, body = asked(key)
            expect(status == 401 and word in body["error"]["message"], status, body)
        expect(asked(good)[0] == 200, asked(good))
        is_well(server)
        expect(server.end() == 0, server.text()[-2000:])
    return {"wrong, revoked and expired keys": "refused"}


async def streams_while(server, count, tokens, then):
    """Streams that begin, `then` something, and what came of them."""
    begun = [asyncio.create_task(exchange(server.port, CHAT, chat(tokens, stream=True))) for _ in range(count)]
    await asyncio.sleep(0.7)
    then()
    return await asyncio.gather(*begun)


def signals(options):
    with start(options.program, options.model, "--parallel", "4", "--ctx", "512", "--drain", "120") as server:
        answers = asyncio.run(streams_while(server, 8, 120, lambda: server.process.send_signal(signal.SIGTERM)))
        expect(all(status == 200 and DONE in body for status, _, body in answers), "cut by SIGTERM:",
               [(status, body[-80:]) for status, _, body in answers])
        expect(server.process.wait(60) == 0, server.text()[-2000:])
    with start(options.program, options.model, "--parallel", "4", "--ctx", "2048", "--drain", "120") as server:

        def twice():
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)

        began = time.monotonic()
        answers = asyncio.run(streams_while(server, 8, 1800, twice))
        expect(server.process.wait(10) == 1 and time.monotonic() - began < 15, "not at once", server.text()[-2000:])
        expect(all(status == -1 for status, _, _ in answers), [status for status, _, _ in answers])
    with start(options.program, options.model, "--parallel", "4", "--ctx", "2048", "--drain", "1") as server:
        answers = asyncio.run(streams_while(server, 8, 1800, lambda: server.process.send_signal(signal.SIGTERM)))
        expect(server.process.wait(30) == 0, server.text()[-2000:])
        expect(all(DONE not in body for _, _, body in answers), "all finished: nothing was tried")
    return {"SIGTERM under load": "finished, cut at the limit, ended at once by a second"}


def rounds(options):
    shown = {}
    with start(options.program, options.model, "--parallel", "4", "--ctx", "1024", wait=300) as server:
        memory = []
        for number in range(options.rounds):
            for part in (kept_attacks, bad_requests, disconnect_storm, counters, burst):
                result = part(server, options)
                if result:
                    shown[part.__name__] = result
                at_rest(server, 120)
                is_well(server)
            memory.append(server.resident_bytes())
        shown["resident MiB by round"] = [size >> 20 for size in memory]
        expect(server.end() == 0, server.text()[-3000:])
        expect("ERROR: " not in server.text(), server.text()[-3000:])
    # The first round fills what is kept: heaps of threads, caches, the pool.
    if len(memory) > 2 and options.growth > 0:
        expect(memory[-1] <= memory[1] * (1 + options.growth), "memory grows:", shown["resident MiB by round"])
    return shown


def main():
    parser = argparse.ArgumentParser(description="Attacks on quern serve.")
    parser.add_argument("program")
    parser.add_argument("--burst", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--health-ms", type=float, default=HEALTH_MS, help="what 99 of 100 answers of /live may take")
    parser.add_argument("--growth", type=float, default=GROWTH, help="of memory after the second round; 0: any")
    parser.add_argument("--only", help="a part's name")
    options = parser.parse_args()
    cache = pathlib.Path(os.environ.get("QUERN_TEST_CACHE", pathlib.Path.home() / ".cache/quern/test"))
    options.model = str(cache / "smollm2-135m-instruct-q4_1.gguf")
    if not os.path.exists(options.model):
        print("no SmolLM2: run packaging/fetch-test-data.sh")
        return 77
    for part in (rounds, keys, signals):
        if options.only in (None, part.__name__):
            began = time.monotonic()
            shown = part(options)
            print(f"{part.__name__} ({time.monotonic() - began:.0f} s): {json.dumps(shown)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
