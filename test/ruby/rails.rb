# frozen_string_literal: true

# What the Ruby client and the Rails gem do on the wire, with the standard library
# alone:
#   ruby rails.rb FOLLOWER_URL ALL_URLS KEY SECRET
# ALL_URLS is comma-separated. A line "producing" on standard output says that the
# writers are under way, and that a node which is not the follower is to be killed;
# they do not end before a line on standard input says that it was. The last line
# is JSON. Whatever breaks a promise raises.
require "base64"
require "json"
require "net/http"
require "openssl"
require "securerandom"
require "uri"

FOLLOWER, ALL, KEY, SECRET = ARGV
URLS = ALL.split(",")
RETRY_FOR = 120
RETRIED = [429, 500, 502, 503, 504].freeze
AWAY = [Errno::ECONNREFUSED, Errno::ECONNRESET, Errno::EPIPE, EOFError, IOError, Net::OpenTimeout, Net::ReadTimeout].freeze
$stdout.sync = true

def want(what, got, expected)
  raise "#{what}: got #{got.inspect}, want #{expected.inspect}" unless expected === got
end

# A connection that is kept, as the client's pool keeps it.
class Conn
  attr_reader :retries

  def initialize(*urls)
    @uris = urls.map { |u| URI(u) }
    @retries = 0
  end

  def once(verb, path, body: nil, headers: {})
    @http ||= Net::HTTP.new(@uris.first.host, @uris.first.port).tap do |h|
      h.open_timeout = 2
      h.read_timeout = 20
      h.max_retries = 0 # Net::HTTP would repeat some requests by itself
      h.start
    end
    req = Net::HTTP.const_get(verb.capitalize).new("/v1/stream/#{path}")
    { "Authorization" => "Bearer #{KEY}" }.merge(headers).each { |k, v| v.nil? ? req.delete(k) : req[k] = v }
    req.body = body if body
    @http.request(req)
  rescue *AWAY
    close
    raise
  end

  # What the client does about 429, 5xx and connections that are refused or broken;
  # an application in front of several nodes goes to the next.
  def ask(verb, path, **args)
    give_up = Process.clock_gettime(Process::CLOCK_MONOTONIC) + RETRY_FOR
    loop do
      late = Process.clock_gettime(Process::CLOCK_MONOTONIC) > give_up
      begin
        res = once(verb, path, **args)
        return res if !RETRIED.include?(res.code.to_i) || late
        raise "503 without Retry-After" if res.code == "503" && res["retry-after"].nil?
      rescue *AWAY
        raise if late
      end
      @retries += 1
      close
      @uris.rotate!
      sleep 0.05
    end
  end

  def close
    @http&.finish if @http&.started?
  rescue IOError
    nil
  ensure
    @http = nil
  end
end

def next_offset(res)
  want("Stream-Next-Offset of #{res.code}", res["stream-next-offset"], String)
  res["stream-next-offset"]
end

JSON_TYPE = { "Content-Type" => "application/json" }.freeze

# An ActiveSupport::MessageVerifier token as the gem makes it: with an expiry.
def token(stream, permissions)
  inner = Base64.strict_encode64(JSON.generate(stream: stream, permissions: permissions))
  payload = Base64.strict_encode64(JSON.generate(_rails: { message: inner, exp: (Time.now.utc + 3600).strftime("%Y-%m-%dT%H:%M:%S.%LZ"), pur: nil }))
  "#{payload}--#{OpenSSL::HMAC.hexdigest("SHA256", SECRET, payload)}"
end

# provisioning: once per process and name, by many processes at once.
def provisioning(unique)
  names = (1..15).map { |i| "gid://app-#{unique}/Room/#{i}/messages" }
  pipes = (0...12).map do |i|
    from, to = IO.pipe
    fork do
      from.close
      conn = Conn.new(URLS[i % URLS.size])
      codes = names.map do |name|
        res = conn.ask("put", name, headers: JSON_TYPE)
        next_offset(res)
        res.code
      end
      to.write(JSON.generate(codes))
      to.close
      exit!(0)
    end
    to.close
    from
  end
  all = pipes.map { |from| JSON.parse(from.read) }
  Process.waitall.each { |_, status| want("a process", status.success?, true) }
  names.each_index { |i| want("statuses of #{names[i]}", all.map { |codes| codes[i] }.tally.sort, [["200", 11], ["201", 1]]) }
  all.flatten.size
