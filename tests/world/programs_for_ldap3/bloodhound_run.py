"""BloodHound.py's own command with a name server beside it: bloodhound_run.py FOLDER REALM HOST USER PASSWORD.

It asks the domain's name server for the controllers; Samba's is not there, so this one answers on port 53.
"""

import os
import socket
import sys
import threading

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset
from bloodhound import main

folder, realm, host, user, password = sys.argv[1:]


def answer(question: bytes) -> bytes:
    asked = dns.message.from_wire(question)
    told = dns.message.make_response(asked)
    told.flags |= dns.flags.AA
    (about,) = asked.question
    if about.rdtype == dns.rdatatype.SRV:
        told.answer.append(dns.rrset.from_text(about.name, 60, "IN", "SRV", f"0 0 389 {host}."))
    elif about.rdtype == dns.rdatatype.A:
        told.answer.append(dns.rrset.from_text(about.name, 60, "IN", "A", "127.0.0.1"))
    return told.to_wire()


def serve() -> None:
    while True:
        question, peer = names.recvfrom(4096)
        names.sendto(answer(question), peer)


names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.0.0.1", 53))
threading.Thread(target=serve, daemon=True).start()
os.chdir(folder)
sys.argv = ["bloodhound-python", "-c", "DCOnly", "-d", realm, "-u", user, "-p", password, "-ns", "127.0.0.1",
            "-dc", host, "--auth-method", "ntlm", "--disable-autogc"]  # fmt: skip
main()
