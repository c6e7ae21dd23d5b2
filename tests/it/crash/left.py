#!/usr/bin/env python3
"""Judges what a cut left, for crash.py's --check: the trees as the cut left them, then the next run, then what is there after it.

The first line names the state; what must not be is said on it and ends with 1. Everything may be written: crash.py throws it away.
"""
import ctypes, json, os, shutil, ssl, subprocess, sys

case = json.load(open(sys.argv[1]))
DISK, RUN, PROBE = case['disk'], case['run'], case['probe']
SEALED = case['keep'] == 'sealed'
STATE, RC = os.environ['STATE'], int(os.environ['RC'])


def bad(*why):
    print(said, *why)
    sys.exit(1)


def omens(conf, *arguments):
    p = subprocess.run([case['bin'], '--config', conf, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return p.returncode, ' | '.join(p.stdout.strip().splitlines()[-3:])


def live(tree):
    """what `live` names, None where there is none"""
    link = f'{tree}/live'
    if not os.path.lexists(link):
        return None
    generation = os.readlink(link)
    if not os.path.isdir(f'{tree}/{generation}'):
        bad('dangling:', link, '->', generation)
    return generation


def public(*command):
    p = subprocess.run(['openssl', *command], stdin=subprocess.DEVNULL, capture_output=True)
    return p.stdout if p.returncode == 0 and p.stdout else bad('openssl cannot read', command[-1], p.stderr.decode(errors='replace')[-200:])


pairs = set()


def pair(tree, generation):
    """certificate and key belong together, as OpenSSL sees it; the same two again are not shown to it twice"""
    files = [f'{tree}/{generation}/{name}' for name in ('cert.pem', 'key.pem')]
    if missing := [path for path in files if not os.path.isfile(path)]:
        bad('not there:', *missing, 'but', *os.listdir(f'{tree}/{generation}'))
    content = tuple(open(path, 'rb').read() for path in files)
    if content in pairs:
        return
    if public('x509', '-noout', '-pubkey', '-in', files[0]) != public('pkey', '-pubout', '-in', files[1]):
        bad('mixed pair in', f'{tree}/{generation}')
    pairs.add(content)


def pair_at_rest(generation):
    """the same of the state directory. A sealed key shows what it is when it is opened: a boot beside, of a copy, into a directory of its own"""
    if not SEALED:
        return pair(f'{DISK}/certs/web', generation)
    shutil.rmtree(PROBE, ignore_errors=True)
    os.makedirs(PROBE, mode=0o700)
    shutil.copytree(DISK, f'{PROBE}/state', symlinks=True)
    code, text = omens(case['probe_conf'], 'restore')
    if code or live(f'{PROBE}/run/web') != generation:
        bad(f'a boot does not bring {generation} back: {code}', text)
    pair(f'{PROBE}/run/web', generation)


def names(top):
    for here, dirs, files in os.walk(top):
        for name in dirs + files:
            yield os.path.join(here, name)


def scalars():
    """the secret of every private key that can be read in memory: 32 bytes after the ECPrivateKey's version (RFC 5915, 3)"""
    from base64 import b64decode
    for path in list(names(RUN)) + list(names(PROBE)):
        if path.endswith('/key.pem'):
            der = b64decode(''.join(line for line in open(path).read().splitlines() if '-' not in line))
            at = der.find(b'\x02\x01\x01\x04\x20') + 5
            if len(der) >= at + 32 > 36:
                yield der[at:at + 32]


def no_plain_key(disk=False):
    """no private key in clear: in no file below the state directory, in the end also nowhere on the disk, where deleted files lie as well"""
    if not SEALED:
        return
    needles = {b'PRIVATE KEY', *scalars()}
    found = {path: open(path, 'rb').read() for path in names(STATE) if os.path.isfile(path) and not os.path.islink(path)}
    if disk:
        fd = os.open(STATE, os.O_RDONLY)
        ctypes.CDLL(None).syncfs(fd)
        device = os.stat(STATE).st_dev
        image = open(f'/sys/dev/block/{os.major(device)}:{os.minor(device)}/loop/backing_file').read().strip()
        found['the disk itself'] = open(image, 'rb').read()
    for where, content in found.items():
        if any(needle in content for needle in needles):
            bad('a private key in clear:', where)


def no_orphans(now):
    """live, the one before it, and the sealing keys that these need or the next run will use"""
    left = [path for tree in (DISK, RUN) for path in names(tree) if os.path.basename(path).startswith('.')]
    marked = [name for name in os.listdir(f'{DISK}/certs/web') if name.startswith('withdrawn-')]
    left += [mark for mark in marked if not os.path.isdir(f'{DISK}/certs/web/gen-{mark[10:]}')]
    if left:
        bad('leftovers:', *left[:3])
    for tree in (f'{DISK}/certs/web', f'{RUN}/web'):
        all = sorted(int(name[4:]) for name in os.listdir(tree) if name.startswith('gen-'))
        if len(all) > 2 or all[-1] != int(now[4:]) and f'withdrawn-{all[-1]}' not in marked:
            bad(f'generations that nobody needs: {all} with live {now} in', tree)
    if not SEALED:
        return
    needed = {json.load(open(path))['seal'] for path in names(f'{DISK}/certs') if path.endswith('/key.sealed')}
    keys = [json.load(open(f'{DISK}/seal/{name}')) for name in os.listdir(f'{DISK}/seal') if name.startswith('key-')]
    keys = {key['id']: key['created'] for key in keys}
    if orphans := [id for id in keys if id not in needed and keys[id] != max(keys.values())]:
        bad('sealing keys that nothing needs:', *orphans)


def slots():
    """a killed client cannot flush, and swtpm is no resource manager: after a kill the operator does it, after a power cut the reset.
    A client that survived an error has flushed by itself"""
    if not SEALED:
        return
    environment = dict(os.environ, TPM2TOOLS_TCTI=case['tcti'])
    if RC == 137:
        for kind in ('--transient-object', '--loaded-session'):
            subprocess.run(['tpm2_flushcontext', kind], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    elif case['error']:
        for kind in ('handles-transient', 'handles-loaded-session'):
            if held := subprocess.run(['tpm2_getcap', kind], env=environment, capture_output=True, text=True).stdout.strip():
                bad('left in the TPM:', held)


def roots():
    """what consumers trust, as it lies there; None where nothing does"""
    try:
        return open(f'{RUN}/trust/anchors.pem').read()
    except FileNotFoundError:
        return None


def served():
    """whether the service shows what is published"""
    seen = ssl.get_server_certificate(('127.0.0.1', case['served']), timeout=5)
    if ssl.PEM_cert_to_DER_cert(seen) != ssl.PEM_cert_to_DER_cert(open(f'{RUN}/web/{now}/cert.pem').read()):
        bad('the service serves another certificate than', now)


said = '?'
slots()
var, run = live(f'{DISK}/certs/web'), live(f'{RUN}/web')
said = f'var={var or "-"} run={run or "-"}' + ('' if RC in (0, 137) else f' status={RC}')
# The tool also shows an undisturbed run, with the power on.
undisturbed = case['power'] and RC == 0 and run == case['done']
if var not in case['var'] or run not in case['run_may'] and not undisturbed:
    bad('is not a state that may be')
if RC == 0 and (var != case['done'] or run not in (case['done'], *([None] if case['power'] else []))):
    bad('success was claimed')
if var:
    pair_at_rest(var)
if run:
    pair(f'{RUN}/web', run)
no_plain_key()
if case['roots'] and roots() not in (None, *(open(path).read() for path in case['roots'])):
    bad('half a file of roots')

if case['loses_state'] and os.path.exists(f'{DISK}/certs/web/state.json'):
    os.remove(f'{DISK}/certs/web/state.json')
    case['stays'] = var
code, text = omens(case['conf'], *case['next'])
now = live(f'{DISK}/certs/web')
if code not in case['next_code']:
    bad(f'the next run ended with {code}:', text)
if now is None or now != live(f'{RUN}/web') or case['stays'] and now != case['stays']:
    bad(f'does not converge: var={now} run={live(RUN + "/web")} after {code}:', text)
pair(f'{RUN}/web', now)
if now != var:
    pair_at_rest(now)
if case['served']:
    served()
if case['roots']:
    import hashlib
    wanted = open(case['roots'][1]).read()
    noted = json.load(open(f'{DISK}/certs/web/state.json')).get('trust', {}).get('anchors.pem')
    if roots() != wanted or noted != hashlib.sha256(wanted.encode()).hexdigest():
        bad('the new roots are not there, or nobody took them up:', noted)
if code == 0:
    no_orphans(now)
no_plain_key(disk=True)
print(said)
