#!/usr/bin/env python3
"""Where each directive may stand, with how many words, and of which kind they are: asked of an nginx by `nginx -t`.

Usage: shapes.py NGINX [stream|mail] < names   (names: src/audit/consumer/nginx/directives.txt)
Writes the lines of src/audit/consumer/nginx/shapes.txt, or of shapes-stream.txt or shapes-mail.txt: NAME PLACES WORDS KIND TIMES.
"""
import os
import re
import subprocess
import sys
import tempfile

NGINX = sys.argv[1]
MODULE = sys.argv[2] if len(sys.argv) > 2 else "http"
HERE = tempfile.mkdtemp()
os.mkdir(os.path.join(HERE, "logs"))
CONF = os.path.join(HERE, "nginx.conf")
PLACES = {
    "http": {
        "m": "%s\nevents {}\n",
        "e": "events {\n%s\n}\n",
        "h": "events {}\nhttp {\n%s\n}\n",
        "s": "events {}\nhttp { server {\n%s\n} }\n",
        "l": "events {}\nhttp { server { location / {\n%s\n} } }\n",
        "u": "events {}\nhttp { upstream u { server 127.0.0.1:1;\n%s\n} }\n",
        "i": "events {}\nhttp { server { if ($host) {\n%s\n} } }\n",
        "j": "events {}\nhttp { server { location / { if ($host) {\n%s\n} } } }\n",
        "x": "events {}\nhttp { server { location / { limit_except GET {\n%s\n} } } }\n",
    },
    "stream": {
        "h": "events {}\nstream {\n%s\n}\n",
        "s": "events {}\nstream { server {\n%s\n} }\n",
        "u": "events {}\nstream { upstream u { server 127.0.0.1:1;\n%s\n} }\n",
    },
    "mail": {
        "h": "events {}\nmail {\n%s\n}\n",
        "s": "events {}\nmail { server {\n%s\n} }\n",
    },
}[MODULE]


def built():
    """What loads the modules that are not a part of the program."""
    said = subprocess.run([NGINX, "-V"], capture_output=True, text=True, check=True).stderr
    loaded = [name for name in ("stream", "mail") if f"--with-{name}=dynamic" in said]
    modules = re.search(r"--modules-path=(\S+)", said)[1] if loaded else ""
    return "".join(f"load_module {modules}/ngx_{name}_module.so;\n" for name in loaded)


LOAD = built()


def ask(place, statement):
    with open(CONF, "w", encoding="utf-8") as file:
        file.write(LOAD + "pid p;\nerror_log stderr;\n" + PLACES[place] % statement)
    ran = subprocess.run([NGINX, "-t", "-e", "stderr", "-p", HERE, "-c", CONF], capture_output=True, text=True, check=False)
    for line in ran.stderr.splitlines():
        # What is said of the line that was asked about.
        if "[emerg]" in line:
            return line.split(": ", 1)[1]
    return ""


def here(words, name):
    return f'"{name}" directive' in words


def words_of(place, name, block):
    taken = []
    for count in range(0, 10):
        statement = name + " 1" * count + (" { }" if block else ";")
        if f'invalid number of arguments in "{name}"' not in ask(place, statement):
            taken.append(count)
    return taken


def kind_of(place, name):
    said = {value: ask(place, f"{name} {value};") for value in ("maybe", "12", "12k", "12s", "on")}
    bad = {value for value, words in said.items() if here(words, name) or "invalid" in words}
    if 'it must be "on" or "off"' in said["maybe"]:
        return "flag"
    if "maybe" in bad and "12" not in bad:
        if "12k" in bad and "12s" in bad:
            return "number"
        if "12k" in bad:
            return "time"
        if "12s" in bad:
            return "size"
    return "-"


def is_fine(words):
    # A zone or a variable that no other line makes is missed at the end alone.
    return not words or "zero size" in words or 'unknown "memcached_key" variable' in words


def is_once(place, name, kind, arity):
    """Whether two lines with two values are refused. Some directives refuse the same value twice, or one beside off, and take several others."""
    many = range(1, 4)
    pairs = [(" ".join(f"{word}{at}" for at in many[:count]), " ".join(f"{other}{at}" for at in many[:count]))
             for count in arity if 0 < count <= 3 for word, other in (("a", "b"), ("/a", "/b"), ("$host", "$uri"))]
    pairs += [("a 1", "b 2"), ("a secure", "b secure"), ("http://a/ /a", "http://b/ /b"), ("1", "2"), ("1 1", "2 2"), ("2 8k", "4 8k"),
              ("max=1", "max=2"), ("127.0.0.1", "127.0.0.2"), ("http://127.0.0.1:1", "http://127.0.0.1:2"), ("127.0.0.1:1", "127.0.0.1:2"),
              ("one", "two"), ("off", "on"), ("epoll", "poll"), ("auto", "1"), ("clean", "on"), ("exact", "before"), ("always", "on"), ("one.conf", "nginx.conf"), ("/dev/null", "/dev/zero"), ("$host $host", "$uri $uri"), ("", "")]
    pairs = {"flag": [("on", "off")], "number": [("12", "13")], "size": [("12k", "13k")], "time": [("12s", "13s")]}.get(kind, pairs)
    asked = twice = False
    for one, other in pairs:
        lines = [f"{name} {words};" for words in (one, other)]
        if not all(map(is_fine, (ask(place, line) for line in lines))):
            continue
        asked = True
        both = ask(place, "\n".join(lines))
        if is_fine(both):
            return False
        twice |= "is duplicate" in both
    # Where no two of these are taken alone, what is said of off twice has to do.
    return twice or (not asked and is_fine(ask(place, f"{name} off;")) and "is duplicate" in ask(place, f"{name} off;\n" * 2))


def times_of(place, name, kind, arity):
    if is_once(place, name, kind, arity):
        return "once"
    refused = ("is duplicate", "cannot be used with", "duplicate \"")
    for words, lines in (("off", ("off", "off")), ("first", ("a 1", "a 2"))):
        lines = [f"{name} {line};" for line in lines]
        both = ask(place, "\n".join(lines))
        if all(map(is_fine, (ask(place, line) for line in lines))) and any(word in both for word in refused):
            return words
    return "-"


for name in re.findall(r"\S+", "\n".join(line for line in sys.stdin if not line.startswith("#"))):
    places, arity, kind, block = "", set(), "-", False
    for place in PLACES:
        words = ask(place, f"{name} 1;")
        if f'unknown directive "{name}"' in words:
            break
        if "is not allowed here" in words and here(words, name):
            continue
        block = "has no opening" in words
        places += place
        counts = words_of(place, name, block)
        arity |= set(counts)
        if not block and 1 in counts and kind == "-":
            kind = kind_of(place, name)
    if places:
        often = [times_of(place, name, kind, arity) for place in (places[-1:] + places[:1] if arity and not block else "")]
        times = next((times for times in often if times != "-"), "-")
        span = f"{min(arity)}-{'' if 9 in arity else max(arity)}" if arity else "?"
        gaps = arity and set(range(min(arity), max(arity) + 1)) != arity
        print(name, places, ",".join(map(str, sorted(arity))) if gaps else span, "block" if block else kind, times, flush=True)
