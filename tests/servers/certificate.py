"""A certificate authority of the test's own and server certificates for loopback, made by openssl."""
import pathlib
import subprocess

NAMES = "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:127.0.0.2,IP:::1"


class Authority:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate, self._key = self.directory / "ca.pem", self.directory / "ca.key"
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
            "/CN=mlctr test authority", "-keyout", self._key, "-out", self.certificate,
        )  # fmt: skip

    def issue(self, name, valid_days=30, names=NAMES):
        """Returns (certificate, key), PEM files. A negative `valid_days` makes one that has expired."""
        stem = self.directory / name
        key, request, certificate = stem.with_suffix(".key"), stem.with_suffix(".csr"), stem.with_suffix(".pem")
        extensions = stem.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days",
            str(valid_days), "-extfile", extensions, "-out", certificate,
        )  # fmt: skip
        return certificate, key

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
