-- recall.lua returns a note and how many milliseconds it will still be kept.
local note = redis.call('GET', KEYS[1])
return {note, redis.call('PTTL', KEYS[1])}
