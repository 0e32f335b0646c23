"""Puts contacts into a Samba domain's database: run by the Python that Samba's own modules belong to."""

import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

configuration, database, base, count = sys.argv[1:]
parameters = LoadParm(configuration)
directory = SamDB(url=database, lp=parameters, session_info=system_session(parameters))
directory.transaction_start()
directory.add({"dn": f"OU=many,{base}", "objectClass": "organizationalUnit"})
for number in range(int(count)):
    name = f"entry{number:05}"
    directory.add(
        {
            "dn": f"CN={name},OU=many,{base}",
            "objectClass": "contact",
            "mail": f"{name}@example.test",
            "description": f"Entry number {number} of many, long enough to fill a security layer's buffers",
        }
    )
directory.transaction_commit()
