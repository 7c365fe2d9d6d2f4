"""The parts of run.sh, each with a server of its own: run.py PROGRAM [PART...]"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from server import add_key, start

HERE = pathlib.Path(__file__).parent
BIN = pathlib.Path(sys.executable).parent


class Skip(Exception):
    pass


def run(command, **more):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode != 0:
        raise AssertionError(done.stdout[-4000:])
    return done.stdout


def program(name, package):
    found = shutil.which(name) or shutil.which(name, path="/usr/bin:/usr/sbin")
    if not found:
        raise Skip(f"there is no {name}: install Debian's package {package}")
    return found


def clients(options):
    """openai, anthropic, ollama, langchain-openai, llama-index: streams, tools, shapes, embeddings, errors."""
    with start(options.program, options.model, "--parallel", "8", "--ctx", "2048") as server:
        return run([sys.executable, HERE / "check_clients.py", "--url", f"http://127.0.0.1:{server.port}"])


def openapi(options):
    """schemathesis makes requests of /openapi.json: no 5xx, and only answers that the document knows."""
    with start(options.program, options.model, "--parallel", "8", "--ctx", "128") as server:
        # One worker and a seed: the same requests every time. A pull would wait for the network, a deletion delete.
        said = run([BIN / "schemathesis", "run", f"http://127.0.0.1:{server.port}/openapi.json", "--phases", "coverage,fuzzing",
                    "--exclude-path-regex", "pull|delete", "--max-examples", "20", "--seed", "1", "--workers", "1", "--no-color",
                    "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
                    "--request-timeout", "60"], cwd=tempfile.gettempdir())
        return "\n".join(re.findall(r"^ *\d+ generated.*$", said, re.M))


def prometheus(options):
    """promtool has no complaint about /metrics but vLLM's colon, and Prometheus scrapes and answers a dashboard's questions."""
    promtool, prometheus_ = program("promtool", "prometheus"), program("prometheus", "prometheus")
    with start(options.program, options.model, "--ctx", "512") as server, tempfile.TemporaryDirectory() as home:
        config = pathlib.Path(home) / "prometheus.yml"
        config.write_text("scrape_configs:\n  - job_name: quern\n    scrape_interval: 1s\n    static_configs:\n"
                          f"      - targets: ['127.0.0.1:{server.port}']\n")
        port = server.port + 1 if server.port < 65000 else server.port - 1
        process = subprocess.Popen([prometheus_, f"--config.file={config}", f"--storage.tsdb.path={home}/data",
                                    f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            body = json.dumps({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10, "ignore_eos": True}).encode()
            asked = {"up": "1", "vllm:generation_tokens_total": "10", 'sum(vllm:request_success_total)': "1",
                     "vllm:time_to_first_token_seconds_count": "1", "vllm:num_requests_running": "0"}
            if server.ask("POST", "/v1/chat/completions", body)[0] != 200:
                raise AssertionError(server.text()[-2000:])
            found, until = {}, time.monotonic() + 30
            while found != asked and time.monotonic() < until:
                time.sleep(0.5)
                for query in asked:
                    found[query] = query_prometheus(port, query)
            if found != asked:
                raise AssertionError(f"{found}, not {asked}")
        finally:
            process.kill()
            process.wait()
        metrics = server.ask("GET", "/metrics")[2]
        said = subprocess.run([promtool, "check", "metrics"], input=metrics, capture_output=True, check=False)
        # The colon is vLLM's, whose names these are.
        complaints = [line for line in (said.stdout + said.stderr).decode().splitlines()
                      if not re.fullmatch(r"vllm:\S+ metric names should not contain ':'", line)]
        if complaints:
            raise AssertionError("\n".join(complaints))
        return f"{len(metrics.splitlines())} lines; " + ", ".join(f"{query} {value}" for query, value in found.items())


def query_prometheus(port, query):
    import urllib.error
    import urllib.parse
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}", timeout=5) as answer:
            result = json.load(answer)["data"]["result"]
            return result[0]["value"][1] if result else None
    except (OSError, urllib.error.URLError):
        return None


def page(options):
    """The web page in Debian's Chromium, without a key and with one."""
    command = [sys.executable, HERE / "web_page.py", "--chromium", program("chromium", "chromium"), "--url"]
    with start(options.program, options.model, "--parallel", "4", "--ctx", "2048") as server:
        said = run([*command, f"http://127.0.0.1:{server.port}"])
    keys = []
    with start(options.program, options.model, "--parallel", "4", "--ctx", "2048", "--require-key",
               prepare=lambda home: keys.append(add_key(options.program, home, "page", "--scope", "chat,models,admin"))) as server:
        return said + "with a key:\n" + run([*command, f"http://127.0.0.1:{server.port}", "--key", keys[0]])


def attacks(options):
    """Everything that under_attack.py has; its limits are for a quiet machine, which a machine under test is not."""
    return run([sys.executable, HERE / "under_attack.py", options.program, "--rounds", "4", "--health-ms", "250", "--growth", "0.05"])


PARTS = (clients, openapi, prometheus, page, attacks)


def main():
    parser = argparse.ArgumentParser(prog="run.sh", description="Other people's programs against quern serve.")
    parser.add_argument("program")
    parser.add_argument("parts", nargs="*", help=", ".join(part.__name__ for part in PARTS))
    options = parser.parse_args()
    cache = pathlib.Path(os.environ.get("QUERN_TEST_CACHE", pathlib.Path.home() / ".cache/quern/test"))
    options.model = str(cache / "smollm2-135m-instruct-q4_1.gguf")
    if not os.path.exists(options.model):
        print("SKIPPED: no SmolLM2: run packaging/fetch-test-data.sh")
        return 0
    failed = 0
    for part in PARTS:
        if options.parts and part.__name__ not in options.parts:
            continue
        began = time.monotonic()
        try:
            said = part(options)
            print(f"ok       {part.__name__} ({time.monotonic() - began:.0f} s)")
            print("".join(f"           {line}\n" for line in said.strip().splitlines()), end="", flush=True)
        except Skip as reason:
            print(f"SKIPPED  {part.__name__}: {reason}", flush=True)
        except AssertionError as error:
            failed += 1
            print(f"FAILED   {part.__name__}\n{error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
