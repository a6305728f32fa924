"""Authorities and certificates of a test's own, made by the openssl program."""

import os
import subprocess

CONFIG = """
[ca]
default_ca = here
[here]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
crlnumber = {folder}/crlnumber
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
copy_extensions = copy
[any]
countryName = optional
organizationName = optional
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[leaf]
basicConstraints = CA:FALSE
"""


def openssl(*arguments, stdin=None):
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr.decode()}")
    return done.stdout


class Authority:
    """ca.pem is its certificate, NAME.pem and NAME.key are those that it has issued."""

    def __init__(self, folder, name="Test CA"):
        self.folder = folder
        os.mkdir(folder)
        for file, text in (("index.txt", ""), ("serial", "1000\n"), ("crlnumber", "01\n"),
                           ("ca.cnf", CONFIG.format(folder=folder))):
            with open(self.path(file), "w", encoding="ascii") as f:
                f.write(text)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                f"/CN={name}", "-days", "100", "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))

    def path(self, file):
        return os.path.join(self.folder, file)

    def issue(self, name, subject, san=None, start=None, end="20991231235959Z", rsa=None, digest="sha256"):
        """start, end: as openssl writes times, 20260101000000Z."""
        how = ["rsa:" + str(rsa)] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        more = ["-addext", f"subjectAltName={san}"] if san else []
        openssl("req", "-new", "-newkey", *how, "-nodes", "-subj", subject, *more, "-keyout", self.path(name + ".key"),
                "-out", self.path(name + ".csr"))
        openssl("ca", "-batch", "-notext", "-config", self.path("ca.cnf"), "-cert", self.path("ca.pem"), "-keyfile",
                self.path("ca.key"), "-in", self.path(name + ".csr"), "-out", self.path(name + ".pem"), "-md", digest,
                "-startdate", start or "20200101000000Z", "-enddate", end, "-extensions", "leaf")
        os.chmod(self.path(name + ".key"), 0o600)
        return name

    def self_signed(self, name, subject):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                "-days", "100", "-keyout", self.path(name + ".key"), "-out", self.path(name + ".pem"))
        return name

    def revoke(self, name):
        openssl("ca", "-batch", "-config", self.path("ca.cnf"), "-cert", self.path("ca.pem"), "-keyfile",
                self.path("ca.key"), "-revoke", self.path(name + ".pem"))

    def make_crl(self):
        openssl("ca", "-gencrl", "-batch", "-config", self.path("ca.cnf"), "-cert", self.path("ca.pem"), "-keyfile",
                self.path("ca.key"), "-out", self.path("crl.pem"))
