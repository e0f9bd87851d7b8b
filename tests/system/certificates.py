"""An authority of a test's own, and certificates by it, made by openssl when they are needed."""

import ssl
import subprocess


class Authority:
    def __init__(self, directory, name="tests"):
        self.directory = directory
        directory.mkdir()
        self.openssl("req", "-x509", *EC, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", f"/CN={name}")
        self.certificate = directory / "ca.pem"

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True, timeout=30)

    def issue(self, file, *names):
        """FILE.pem and FILE.key, good for hosts and addresses."""
        kinds = ("IP" if name.replace(".", "").isdigit() else "DNS" for name in names)
        names = ",".join(f"{kind}:{name}" for kind, name in zip(kinds, names))
        (self.directory / "extensions").write_text(f"subjectAltName={names}\n")
        self.openssl("req", *EC, "-keyout", f"{file}.key", "-out", f"{file}.csr", "-subj", f"/CN={file}")
        self.openssl("x509", "-req", "-in", f"{file}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "2", "-extfile", "extensions", "-out", f"{file}.pem")
        (self.directory / f"{file}.key").chmod(0o644)  # Cyrus' nodes run as a user of their own
        return self.directory / f"{file}.pem", self.directory / f"{file}.key"

    def client(self, name, alpn=("imap",), newest=ssl.TLSVersion.TLSv1_3):
        """A function from a socket to one with TLS, for `Conversation`. An end without close_notify is an error."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.maximum_version = newest
        if alpn:
            context.set_alpn_protocols(alpn)
        return lambda plain: context.wrap_socket(plain, server_hostname=name, suppress_ragged_eofs=False)


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