end

# batches: arrays are taken apart, atomically, and offsets lead from one read to
# the next.
def batches(unique)
  name = "gid://app-#{unique}/Room/batches"
  conn = Conn.new(FOLLOWER)
  want("create", conn.ask("put", name, headers: JSON_TYPE).code, "201")
  sent = []
  (1..30).each do |n|
    batch = (1..n).map { |i| { "n" => n, "i" => i, "text" => "ü" * i } }
    res = conn.ask("post", name, body: JSON.generate(batch), headers: JSON_TYPE)
    want("batch", res.code, "204")
    next_offset(res)
    sent.concat(batch)
  end
  got = []
  offset = "-1"
  loop do
    res = conn.ask("get", "#{name}?offset=#{offset}")
    want("read", res.code, "200")
    got.concat(JSON.parse(res.body.force_encoding("UTF-8")))
    offset = next_offset(res)
    break if res["stream-up-to-date"] == "true"
  end
  want("what was read", got == sent, true)
  want("an empty array", conn.ask("post", name, body: "[]", headers: JSON_TYPE).code, "400")
  want("close", conn.ask("post", name, headers: { "Stream-Closed" => "true" }).code, "204")
  res = conn.ask("post", name, body: "[1]", headers: JSON_TYPE)
  want("append to a closed stream", [res.code, res["stream-closed"]], %w[409 true])
  sent.size
end

# events reads SSE until the block says that it is enough; it comes back with the
# last offset when the connection ends or the node is away.
def events(urls, name, tok)
  offset = "-1"
  reconnects = -1
  cursor = nil
  seen = []
  give_up = Time.now + RETRY_FOR
  catch(:enough) do
    loop do
      raise "the tail gives up" if Time.now > give_up
      reconnects += 1
      uri = URI(urls[reconnects % urls.size])
      begin
        Net::HTTP.start(uri.host, uri.port, open_timeout: 2, read_timeout: 300) do |http|
          query = "offset=#{offset}&live=sse&token=#{tok}" # not escaped, as the gem's
          query += "&cursor=#{cursor}" if cursor
          http.request(Net::HTTP::Get.new("/v1/stream/#{name}?#{query}", "Accept" => "text/event-stream")) do |res|
            if RETRIED.include?(res.code.to_i)
              sleep 0.05
              next
            end
            want("SSE", [res.code, res["content-type"], res["content-encoding"]], ["200", "text/event-stream", nil])
            buffer = +""
            pending = []
            res.read_body do |piece|
              buffer << piece
              while (event = buffer.slice!(/\A.*?\n\n/m))
                lines = event.lines(chomp: true).reject { |l| l.start_with?(":") || l.empty? }
                next if lines.empty?
                kind = lines.first.delete_prefix("event: ")
                data = lines.drop(1).map { |l| l.sub(/\Adata: ?/, "") }.join("\n").force_encoding("UTF-8")
                case kind
                when "data" then pending.concat(JSON.parse(data))
                when "control"
                  control = JSON.parse(data)
                  offset = control.fetch("streamNextOffset")
                  cursor = control["streamCursor"]
                  seen.concat(pending) # what has no control event after it is read again
                  pending = []
                  throw :enough if yield seen, control
                else raise "event #{kind.inspect}"
                end
              end
            end
          end
        end
      rescue *AWAY
        sleep 0.05
      end
    end
  end
  [seen, reconnects]
end

