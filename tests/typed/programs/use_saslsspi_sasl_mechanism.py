"""A mechanism of one's own, the client's half."""

from saslsspi import InvalidToken, Password, Property
from saslsspi.sasl.mechanism import (
    ClientExchange,
    ClientParameters,
    First,
    Mechanism,
    Outcome,
    ServerExchange,
    ServerParameters,
)


class Caller(ClientExchange):
    """Says who it is."""

    def __init__(self, parameters: ClientParameters) -> None:
        assert isinstance(parameters.credentials, Password)
        self.name = parameters.credentials.username
        self.outcome: Outcome | None = None

    def step(self, challenge: bytes | None) -> bytes | None:
        """Send the name."""
        if challenge is not None:
            raise InvalidToken("nothing is due")
        self.outcome = Outcome(username=self.name)
        return self.name.encode()


class Listener(ServerExchange):
    """Believes it."""

    def __init__(self, parameters: ServerParameters) -> None:
        self.outcome: Outcome | None = None

    def step(self, response: bytes | None) -> bytes | None:
        """Take the name."""
        self.outcome = Outcome(username=(response or b"").decode())
        return None


MECHANISM = Mechanism(
    name="X-HELLO",
    first=First.CLIENT,
    properties=Property.NONE,
    client=Caller,
    server=Listener,
    credentials=(Password,),
)
