#!/usr/bin/env python3
"""pairs - are two faults of the fault lab found when both are there?

  pairs.py --lab FAULTLAB --bin NETDOCTOR [--pairs 60] [--seed N] [--out F.jsonl]

Random pairs of the lab's faults whose symptoms are both seen while both are
injected. A fault is found when an error or warning of check, or of trace or dns
for its own flow, holds its evidence expression.
"""
import argparse, json, os, random, re, subprocess, sys

HOST, LAN = "192.168.50.10", "192.168.50.20"
SHELL = '. ./lib.sh; prepare() { :; }; cleanup() { :; }; . "$1" || exit 9; echo READY; while read -r s; do $s >/dev/null 2>&1 </dev/null; echo "RC $?"; done'


def header(path):
    h = {}
    for line in open(path):
        m = re.match(r"# (\w+): (.*)", line)
        if m:
            h[m[1]] = m[2].strip()
        elif not line.startswith("#"):
            break
    return h


class Fault:
    """a fault with a shell that has its functions"""

    def __init__(self, name):
        self.name, self.h = name, header("faults/%s.sh" % name)
        self.p = subprocess.Popen(["bash", "-c", SHELL, "pair", "faults/%s.sh" % name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.p.stdout.readline()

    def step(self, what):
        self.p.stdin.write(what + "\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        return int(line.split()[1]) if line.startswith("RC") else 99

    def seen(self):
        return any(self.step("symptom") == 0 for _ in range(2))

    def close(self):
        self.p.stdin.close()
        self.p.wait(10)

    def command(self):
        f, t = self.h["from"], self.h["to"]
        if f == "daemon":
            return None
        src = {"lan": LAN, "host": "host"}.get(f) or (f if f.startswith("netns:") else f.split(":")[-1])
        kind, _, rest = t.partition(":")
        if kind == "name":
            return ["trace", src, rest] if "/" in rest else ["dns", rest, "--from", src]
        return ["trace", src, {"published": HOST + ":" + rest, "localhost": "127.0.0.1:" + rest}.get(kind, rest)]


def lab(*a, timeout=240):
    return subprocess.run(["./lab.sh", *a], text=True, capture_output=True, timeout=timeout)


def said(binary, *args):
    try:
        p = subprocess.run(["./lab.sh", "exec", binary, *args, "-o", "json"], text=True, capture_output=True, timeout=90, stdin=subprocess.DEVNULL)
        j = json.loads(p.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return []
    return [f for f in j.get("findings") or [] if f.get("severity") != "info"]


def pair(binary, x, y):
    r = dict(faults=[x, y], found=[False, False])
    faults = [Fault(x), Fault(y)]
    a = state("p.a")
    try:
        for f in faults:
            f.step("prepare")
            f.step("inject")
        r["seen"] = [f.seen() for f in faults]
        if not all(r["seen"]):
            return r  # one undoes or hides the other
        all_ = said(binary, "check")
        for i, f in enumerate(faults):
            mine = list(all_)
            if not names(f, mine) and f.command():
                mine += said(binary, *f.command())
            r["found"][i] = names(f, mine)
            r.setdefault("said", [])
            r["said"] += [s.get("code", "") + " " + s.get("summary", "") for s in mine][:6]
        return r
    finally:
        for f in reversed(faults):
            f.step("heal")
            f.step("cleanup")
            f.close()
        if lab("diff", a, state("p.b")).stdout.strip():
            lab("reset")


def names(f, findings):
    return bool(re.search(f.h["evidence"], json.dumps(findings, ensure_ascii=False), re.I))


def state(name):
    path = os.path.join(os.environ.get("LAB_STATE") or "/tmp/faultlab-" + os.environ.get("LAB", "fb"), name)
    lab("snapshot", path)
    return path


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--lab", required=True)
    p.add_argument("--bin", required=True)
    p.add_argument("--pairs", type=int, default=60)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--out")
    a = p.parse_args()
    binary, out = os.path.abspath(a.bin), open(a.out, "a") if a.out else None
    os.chdir(a.lab)
    ids = sorted(f[:-3] for f in os.listdir("faults") if f.endswith(".sh") and header("faults/" + f).get("layer") != "podman")
    rnd, n, both = random.Random(a.seed), 0, 0
    if lab("up").returncode:
        sys.exit("the lab does not start")
    for _ in range(a.pairs * 3):
        if n == a.pairs:
            break
        x, y = rnd.sample(ids, 2)
        r = pair(binary, x, y)
        if out:
            out.write(json.dumps(r) + "\n")
            out.flush()
        if not all(r["seen"]):
            continue
        n, both = n + 1, both + all(r["found"])
        print("%-70s %s" % (x + " + " + y, "both" if all(r["found"]) else "MISSED %s: %s" % (r["found"], "; ".join(r["said"])[:500])), flush=True)
    print("both found in %d of %d pairs" % (both, n))
    sys.exit(0 if both * 10 >= n * 9 else 1)


main()
