"""The requesting side of HTTP authentication: logons, Digest sessions and protection spaces, requests and httpx."""
