-- recall.lua returns notes, and for each how many milliseconds it will still be kept.
local notes = {}
for k = 1, #KEYS do
  notes[2 * k - 1], notes[2 * k] = redis.call('GET', KEYS[k]), redis.call('PTTL', KEYS[k])
end
return notes
