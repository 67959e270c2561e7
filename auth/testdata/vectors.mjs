// Makes vectors.json: tokens as a Rails application and issuers of JWTs sign
// them, by Node's crypto, which knows nothing of the code under test.
//   node vectors.mjs > vectors.json
import { createHmac, createSign, generateKeyPairSync, sign } from "node:crypto"

const b64 = (s) => Buffer.from(s).toString("base64")
const b64url = (s) => Buffer.from(s).toString("base64url")
const secret = "a signing secret of some length"

const rails = (payload, key = secret) => `${payload}--${createHmac("sha256", key).update(payload).digest("hex")}`
const inner = (stream, permissions) => JSON.stringify({ stream, permissions })
const enveloped = (message, exp, pur = null) => b64(JSON.stringify({ _rails: { message: b64(message), exp, pur } }))
const newer = (data, exp) => b64(JSON.stringify({ _rails: { data, exp, pur: null } }))
const room = "gid://app/Room/1/messages"

const signed = {
  bare: rails(b64(inner(room, ["read"]))),
  bare_write: rails(b64(inner(room, ["read", "write"]))),
  enveloped: rails(enveloped(inner(room, ["read"]), "2030-01-01T00:00:00.000Z")),
  newer_object: rails(newer({ stream: room, permissions: ["read"] }, "2030-01-01T00:00:00.000Z")),
  newer_text: rails(newer(inner(room, ["read"]), "2030-01-01T00:00:00Z")),
  urlsafe: rails(b64url(inner(room + "???>>>", ["read"]))),
  with_plus: rails(b64(inner(room + "~~~>>>", ["read"]))),
  expired: rails(enveloped(inner(room, ["read"]), "2020-01-01T00:00:00.000Z")),
  purpose: rails(enveloped(inner(room, ["read"]), "2030-01-01T00:00:00.000Z", "login")),
  other_key: rails(b64(inner(room, ["read"])), "another secret of some length"),
  no_permissions: rails(b64(JSON.stringify({ stream: room }))),
  no_stream: rails(b64(JSON.stringify({ permissions: ["read"] }))),
  not_json: rails(b64("hello")),
  not_base64: rails("%%%"),
}

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" })
const ec2 = generateKeyPairSync("ec", { namedCurve: "P-256" })
const ed = generateKeyPairSync("ed25519")
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 })
const shared = "a shared secret of at least thirty-two bytes"
const pem = (k) => k.publicKey.export({ type: "spki", format: "pem" })

const part = (o) => b64url(JSON.stringify(o))
const jwt = (alg, claims, signer, header = {}) => {
  const body = `${part({ alg, typ: "JWT", ...header })}.${part(claims)}`
  return `${body}.${signer(Buffer.from(body)).toString("base64url")}`
}
const es256 = (k) => (d) => createSign("sha256").update(d).sign({ key: k.privateKey, dsaEncoding: "ieee-p1363" })
const rs256 = (d) => createSign("sha256").update(d).sign(rsa.privateKey)
const eddsa = (d) => sign(null, d, ed.privateKey)
const hs256 = (key) => (d) => createHmac("sha256", key).update(d).digest()

const now = Date.UTC(2026, 0, 1) / 1000
const good = { iss: "app", aud: "streams", iat: now - 10, exp: now + 300, stream: room, permissions: ["read", "write"] }
const tokens = {
  es256: jwt("ES256", good, es256(ec), { kid: "ec" }),
  es256_no_kid: jwt("ES256", good, es256(ec)),
  rs256: jwt("RS256", good, rs256, { kid: "rsa" }),
  eddsa: jwt("EdDSA", good, eddsa, { kid: "ed" }),
  hs256: jwt("HS256", good, hs256(shared), { kid: "hs" }),
  server: jwt("ES256", { iss: "app", aud: "streams", exp: now + 300, server: true, sub: "backend" }, es256(ec)),
  patterns: jwt("ES256", { iss: "app", aud: ["x", "streams"], exp: now + 300, streams: ["chat/**"], scopes: ["read", "create"] }, es256(ec)),
  expired: jwt("ES256", { ...good, exp: now - 300 }, es256(ec)),
  not_yet: jwt("ES256", { ...good, nbf: now + 300 }, es256(ec)),
  no_exp: jwt("ES256", { ...good, exp: undefined }, es256(ec)),
  wrong_issuer: jwt("ES256", { ...good, iss: "other" }, es256(ec)),
  wrong_audience: jwt("ES256", { ...good, aud: "other" }, es256(ec)),
  no_audience: jwt("ES256", { ...good, aud: undefined }, es256(ec)),
  other_key: jwt("ES256", good, es256(ec2), { kid: "ec" }),
  unknown_kid: jwt("ES256", good, es256(ec2), { kid: "who" }),
  none: `${part({ alg: "none" })}.${part(good)}.`,
  none_signed: jwt("none", good, es256(ec)),
  confused: jwt("HS256", good, hs256(pem(rsa)), { kid: "rsa" }), // the public key taken for a shared secret
  confused_ec: jwt("HS256", good, hs256(pem(ec))),
  es384: jwt("ES384", good, es256(ec)),
  says_nothing: jwt("ES256", { iss: "app", aud: "streams", exp: now + 300 }, es256(ec)),
  changed: jwt("ES256", good, es256(ec)).replace(/\.(.)/, (m, c) => "." + (c === "e" ? "f" : "e")),
}
const jwk = (k, kid) => ({ ...k.publicKey.export({ format: "jwk" }), kid, use: "sig" })
const jwks = { keys: [jwk(ec, "ec"), jwk(ed, "ed"), jwk(rsa, "rsa"), { kty: "oct", k: b64url(shared), kid: "hs", alg: "HS256" }, { kty: "EC", crv: "P-521", kid: "odd" }] }
const jwks2 = { keys: [jwk(ec2, "who")] }
const secretPEM = `-----BEGIN SECRET-----\n${b64(shared)}\n-----END SECRET-----\n`
process.stdout.write(JSON.stringify({ secret, signed, tokens, jwks, jwks2, pem: pem(ec) + pem(ed) + pem(rsa), secretPEM, now }, null, 1) + "\n")
