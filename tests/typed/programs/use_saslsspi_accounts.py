"""An authority of one's own, with a throttle over its failures."""

from typing import assert_type

from saslsspi.accounts import Account, Authority, MemoryFailures, Question, ScramKeys, Throttle, derive_scram_keys

TABLE = {"alice": derive_scram_keys("wonderland")}


class People(Authority):
    """Users in a table, keys alone."""

    def lookup(self, question: Question) -> Account | None:
        """Return the account that is asked for."""
        keys = TABLE.get(question.username)
        return None if keys is None else Account(username=question.username, scram={keys.hash_name: keys})


assert_type(TABLE["alice"], ScramKeys)
throttle = Throttle(MemoryFailures())
