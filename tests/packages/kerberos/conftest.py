"""A realm for the tests of this folder; where there is none, they are skipped (and fail under CI=true)."""

from interop.kdc import kdc as kdc
