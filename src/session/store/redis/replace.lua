local held = redis.call('GET', KEYS[1])
if not held or held == '' or held ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