# signed_urls: what a browser gets from the application, and what it must not do.
def signed_urls(unique)
  name = "gid://app-#{unique}/Room/signed"
  other = "gid://app-#{unique}/Room/other"
  conn = Conn.new(FOLLOWER)
  [name, other].each { |n| want("create", conn.ask("put", n, headers: JSON_TYPE).code, "201") }
  sent = (1..25).map { |i| { "i" => i } }
  writer = Thread.new { sent.each { |m| Conn.new(FOLLOWER).tap { |c| want("append", c.ask("post", name, body: JSON.generate(m), headers: JSON_TYPE).code, "204") }.close } }
  seen, = events([FOLLOWER], name, token(name, %w[read])) { |list, _| list.size >= sent.size }
  writer.join
  want("what was tailed", seen, sent)
  none = { "Authorization" => nil }
  read, both = token(name, %w[read]), token(name, %w[read write])
  checks = {
    "no token" => ["get", "#{name}?offset=-1", nil, "401"],
    "a token for another stream" => ["get", "#{other}?offset=-1&token=#{read}", nil, "403"],
    "a forged one" => ["get", "#{name}?offset=-1&token=#{read.sub(/.\z/) { |c| c == "0" ? "1" : "0" }}", nil, "401"],
    "a read token that reads" => ["get", "#{name}?offset=-1&token=#{read}", nil, "200"],
    "a read token that appends" => ["post", "#{name}?token=#{read}", "[1]", "403"],
    "a write token that appends" => ["post", "#{name}?token=#{both}", "[1]", "204"],
    "a write token that deletes" => ["delete", "#{name}?token=#{both}", nil, "403"],
    "a write token that creates" => ["put", "#{name}?token=#{both}", nil, "403"],
  }
  checks.each do |what, (verb, path, body, code)|
    want(what, conn.once(verb, path, body: body, headers: none.merge(JSON_TYPE)).code, code)
  end
  checks.size
end

# producers: idempotent appends, repeated while the leader dies, through the
# follower; a tail beside them. What was acknowledged is there once, in order.
def producers(unique, count)
  name = "gid://app-#{unique}/Room/produced"
  want("create", Conn.new(FOLLOWER).ask("put", name, headers: JSON_TYPE).code, "201")
  total = 4 * count
  tail = Thread.new { events(URLS, name, token(name, %w[read])) { |list, _| list.size >= total } }
  said = Queue.new
  killed = Thread.new { $stdin.gets }
  others = URLS - [FOLLOWER]
  writers = (0...4).map do |w|
    Thread.new do
      # Two through the follower, and one through each of the others, one of which is
      # killed.
      conn = w < 2 ? Conn.new(FOLLOWER) : Conn.new(*others.rotate(w))
      repeats = 0
      count.times do |seq|
        headers = JSON_TYPE.merge("Producer-Id" => "w#{w}", "Producer-Epoch" => "0", "Producer-Seq" => seq.to_s)
        res = conn.ask("post", name, body: JSON.generate({ w: w, n: seq }), headers: headers)
        want("append #{w}/#{seq}", res.code, /\A20[04]\z/)
        repeats += 1 if res.code == "204" # it had been written before
        next_offset(res)
        said << 1
        killed.join if seq == count * 2 / 3
        sleep 0.005
      end
      [conn.retries, repeats]
    end
  end
  30.times { said.pop }
  puts "producing"
  outcome = writers.map(&:value)
  want("retries of those who talked to the node that was killed", outcome.drop(2).sum(&:first), 1..)
  seen, reconnects = tail.value
  (0...4).each { |w| want("what producer #{w} wrote", seen.select { |m| m["w"] == w }.map { |m| m["n"] }, (0...count).to_a) }
  want("all of it", seen.size, total)
  res = Conn.new(FOLLOWER).ask("get", "#{name}?offset=-1")
  want("what is stored", JSON.parse(res.body), seen)
  res = Conn.new(FOLLOWER).ask("post", name, body: "{}", headers: JSON_TYPE.merge("Producer-Id" => "w0", "Producer-Epoch" => "0", "Producer-Seq" => (count + 5).to_s))
  want("a gap", [res.code, res["producer-expected-seq"]], ["409", count.to_s])
  { acknowledged: total, retries: outcome.sum(&:first), repeats: outcome.sum(&:last), reconnects: reconnects }
end

unique = SecureRandom.hex(4)
result = { provisioned: provisioning(unique), messages: batches(unique), signed: signed_urls(unique) }
result[:produced] = producers(unique, 300)
puts JSON.generate(result)
