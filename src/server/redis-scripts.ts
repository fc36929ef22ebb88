import { LOCK_SECONDS } from './store.ts';

/** Where things are. The locks' name is in the contract, the rest is ours. */
export const KEYS = {
  /** Hash: id → revision, a space, record. */
  workers: 'xingrin:workers',
  /** Hash: id → last heartbeat. */
  beats: 'xingrin:beats',
  /** Hash: name → id, of those in no inventory. */
  names: 'xingrin:names',
  lastId: 'xingrin:last_id',
  /** Stream: one entry a change. */
  events: 'xingrin:events',
  /** Stream: what servers tell each other of heartbeats. */
  news: 'xingrin:news',
  /** Which run of Redis the servers have met. */
  run: 'xingrin:run',
  /** While it exists locks may have been lost, and none is given. */
  unsure: 'xingrin:locks_unsure',
  lock: (id: number): string => `agent_update_lock:${id}`,
} as const;

/**
 * A server comes (back). KEYS: lastId, run, unsure, workers, names, events, news. ARGV: the run of Redis, the highest id that the server
 * knows, whether it could restore; then, where it restores: id, name (empty for those of the inventory), record; and so on.
 *
 * A Redis that was started anew may have lost what came last: no lock is given for as long as one lasts. One that lost everything gets back
 * what the first server to return knows. Answers with what was found: `lost` if it has to be restored, else the ends of both streams.
 */
export const ENTER = `
local lost = redis.call('EXISTS', KEYS[1]) == 0
if lost and ARGV[3] == '1' and #ARGV == 3 then return {'lost'} end
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  redis.call('SET', KEYS[3], '1', 'EX', ${LOCK_SECONDS})
  redis.call('SET', KEYS[2], ARGV[1])
end
local id = tonumber(redis.call('GET', KEYS[1]) or '0')
if id < tonumber(ARGV[2]) then redis.call('SET', KEYS[1], ARGV[2]) end
if lost then
  for i = 4, #ARGV, 3 do
    redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 2])
    if ARGV[i + 1] ~= '' then redis.call('HSET', KEYS[5], ARGV[i + 1], ARGV[i]) end
  end
end
local function tail(key)
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  return last and last[1] or '0-0'
end
return {'here', tail(KEYS[6]), tail(KEYS[7])}
`;

/** What the scripts below answer on a Redis that was emptied: nothing that they would say is right until a server has come back to it. */
export const EMPTIED = 'EMPTIED';

/** Their last key is always lastId, which every server that comes sees to. */
const guarded = (script: string): string => `
if redis.call('EXISTS', KEYS[#KEYS]) == 0 then return redis.error_reply('${EMPTIED} what was kept here is gone') end
${script.trimStart()}`;

/**
 * Replaces a record if it has the revision that the change was thought for. KEYS: workers, beats, names, events, the worker's lock. ARGV: id,
 * revision before, name before, record after (empty: remove), name after (each name empty for those of the inventory), the event, how
 * many events are kept.
 */
export const SWAP = guarded(`
local current = redis.call('HGET', KEYS[1], ARGV[1])
if (current and string.match(current, '^%d+') or '0') ~= ARGV[2] then return false end
if ARGV[3] ~= '' and redis.call('HGET', KEYS[3], ARGV[3]) == ARGV[1] then redis.call('HDEL', KEYS[3], ARGV[3]) end
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('DEL', KEYS[5])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
  if ARGV[5] ~= '' then redis.call('HSET', KEYS[3], ARGV[5], ARGV[1]) end
end
return redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[7], '*', 'event', ARGV[6])
`);

/** KEYS: names, lastId. ARGV: name. */
export const CLAIM = guarded(`
local id = redis.call('HGET', KEYS[1], ARGV[1])
if not id then
  id = tostring(redis.call('INCR', KEYS[2]))
  redis.call('HSET', KEYS[1], ARGV[1], id)
end
return tonumber(id)
`);

/** KEYS: lock, unsure. ARGV: owner. */
export const LOCK = guarded(`
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ${LOCK_SECONDS}) and 1 or 0
`);

/** The same. While locks may have been lost nobody else can have got it: whoever had it has it again. */
export const RENEW = guarded(`
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] or (not owner and redis.call('EXISTS', KEYS[2]) == 1) then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ${LOCK_SECONDS})
  return 1
end
return 0
`);

/** KEYS: lock. ARGV: owner. */
export const UNLOCK = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
`;
