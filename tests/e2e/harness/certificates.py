# SPDX-License-Identifier: Apache-2.0
"""Certificates of a folder, NAME.crt and NAME.key, and servers that have them."""
import ssl
import subprocess


def _openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    _openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-keyout", f"{name}.key", "-out", f"{name}.crt")


def make_certificate(folder, name, authority, subject):
    _openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
             "-out", f"{name}.csr")
    (folder / f"{name}.ext").write_text(f"subjectAltName={subject}")
    _openssl(folder, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA",
             f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial",
             "-extfile", f"{name}.ext", "-out", f"{name}.crt")


def make_all(folder):
    """Of the authority "ca", and of another one."""
    for name in "ca", "other":
        make_authority(folder, name)
    make_certificate(folder, "server", "ca", "IP:127.0.0.1")
    make_certificate(folder, "named", "ca", "DNS:api.test")
    make_certificate(folder, "client", "ca", "DNS:client")
    return folder


def tls(certs, name="server", wants_client=False):
    """What such a server shows, and wants to see."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certs / f"{name}.crt", certs / f"{name}.key")
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certs / "ca.crt")
    return context
