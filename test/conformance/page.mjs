// What a page of another origin does with the client. Where it is to go is in its
// own URL; how it went is told to the server of the page.
import { run } from "./bearer.mjs"

const asked = new URLSearchParams(location.search)
const base = asked.get("base")
const key = asked.get("key")

// stranger is a page whose origin may not call: the browser lets it neither send what
// is not simple nor see an answer.
async function stranger() {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "text/plain" }
  const tries = {
    "a stranger's PUT is not sent": () => fetch(`${base}/v1/stream/stranger`, { method: "PUT", headers }),
    "a stranger's GET is not sent": () => fetch(`${base}/v1/stream/stranger?offset=-1`, { headers }),
    "a stranger sees no answer": () => fetch(`${base}/v1/stream/stranger?offset=-1`),
  }
  for (const [name, attempt] of Object.entries(tries)) {
    const res = await attempt().catch((e) => e)
    if (!(res instanceof TypeError)) throw new Error(`${name}: got ${res.status ?? res}`)
  }
  return Object.keys(tries)
}

const tell = (result) => fetch("/result", { method: "POST", body: JSON.stringify({ ...result, origin: location.origin }) })
try {
  await tell({ checks: asked.has("stranger") ? await stranger() : await run(base, key, "page") })
} catch (e) {
  await tell({ error: String(e.stack ?? e) })
}
