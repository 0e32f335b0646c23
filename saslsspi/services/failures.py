"""What failed logons cost at a service, and what its workers share, as a configuration says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saslsspi.accounts.failures import FailureLimits, Throttle
from saslsspi.accounts.nonces import NonceStore
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, PackageNotFound
from saslsspi.services.tables import check_mode

if TYPE_CHECKING:
    from saslsspi.accounts.shared.redis import SharedRedis

__all__ = ["FailureSettings", "SharedSettings"]

_KEPT: Final = 600.0  # seconds: twice the skew that is permitted, and more


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureSettings:
    """What failed logons cost.

    Attributes:
        failure_delay: How long a refusal is held back, in seconds.
        failure_window: For how long a failed logon counts, in seconds.
        failures_by_account: How many in a window cost no more than that; each one beyond doubles the delay.
        failures_by_address: The same of one client's address.
        longest_delay: The longest delay, in seconds.
    """

    failure_delay: float = 2.0
    failure_window: float = 900.0
    failures_by_account: int = 5
    failures_by_address: int = 20
    longest_delay: float = 30.0

    def failures(self) -> FailureLimits:
        """Return what failures cost.

        Raises:
            InvalidParameter: it cannot be.
        """
        return FailureLimits(
            window=self.failure_window,
            by_account=self.failures_by_account,
            by_address=self.failures_by_address,
            delay=self.failure_delay,
            longest=max(self.longest_delay, self.failure_delay),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSettings:
    """What the workers share, and services on other machines with them.

    Attributes:
        redis: The URL of a Redis that counts failed logons, and remembers logons of DIGEST-MD5 that may be taken up
            again; "" counts in each worker, and remembers none.
        secret_file: A file with at least 16 octets, the same for all who share it.
    """

    redis: str = ""
    secret_file: str = ""

    def check(self) -> None:
        """Refuse what cannot be used.

        Raises:
            InvalidParameter: one of the two is missing.
            NoAuthenticatingAuthority: others may read the secret.
        """
        if bool(self.redis) != bool(self.secret_file):
            raise InvalidParameter("[shared] needs both redis and secret_file")
        if self.secret_file:
            check_mode(self.secret_file)

    def throttle(self, limits: FailureLimits) -> Throttle:
        """Return what counts failed logons.

        Raises:
            SaslError: Redis is named, and cannot be used.
        """
        if not self.redis:
            return Throttle(limits=limits)
        shared = self._redis()
        from saslsspi.accounts.shared.failures import RedisFailures

        return Throttle(RedisFailures(shared), limits)

    def nonces(self, lifetime: float) -> NonceStore | None:
        """Return what remembers logons of Digest that may be taken up again, at any worker; None without Redis.

        Args:
            lifetime: For how long a nonce may be used, in seconds, as the policy says.

        Raises:
            SaslError: Redis is named, and cannot be used.
        """
        if not self.redis:
            return None
        shared = self._redis()
        from saslsspi.accounts.shared.nonces import RedisNonceStore

        return RedisNonceStore(shared, keep=max(_KEPT, lifetime))

    def _redis(self) -> SharedRedis:
        try:
            from saslsspi.accounts.shared.redis import SharedRedis
        except ModuleNotFoundError:
            raise PackageNotFound("[shared] needs redis-py: pip install 'saslsspi[redis]'") from None
        try:
            return SharedRedis.at(self.redis, Path(self.secret_file).read_bytes())
        except (OSError, ValueError) as error:
            raise NoAuthenticatingAuthority(f"[shared] cannot be used: {error}") from error
