#!/usr/bin/env python3
"""Runs the binary over cases from public reports, and compares what it says with cases.toml.

    tests/lab/cases.py [BINARY] [NAME...]      # BINARY: target/debug/omens; names are parts of a case's name

The cases themselves are no part of this repository: the environment variable OMENS_CASES names the directory that holds them, one directory
a case. Without it nothing is run, and the script ends with 125 and says so. Each entry of cases.toml says what must be found
(`find`: id, and severity, file, words where they matter), what must not (`not`: an id, or `id:severity`), `high` the ids that may be high
besides (none, unless said), the exit code, the verdict and peers of every chain, and for a probe its server and its cause.
"""
import json, os, pathlib, subprocess, sys, time, tomllib

HERE = pathlib.Path(__file__).resolve().parent
AT = "2026-11-29T12:00:00Z"


def audit(binary, case, want):
    words = want.get("run", ["--root", "root"])
    done = subprocess.run([binary, "chain-audit", "--no-config", "--json", "--at", AT, *words], cwd=case, capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout), done.returncode


def is_found(finding, want):
    files = [f"{file['path']}:{file['line']}" if file["line"] else file["path"] for file in finding["files"]]
    return (
        finding["id"] == want["id"]
        and finding["severity"] == want.get("severity", finding["severity"])
        and all(word in json.dumps(finding, ensure_ascii=False) for word in want.get("words", []))
        and ("file" not in want or any(want["file"] in file for file in files))
    )


def faults_of_audit(binary, case, want):
    document, code = audit(binary, case, want)
    findings, faults = document["findings"], []
    shown = [f"{f['severity']} {f['id']} expected {f['expected'][:60]!r} found {f['found'][:80]!r}" for f in findings]
    for one in want.get("find", []):
        if not any(is_found(finding, one) for finding in findings):
            faults.append(f"not found: {one}; found {shown}")
    for one in want.get("not", []):
        name, _, severity = one.partition(":")
        faults += [f"found {line}" for f, line in zip(findings, shown) if f["id"] == name and severity in ("", f["severity"])]
    allowed = set(want.get("high", [])) | {one["id"] for one in want.get("find", [])}
    faults += [f"false high: {line}" for f, line in zip(findings, shown) if f["severity"] == "high" and f["id"] not in allowed]
    if "exit" in want and code != want["exit"]:
        faults.append(f"exit {code}")
    for chain in document["chains"]:
        for peer, verdict in want.get("peers", {}).items():
            if chain["peers"][peer] != verdict:
                faults.append(f"peers: {peer} {chain['peers'][peer]}")
        if "verdict" in want and chain["verdict"] != want["verdict"]:
            faults.append(f"verdict {chain['verdict']}")
    return faults


def faults_of_probe(binary, case, want):
    server = subprocess.Popen(want["server"], cwd=case, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) if "server" in want else None
    try:
        if server:
            # The probe says itself that nobody answers yet.
            time.sleep(0.4)
        done = subprocess.run([binary, "--json", "--config", "/nonexistent", "probe", *want["probe"]], cwd=case, capture_output=True, text=True, timeout=60)
    finally:
        if server:
            server.kill()
            server.wait()
    faults = []
    if done.returncode != want.get("exit", 1):
        faults.append(f"exit {done.returncode}: {done.stdout[:400]}")
    document = json.loads(done.stdout)
    if "cause" in want and document.get("cause", {}).get("id") != want["cause"]:
        faults.append(f"cause {document.get('cause')}")
    faults += [f"no word {word!r}: {done.stdout[:600]}" for word in want.get("words", []) if word not in done.stdout]
    return faults


def main():
    where = os.environ.get("OMENS_CASES")
    if not where:
        print("cases: NOT RUN: OMENS_CASES names no directory of cases", file=sys.stderr)
        return 125
    binary = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "target/debug/omens").resolve())
    names = sys.argv[2:]
    wanted = tomllib.loads((HERE / "cases.toml").read_text())
    wrong = ran = 0
    for name, want in wanted.items():
        case = pathlib.Path(where) / name
        if names and not any(part in name for part in names):
            continue
        if not case.is_dir():
            print(f"{name}: NOT THERE")
            wrong += 1
            continue
        ran += 1
        faults = faults_of_probe(binary, case, want) if "probe" in want else faults_of_audit(binary, case, want)
        wrong += bool(faults)
        for fault in faults:
            print(f"{name}: {fault}")
    for case in sorted(pathlib.Path(where).iterdir()):
        if case.is_dir() and case.name not in wanted:
            print(f"{case.name}: nothing is expected of it")
            wrong += 1
    print(f"{ran} cases, {wrong} wrong")
    return 1 if wrong or not ran else 0


sys.exit(main())
