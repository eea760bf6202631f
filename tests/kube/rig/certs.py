# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates, made by openssl; all of them live in one folder."""
import subprocess


class Certs:
    """An authority of our own; make() gives (certificate, key) files."""

    def __init__(self, folder):
        self.folder = folder
        self.ca, self._ca_key = self._request("ca", "/CN=rig")

    def make(self, name, subject, *names):
        """names: what a server is reached by, as DNS:x or IP:x."""
        extensions = [f"subjectAltName={','.join(names)}"] if names else []
        return self._request(name, subject, "-CA", self.ca, "-CAkey", self._ca_key,
                             *[word for one in extensions for word in ("-addext", one)],
                             "-addext", "basicConstraints=CA:FALSE")

    def _request(self, name, subject, *more):
        cert, key = (str(self.folder / f"{name}.{kind}") for kind in ("crt", "key"))
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", subject,
             "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-out", cert, "-keyout", key, *more], check=True, capture_output=True)
        return cert, key
