// The official TypeScript client and the state protocol against one node:
//   node clients.mjs BASE_URL
// Each check throws when its promise is broken. The last line printed is JSON:
// {"checks": [names]}.
import assert from "node:assert/strict"
import { DurableStream, IdempotentProducer, stream } from "@durable-streams/client"
import { MaterializedState, createStateSchema } from "@durable-streams/state"

const base = process.argv[2]
const unique = Date.now().toString(36)
const url = (name) => `${base}/v1/stream/clients/${unique}/${name}`
const patience = 10_000

const checks = {
  async "create, append, read, close, delete"() {
    const handle = await DurableStream.create({ url: url("basic"), contentType: "text/plain" })
    await handle.append("one ")
    await handle.append("two ")
    await handle.close({ body: "three" })
    const res = await stream({ url: url("basic"), live: false })
    assert.equal(await res.text(), "one two three")
    const head = await handle.head()
    assert.equal(head.exists, true)
    assert.equal(head.streamClosed, true)
    assert.equal(head.offset, res.offset)
    await assert.rejects(handle.append("four"), /closed/i)
    await handle.delete()
    assert.equal((await DurableStream.head({ url: url("basic") })).exists, false)
  },

  async "live tail over SSE ends at the close"() {
    await tailed("sse", "application/json")
  },

  async "live tail over long-poll ends at the close"() {
    await tailed("long-poll", "application/json")
  },

  async "binary over SSE and long-poll"() {
    const sent = new Uint8Array(3000).map((_, i) => (i * 7) % 256)
    const handle = await DurableStream.create({ url: url("binary"), contentType: "application/octet-stream" })
    await handle.append(sent)
    await handle.close()
    for (const live of ["sse", "long-poll"]) {
      const res = await stream({ url: url("binary"), live })
      assert.deepEqual(await res.body(), sent, live)
    }
  },

  async "idempotent producer: every message once, in order"() {
    const handle = await DurableStream.create({ url: url("producer"), contentType: "application/json" })
    const errors = []
    const producer = new IdempotentProducer(handle, "writer", { lingerMs: 1, onError: (e) => errors.push(e) })
    const count = 500
    for (let i = 0; i < count; i++) producer.append(JSON.stringify({ i, pad: "x".repeat(i % 50) }))
    await producer.flush()
    await producer.close(JSON.stringify({ i: count, pad: "" }))
    assert.deepEqual(errors, [])
    const items = await (await stream({ url: url("producer"), live: false })).json()
    assert.deepEqual(items.map((item) => item.i), Array.from({ length: count + 1 }, (_, i) => i))
    assert.equal((await handle.head()).streamClosed, true)
  },

  async "idempotent producer: a newer epoch fences the older"() {
    const handle = await DurableStream.create({ url: url("fenced"), contentType: "text/plain" })
    const errors = []
    const old = new IdempotentProducer(handle, "writer", { epoch: 0, lingerMs: 1, onError: (e) => errors.push(e) })
    old.append("a")
    await old.flush()
    const young = new IdempotentProducer(handle, "writer", { epoch: 1, lingerMs: 1 })
    young.append("b")
    await young.flush()
    old.append("never")
    await old.flush().catch((e) => errors.push(e))
    assert.ok(errors.length > 0 && errors[0].name === "StaleEpochError", `got ${errors}`)
    assert.equal(await (await stream({ url: url("fenced"), live: false })).text(), "ab")
  },

  async "state protocol: insert, update, delete are materialised"() {
    const schema = createStateSchema({ users: { schema: anything, type: "user", primaryKey: "id" } })
    const { insert, update, delete: remove } = schema.users
    const handle = await DurableStream.create({ url: url("state"), contentType: "application/json" })
    const events = [
      insert({ value: { id: "1", name: "Ada" } }),
      insert({ value: { id: "2", name: "Grace" } }),
      update({ value: { id: "1", name: "Ada Lovelace" } }),
      remove({ key: "2", oldValue: { id: "2", name: "Grace" } }),
      insert({ value: { id: "3", name: "Mary" } }),
    ]
    const state = new MaterializedState()
    const res = await stream({ url: url("state"), live: "sse" })
    res.subscribeJson((batch) => state.applyBatch(batch.items))
    for (const event of events) await handle.append(JSON.stringify(event))
    await handle.close()
    await within(res.closed, "the state's tail to end")
    const users = [...state.getType("user")].sort(([a], [b]) => a.localeCompare(b))
    assert.deepEqual(users, [
      ["1", { id: "1", name: "Ada Lovelace" }],
      ["3", { id: "3", name: "Mary" }],
    ])
  },
}

// anything is a validator that accepts all: the schema is not what is tested.
const anything = { "~standard": { version: 1, vendor: "mainstem", validate: (value) => ({ value }) } }

// tailed writes while a reader follows, and wants all of it, in order, and the end.
async function tailed(live, contentType) {
  const name = `tail-${live}`
  const handle = await DurableStream.create({ url: url(name), contentType })
  await handle.append(JSON.stringify({ i: 0 }))
  const res = await stream({ url: url(name), live })
  const seen = []
  const done = new Promise((resolve) => {
    res.subscribeJson((batch) => {
      seen.push(...batch.items.map((item) => item.i))
      if (batch.streamClosed) resolve()
    })
  })
  const count = 40
  for (let i = 1; i < count; i++) {
    await handle.append(JSON.stringify({ i }))
    if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 30))
  }
  await handle.close({ body: JSON.stringify({ i: count }) })
  await within(done, `the ${live} tail to end`)
  assert.deepEqual(seen, Array.from({ length: count + 1 }, (_, i) => i))
}

function within(promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patience} ms for ${what}`)), patience)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

for (const [name, check] of Object.entries(checks)) {
  try {
    await within(check(), name)
  } catch (e) {
    console.error(`FAIL ${name}\n${e.stack}`)
    process.exit(1)
  }
}
console.log(JSON.stringify({ checks: Object.keys(checks) }))
process.exit(0) // do not wait for idle connections
