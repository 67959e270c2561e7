// The official TypeScript client with a Bearer token, in Node and in a page:
//   node bearer.mjs BASE_URL KEY
// It is bundled for the page, which calls run. Each check throws when its promise is
// broken.
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"

const patience = 15_000

function equal(got, want, what) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)]
  if (a !== b) throw new Error(`${what}: got ${a}, want ${b}`)
}

async function fails(promise, status, what) {
  try {
    await promise
  } catch (e) {
    if (e.status !== status) throw new Error(`${what}: got ${e.name} ${e.status} ${e.message}, want status ${status}`)
    return
  }
  throw new Error(`${what} succeeded`)
}

function within(promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patience} ms for ${what}`)), patience)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

export async function run(base, key, place) {
  const headers = { Authorization: `Bearer ${key}` }
  const unique = `${place}-${Date.now().toString(36)}`
  const url = (name) => `${base}/v1/stream/bearer/${unique}/${name}`
  const options = (name) => ({ url: url(name), headers, contentType: "application/json" })

  async function tailed(live) {
    const handle = await DurableStream.create(options(live))
    await handle.append(JSON.stringify({ i: 0 }))
    const res = await stream({ url: url(live), headers, live })
    const seen = []
    const done = new Promise((resolve) => {
      res.subscribeJson((batch) => {
        seen.push(...batch.items.map((item) => item.i))
        if (batch.streamClosed) resolve()
      })
    })
    for (let i = 1; i < 20; i++) await handle.append(JSON.stringify({ i }))
    await handle.close({ body: JSON.stringify({ i: 20 }) })
    await done
    equal(seen, Array.from({ length: 21 }, (_, i) => i), live)
  }

  const checks = {
    async "create, append, read, head, close, delete"() {
      const handle = await DurableStream.create(options("basic"))
      await handle.append(JSON.stringify({ text: "one" }))
      await handle.append(JSON.stringify({ text: "zwei ü" }))
      await handle.close()
      const res = await stream({ url: url("basic"), headers, live: false })
      equal(await res.json(), [{ text: "one" }, { text: "zwei ü" }], "what was read")
      const head = await handle.head()
      equal([head.exists, head.streamClosed, head.offset === res.offset], [true, true, true], "head")
      await handle.delete()
      equal((await DurableStream.head({ url: url("basic"), headers })).exists, false, "after the delete")
    },
    "live tail over SSE": () => tailed("sse"),
    "live tail over long-poll": () => tailed("long-poll"),
    async "idempotent producer"() {
      const handle = await DurableStream.create(options("producer"))
      const errors = []
      const producer = new IdempotentProducer(handle, "writer", { lingerMs: 1, onError: (e) => errors.push(String(e)) })
      for (let i = 0; i < 200; i++) producer.append(JSON.stringify({ i }))
      await producer.flush()
      await producer.close()
      equal(errors, [], "errors")
      const items = await (await stream({ url: url("producer"), headers, live: false })).json()
      equal(items.map((item) => item.i), Array.from({ length: 200 }, (_, i) => i), "what was produced")
    },
    async "a wrong key and none are 401"() {
      const wrong = { Authorization: "Bearer swordfish" }
      await fails(DurableStream.create({ url: url("never"), headers: wrong, contentType: "text/plain" }), 401, "create with a wrong key")
      await fails(stream({ url: url("producer"), live: false }), 401, "read without a key")
    },
  }
  for (const [name, check] of Object.entries(checks)) {
    try {
      await within(check(), name)
    } catch (e) {
      throw new Error(`${name}: ${e.stack ?? e}`)
    }
  }
  return Object.keys(checks)
}

if (globalThis.process?.argv?.[1]?.endsWith("bearer.mjs")) {
  console.log(JSON.stringify({ checks: await run(process.argv[2], process.argv[3], "node") }))
  process.exit(0) // do not wait for idle connections
}
