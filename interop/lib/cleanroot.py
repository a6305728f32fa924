"""A clean root with our Debian packages in it, and namespaces to live there: what interop/package and interop/container
have in common.

The root is made with mmdebstrap, once ($BUILD_DIR/roots; DEBIAN_MIRROR: from where), and unpacked anew for each run.  What
the package depends on lies in it for apt, uninstalled, so that apt has to find that itself.  A test runs itself a second
time in namespaces of its own: there is no network but a loopback, so that ports are free."""

import fcntl
import hashlib
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.path.abspath(os.environ.get("BUILD_DIR", "."))
ROOTS = os.path.join(BUILD, "roots")
WAIT_S, LONG_S = 60, 900
INSIDE = "CLEAN_ROOT"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}


class Skip(Exception):
    pass


class Tests(list):
    """The functions of a test, in their order; those that are vital end it when they fail."""

    def __call__(self, what, vital=False):
        def add(function):
            self.append((what, function, vital))
            return function
        return add

    def run(self, world):
        failed = 0
        for number, (what, function, vital) in enumerate(self, 1):
            began = time.monotonic()
            try:
                function(world)
                print(f"ok {number} - {what}\n# {time.monotonic() - began:.1f} s", flush=True)
            except Skip as why:
                print(f"ok {number} - {what} # SKIP {why}", flush=True)
            except Exception:  # pylint: disable=broad-except
                failed += 1
                said = traceback.format_exc()
                print(f"not ok {number} - {what}\n" + "\n".join("# " + line for line in said.splitlines()), flush=True)
                if vital:
                    print("Bail out!  Without that there is nothing to look at.", flush=True)
                    break
        print(f"1..{len(self)}")
        return 1 if failed else 0


def need(condition, what):
    if not condition:
        raise AssertionError(what)


def run(*command, seconds=WAIT_S, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=seconds, check=False, **more)


def must(*command, **more):
    out = run(*command, **more)
    need(out.returncode == 0, f"{' '.join(command[:6])}: {out.returncode}: {out.stdout[-3000:]}")
    return out.stdout


# ---- Outside: the packages and the root.

def unless_possible():
    if os.environ.get("PEER"):
        return "it is about our packages"
    if os.environ.get("AMQP_TLS") or os.environ.get("MILLRACED_ARGS"):
        return "once is enough: it starts its broker by itself"
    if os.geteuid() != 0:
        return "only root can enter a root of its own"
    for tool in ("mmdebstrap", "dh", "dpkg-buildpackage", "unshare", "chroot", "tar"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    if run("unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "true").returncode != 0:
        return "there can be no namespaces here"
    return None


def make_packages():
    out = must("make", "-s", "-C", BUILD, "deb", seconds=LONG_S,
               env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")})
    paths = {os.path.basename(p).split("_")[0]: p for p in re.findall(r"\S+\.deb$", out, flags=re.M)}
    need(set(paths) == {"millrace", "millrace-rabbitmq-compat"}, f"these packages were built: {out}")
    return paths


def field(deb, name):
    return must("dpkg-deb", "-f", deb, name).strip()


def make_root(deb):
    """The root as a tar file, which lasts as long as the package needs the same."""
    needs = re.sub(r"\([^)]*\)|\s", "", field(deb, "Depends")).split(",")
    suite = "stable"
    with open("/etc/os-release", encoding="utf-8") as f:
        found = re.search(r"^VERSION_CODENAME=(\w+)$", f.read(), flags=re.M)
        suite = found[1] if found else suite
    mirror = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
    key = hashlib.sha256(" ".join([suite, mirror, *needs]).encode()).hexdigest()[:12]
    path = os.path.join(ROOTS, f"{suite}-{key}.tar")
    if not os.path.exists(path):
        os.makedirs(ROOTS, exist_ok=True)
        began = time.monotonic()
        out = run("mmdebstrap", "--variant=apt", "--format=tar", "--skip=cleanup/apt/cache,cleanup/apt/lists",
                  f"--customize-hook=chroot \"$1\" apt-get -qq -y --no-install-recommends --download-only install "
                  f"{' '.join(needs)}", suite, path + ".new", mirror, seconds=LONG_S)
        if out.returncode != 0:
            raise Skip(f"no root can be made: {out.stdout.strip().splitlines()[-1:]}")
        os.rename(path + ".new", path)
        print(f"# the root was made in {time.monotonic() - began:.0f} s")
    return path


def enter(program):
    """Outside: makes everything, and runs the program again inside, with the root's folder in its environment."""
    why = unless_possible()
    if why:
        print(f"1..0 # SKIP {why}")
        return 0
    began = time.monotonic()
    packages = make_packages()
    print(f"# the packages were made in {time.monotonic() - began:.0f} s", flush=True)
    try:
        tar = make_root(packages["millrace"])
    except Skip as reason:
        print(f"1..0 # SKIP {reason}")
        return 0
    folder = tempfile.mkdtemp(prefix="run-", dir=ROOTS)
    try:
        must("tar", "-C", folder, "-xf", tar, "--numeric-owner", seconds=LONG_S)
        for deb in packages.values():
            shutil.copy(deb, os.path.join(folder, "root"))
        return subprocess.call(["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child",
                                sys.executable, os.path.realpath(program)],
                               env=dict(os.environ, **{INSIDE: folder}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# ---- Inside.

def lift_loopback():
    siocgifflags, siocsifflags, iff_up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        name = b"lo"
        flags = struct.unpack("16sH", fcntl.ioctl(s, siocgifflags, struct.pack("16sH14x", name, 0))[:18])[1]
        fcntl.ioctl(s, siocsifflags, struct.pack("16sH14x", name, flags | iff_up))


def add_address(address):
    """One more for the loopback, which does not look like one."""
    siocsifaddr = 0x8916
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, siocsifaddr, struct.pack("16sHH4s8x", b"lo:1", socket.AF_INET, 0, socket.inet_aton(address)))


def mount_root(root, has_mounts=True):
    """This process's own /proc; and what a root needs in it."""
    must("mount", "--make-rprivate", "/")
    must("mount", "-t", "proc", "proc", "/proc")
    if not has_mounts:
        return
    must("mount", "-t", "proc", "proc", root + "/proc")
    must("mount", "--rbind", "/dev", root + "/dev")
    must("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", root + "/run")
