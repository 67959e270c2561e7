package deploy

// matrix holds values for which everything that is said of the chart must hold.
var matrix = map[string]string{
	"defaults":       "",
	"one node":       "replicaCount: 1",
	"five nodes":     "replicaCount: 5",
	"another name":   "{fullnameOverride: streams, clusterDomain: example.internal, commonLabels: {team: data}}",
	"a digest":       "{image: {digest: 'sha256:" + digest + "', repository: registry.example/m}, imagePullSecrets: [{name: pull}]}",
	"tls":            "tls: {client: {mode: tls, secretName: certificate}}",
	"mtls":           "tls: {client: {mode: mtls, secretName: certificate, caKey: authorities.pem}}",
	"peer tls":       "{tls: {peer: {mode: permissive, secretName: peers}}, gossip: {encryption: accept, keySecret: gossip}}",
	"auth":           "{auth: {existingSecret: auth, apiKeys: keys.toml, jwtKey: jwt.pem, jwks: jwks.json, signedUrlSecrets: urls}, tests: {authSecret: bearer}}",
	"webhooks":       "{webhooks: {keyEncryptionKey: {existingSecret: kek}}, cluster: {adminToken: {existingSecret: token, key: it}}}",
	"an ingress":     "ingress: {enabled: true, className: nginx, hosts: [{host: streams.example, paths: [/v1/stream]}], tls: [{hosts: [streams.example], secretName: web}]}",
	"ingress to tls": "{tls: {client: {mode: tls, secretName: c}}, ingress: {enabled: true, hosts: [{host: a.example}, {host: b.example}]}}",
	"monitoring":     "{metrics: {serviceMonitor: {enabled: true, labels: {release: prometheus}, interval: 30s}, prometheusRule: {enabled: true, labels: {role: alerts}}, dashboard: {enabled: true}}, networkPolicy: {monitoring: [{namespaceSelector: {matchLabels: {name: monitoring}}}]}}",
	"closed in":      "networkPolicy: {clients: [{podSelector: {matchLabels: {app: web}}}], egress: []}",
	"storage":        "persistence: {size: 100Gi, storageClass: fast, accessMode: ReadWriteOncePod, whenDeleted: Delete, whenScaled: Delete}",
	"settings":       "config: {limits: {max_body_bytes: 20MiB, max_live_readers: 1000000}, http: {cors_origins: [a.example, b.example]}, observability: {log_format: json}, auth: {allow_anonymous: true}}",
	"places": "{affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: kubernetes.io/hostname," +
		" labelSelector: {matchLabels: {app.kubernetes.io/instance: mainstem, app.kubernetes.io/name: mainstem, app.kubernetes.io/component: node}}}]}}, topologySpreadConstraints: [], nodeSelector: {disk: ssd}, tolerations: [{key: db, operator: Exists}], priorityClassName: high}",
	"a load balancer": "{service: {type: LoadBalancer, port: 80, annotations: {a.example/b: c}}, serviceAccount: {annotations: {a.example/b: c}}, podLabels: {a: b}, podAnnotations: {a: b}," +
		" probes: {readiness: {periodSeconds: 5}}, shutdown: {timeoutSeconds: 60}}",
	"extras": "{extraEnv: [{name: A, value: b}], extraEnvFrom: [{configMapRef: {name: c}}], extraArgs: [--raft-log-store, boltdb]," +
		" extraVolumes: [{name: x, emptyDir: {}}], extraVolumeMounts: [{name: x, mountPath: /x}]}",
	"little": "{podDisruptionBudget: {enabled: true, maxUnavailable: 0}, serviceAccount: {create: false}, decommission: {enabled: false}, tests: {enabled: false}}",
}

// operatorAPI is of what only the Prometheus operator's definitions describe.
const operatorAPI = "monitoring.coreos.com/v1"

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// refused holds values that must not be rendered, and a word of the sentence that
// says why.
var refused = map[string]struct{ values, because string }{
	"a typo":                       {"replicas: 3", "replicas"},
	"a typo within":                {"image: {tagg: x}", "tagg"},
	"a setting that is none":       {"config: {limits: {max_body_byte: 1MiB}}", "max_body_byte"},
	"a setting of the chart":       {"config: {cluster: {node_id: a}}", "node_id"},
	"a word for a number":          {"replicaCount: three", "replicaCount"},
	"no node":                      {"replicaCount: 0", "replicaCount"},
	"a kind of TLS that is none":   {"tls: {client: {mode: ssl, secretName: c}}", "mode"},
	"TLS without a certificate":    {"tls: {client: {mode: tls}}", "tls.client.secretName names no Secret"},
	"a certificate without TLS":    {"tls: {client: {secretName: c}}", "set it to tls or mtls"},
	"peers without a certificate":  {"tls: {peer: {mode: required}}", "tls.peer.secretName names no Secret"},
	"encryption without keys":      {"gossip: {encryption: required}", "gossip.keySecret names no Secret"},
	"auth without a Secret":        {"auth: {apiKeys: keys.toml}", "auth.existingSecret names no Secret"},
	"a Secret without auth":        {"auth: {existingSecret: s}", "everyone would be let in"},
	"more founders than nodes":     {"{replicaCount: 1, cluster: {bootstrapExpect: 3}}", "would never come together"},
	"one founder of many":          {"{replicaCount: 3, cluster: {bootstrapExpect: 1}}", "second cluster"},
	"an ingress without a host":    {"ingress: {enabled: true}", "names no host"},
	"a digest that is none":        {"image: {digest: 'sha256:12'}", "digest"},
	"a grace below what is needed": {"shutdown: {graceExtraSeconds: 0}", "graceExtraSeconds"},
	"a size that is none":          {"persistence: {size: much}", "size"},
	"one word for many":            {"extraArgs: --verbose", "extraArgs"},
}
