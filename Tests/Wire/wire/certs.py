# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, in a folder that goes with the process: those of tools/make-certs, and odd ones."""
import atexit
import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CONFIG = """
[ca]
default_ca = it
[it]
database = {folder}/index
new_certs_dir = {folder}
certificate = {folder}/cacert.pem
private_key = {folder}/cakey.pem
rand_serial = yes
default_md = sha256
default_crl_days = 30
crlnumber = {folder}/crlnumber
policy = any
unique_subject = no
[any]
organizationName = optional
commonName = supplied
"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


class Authority:
    """An authority in a folder of its own, with the server's and the client's certificate."""

    def __init__(self, *names):
        self.dir = Path(tempfile.mkdtemp(prefix="mw-certs-"))
        atexit.register(shutil.rmtree, self.dir, True)
        run(str(ROOT / "tools/make-certs"), str(self.dir), *names)
        (self.dir / "ca.cnf").write_text(CONFIG.format(folder=self.dir))
        (self.dir / "index").touch()
        (self.dir / "crlnumber").write_text("01\n")

    def __getitem__(self, name):
        """The path of a file: ca["cert.pem"]."""
        return str(self.dir / name)

    def issue(self, name, subject, end=None, hosts=""):
        """NAME-cert.pem and NAME-key.pem; end: YYYYMMDDHHMMSSZ."""
        key, request, extensions = (self[f"{name}{more}"] for more in ("-key.pem", ".csr", ".ext"))
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
            "-out", request, "-subj", subject)
        Path(extensions).write_text("basicConstraints=CA:FALSE\n" + (f"subjectAltName={hosts}\n" if hosts else ""))
        dates = ["-startdate", "20200101000000Z", "-enddate", end] if end else ["-days", "30"]
        run("openssl", "ca", "-batch", "-config", self["ca.cnf"], "-in", request, "-out", self[f"{name}-cert.pem"],
            "-notext", "-preserveDN", "-extfile", extensions, *dates)
        return self[f"{name}-cert.pem"], self[f"{name}-key.pem"]

    def revoke(self, certificate):
        """Enter a certificate into crl.pem, which exists from the first call."""
        run("openssl", "ca", "-config", self["ca.cnf"], "-revoke", certificate)
        run("openssl", "ca", "-config", self["ca.cnf"], "-gencrl", "-out", self["crl.pem"])

    def context(self, certificate=None, version=None):
        """Of a client that trusts this authority; certificate: (file, key file)."""
        context = ssl.create_default_context(cafile=self["cacert.pem"])
        if certificate:
            context.load_cert_chain(*certificate)
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    @property
    def client(self):
        return self["client-cert.pem"], self["client-key.pem"]
