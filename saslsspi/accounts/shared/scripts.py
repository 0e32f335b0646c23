"""The steps of the shared memory of nonces, in Lua: each runs in Redis as a whole.

A memory has an epoch, from its making until something of it is lost, and its keys have the epoch in their names:

    epoch     the run of Redis (run_id) in which it began, and the epoch's name
    uses      hash: nonce -> its last count; "" -> everybody's watermark
    records   hash: nonce -> issue (20 digits), owner (16 octets), the sealed session
    expiry    sorted set: nonces by when they are dropped
    held      sorted set: owner, issue, nonce, in this order
    owners    sorted set: owners by how many nonces they hold
    marks     sorted set: owners by their watermark

Times are microseconds since the epoch of Unix. Each of the keys has one member more, of the name "", so that none is
ever empty. A key that is missing is therefore a loss (FLUSHALL, an eviction, an expiry), and so is another run of
Redis, which may have come back with what it had written down long before. A loss ends the epoch: -1.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ADVANCE", "BEGIN", "FIND", "FORGET", "KEYS", "REMEMBER"]

KEYS: Final = (b"uses", b"records", b"expiry", b"held", b"owners", b"marks")
"""Behind the key of the epoch, in this order, wherever a script takes its keys."""

_RUN: Final = "local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')\n"

BEGIN: Final = (
    _RUN
    + """
-- KEYS: epoch. ARGV: the name that a new epoch gets, what names of keys begin with, their names behind the epoch's ...
local function named(name)
  local keys = {KEYS[1]}
  for i = 3, #ARGV do keys[#keys + 1] = ARGV[2] .. name .. ':' .. ARGV[i] end
  return keys
end
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, 1, #run) == run then
  local keys = named(string.sub(held, #run + 1))
  if redis.call('EXISTS', unpack(keys)) == #keys then return string.sub(held, #run + 1) end
end
local keys = named(ARGV[1])
redis.call('SET', KEYS[1], run .. ARGV[1])
redis.call('HSET', keys[2], '', -1)
redis.call('HSET', keys[3], '', '')
redis.call('ZADD', keys[4], '+inf', '')
redis.call('ZADD', keys[5], 0, '')
redis.call('ZADD', keys[6], -1, '')
redis.call('ZADD', keys[7], '+inf', '')
for i = 1, #keys do redis.call('PEXPIRE', keys[i], 3600000) end
return ARGV[1]
"""
)
"""Return the epoch that there is, or begin one."""

_LOST: Final = (
    _RUN
    + """
local EPOCH, USES, RECORDS, EXPIRY, HELD, OWNERS, MARKS = unpack(KEYS)
if redis.call('GET', EPOCH) ~= run .. ARGV[1] or redis.call('EXISTS', unpack(KEYS)) ~= #KEYS then return -1 end
local nonce = ARGV[2]
"""
)

_DROP: Final = """
local function drop(nonce, everybody)
  local head = string.sub(redis.call('HGET', RECORDS, nonce), 1, 36)
  local issued, owner = string.sub(head, 1, 20), string.sub(head, 21)
  redis.call('HDEL', USES, nonce)
  redis.call('HDEL', RECORDS, nonce)
  redis.call('ZREM', EXPIRY, nonce)
  redis.call('ZREM', HELD, owner .. issued .. nonce)
  if tonumber(redis.call('ZINCRBY', OWNERS, -1, owner)) <= 0 then redis.call('ZREM', OWNERS, owner) end
  if not everybody then
    redis.call('ZADD', MARKS, 'GT', issued, owner)
  elseif tonumber(issued) > tonumber(redis.call('HGET', USES, '')) then
    redis.call('HSET', USES, '', issued)
  end
end
"""

REMEMBER: Final = (
    _LOST
    + _DROP
    + """
-- ARGV: epoch, nonce, issue, owner, sealed session, keep and skew in microseconds, size
local issue, owner, keep, skew, size = ARGV[3], ARGV[4], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
for _, old in ipairs(redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', now, 'LIMIT', 0, 8)) do drop(old, true) end
-- Watermarks are bounded too: the lowest of too many becomes everybody's, and those below everybody's say nothing.
for _ = 1, 4 do
  local low = redis.call('ZRANGE', MARKS, 0, 0, 'WITHSCORES')
  local everybody = tonumber(redis.call('HGET', USES, ''))
  if low[1] == '' or (tonumber(low[2]) > everybody and redis.call('ZCARD', MARKS) <= size) then break end
  redis.call('ZREM', MARKS, low[1])
  if tonumber(low[2]) > everybody then redis.call('HSET', USES, '', string.format('%020d', low[2])) end
end
if tonumber(issue) > now + skew then return -2 end
if redis.call('HEXISTS', USES, nonce) == 1 then return 0 end
local mark = redis.call('ZSCORE', MARKS, owner) or redis.call('HGET', USES, '')
if tonumber(issue) <= math.max(tonumber(mark), tonumber(redis.call('HGET', USES, ''))) then return 0 end
while redis.call('HLEN', USES) > size do
  local most = redis.call('ZREVRANGE', OWNERS, 0, 0)[1]
  drop(string.sub(redis.call('ZRANGEBYLEX', HELD, '[' .. most, '+', 'LIMIT', 0, 1)[1], 37), false)
end
redis.call('HSET', USES, nonce, 1)
redis.call('HSET', RECORDS, nonce, issue .. owner .. ARGV[5])
redis.call('ZADD', EXPIRY, now + keep, nonce)
redis.call('ZADD', HELD, 0, owner .. issue .. nonce)
redis.call('ZINCRBY', OWNERS, 1, owner)
for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], math.ceil(keep / 500) + 60000) end
return 1
"""
)
"""Use count 1: 1, or 0 where it may be used already; -2 where the issue lies in the future."""

FIND: Final = _LOST + "return redis.call('HGET', RECORDS, nonce)"
"""Return a nonce's record, or nil."""

ADVANCE: Final = (
    _LOST
    + """
-- ARGV: epoch, nonce, the count that was used last
if redis.call('HGET', USES, nonce) ~= ARGV[3] then return 0 end
redis.call('HINCRBY', USES, nonce, 1)
return 1
"""
)
"""Use the next count: 1, or 0 where it is not the next."""

FORGET: Final = (
    _LOST
    + _DROP
    + """
if redis.call('HEXISTS', USES, nonce) == 1 then drop(nonce, false) end
return 1
"""
)
"""Drop a nonce."""
