{{/* Names. A pod's name is its node's id, so the name is kept short enough for the labels made of it. */}}
{{- define "mainstem.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "mainstem.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "mainstem.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "mainstem.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "mainstem.peers" -}}
{{ include "mainstem.fullname" . }}-peers
{{- end }}

{{- define "mainstem.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "mainstem.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* What selects the nodes. Immutable in a StatefulSet: nothing may ever be added. */}}
{{- define "mainstem.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mainstem.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: node
{{- end }}

{{/* Of what is no node: hooks and tests. */}}
{{- define "mainstem.toolLabels" -}}
app.kubernetes.io/name: {{ include "mainstem.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: tool
{{- end }}

{{- define "mainstem.metaLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "mainstem.labels" -}}
{{ include "mainstem.selectorLabels" . }}
{{ include "mainstem.metaLabels" . }}
{{- end }}

{{- define "mainstem.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "mainstem.expect" -}}
{{- if kindIs "invalid" .Values.cluster.bootstrapExpect }}{{ min 3 (int .Values.replicaCount) }}{{ else }}{{ int .Values.cluster.bootstrapExpect }}{{ end }}
{{- end }}

{{/* The founders' gossip addresses. It does not follow replicaCount above that, so that scaling up restarts nobody. */}}
{{- define "mainstem.join" -}}
{{- $root := . -}}
{{- $names := list -}}
{{- range $i := until (int (include "mainstem.expect" .)) -}}
{{- $names = append $names (printf "%s-%d.%s.%s.svc.%s:4439" (include "mainstem.fullname" $root) $i (include "mainstem.peers" $root) $root.Release.Namespace $root.Values.clusterDomain) -}}
{{- end -}}
{{ join "," $names }}
{{- end }}

{{- define "mainstem.adminSecret" -}}
{{ default (printf "%s-admin" (include "mainstem.fullname" .)) .Values.cluster.adminToken.existingSecret }}
{{- end }}

{{- define "mainstem.url" -}}
{{ ternary "http" "https" (eq .Values.tls.client.mode "http") }}://{{ include "mainstem.fullname" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.service.port }}
{{- end }}

{{- define "mainstem.adminURL" -}}
http://{{ include "mainstem.fullname" . }}-admin.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:4440
{{- end }}

{{/* Nested settings as a sorted list of variables: {limits: {chunk_bytes: 1MiB}} is DS_LIMITS__CHUNK_BYTES. */}}
{{- define "mainstem.settings" -}}
{{- $prefix := .prefix -}}
{{- range $key := keys .settings | sortAlpha }}
{{- $value := get $.settings $key }}
{{- $name := printf "%s%s" $prefix (upper $key) }}
{{- if kindIs "map" $value }}
{{- include "mainstem.settings" (dict "prefix" (printf "%s__" $name) "settings" $value) }}
{{- else if kindIs "slice" $value }}
- name: {{ $name }}
  value: {{ join "," $value | quote }}
{{- else if kindIs "float64" $value }}
- name: {{ $name }}
  value: {{ $value | toJson | quote }}
{{- else if not (kindIs "invalid" $value) }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "mainstem.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "mainstem.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* What the test needs to believe the nodes' certificate. */}}
{{- define "mainstem.toolEnv" -}}
{{- if ne .Values.tls.client.mode "http" }}
- name: SSL_CERT_FILE
  value: /etc/mainstem/ca/{{ .Values.tls.client.caKey }}
{{- end }}
{{- end }}

{{- define "mainstem.toolMounts" -}}
{{- if ne .Values.tls.client.mode "http" }}
volumeMounts:
  - name: ca
    mountPath: /etc/mainstem/ca
    readOnly: true
{{- end }}
{{- end }}

{{- define "mainstem.toolVolumes" -}}
{{- if ne .Values.tls.client.mode "http" }}
volumes:
  - name: ca
    secret:
      secretName: {{ .Values.tls.client.secretName }}
      items:
        - key: {{ .Values.tls.client.caKey }}
          path: {{ .Values.tls.client.caKey }}
{{- end }}
{{- end }}

{{- define "mainstem.toolResources" -}}
requests: {cpu: 100m, memory: 64Mi, ephemeral-storage: 16Mi}
limits: {memory: 256Mi, ephemeral-storage: 64Mi}
{{- end }}

{{/* What no schema can say. */}}
{{- define "mainstem.check" -}}
{{- if and (ne .Values.tls.client.mode "http") (not .Values.tls.client.secretName) }}
{{- fail (printf "tls.client.mode is %s, and tls.client.secretName names no Secret with tls.crt and tls.key" .Values.tls.client.mode) }}
{{- end }}
{{- if and .Values.tls.client.secretName (eq .Values.tls.client.mode "http") }}
{{- fail "tls.client.secretName is given, and tls.client.mode is http: set it to tls or mtls, or leave the Secret out" }}
{{- end }}
{{- if and (ne .Values.tls.peer.mode "off") (not .Values.tls.peer.secretName) }}
{{- fail (printf "tls.peer.mode is %s, and tls.peer.secretName names no Secret with tls.crt and tls.key" .Values.tls.peer.mode) }}
{{- end }}
{{- if and (ne .Values.gossip.encryption "off") (not .Values.gossip.keySecret) }}
{{- fail (printf "gossip.encryption is %s, and gossip.keySecret names no Secret with the keys" .Values.gossip.encryption) }}
{{- end }}
{{- if lt (int .Values.replicaCount) (int (include "mainstem.expect" .)) }}
{{- fail (printf "cluster.bootstrapExpect is %s, and replicaCount only %d: that many fresh nodes would never come together" (include "mainstem.expect" .) (int .Values.replicaCount)) }}
{{- end }}
{{- if and (gt (int .Values.replicaCount) 1) (eq (int (include "mainstem.expect" .)) 1) }}
{{- fail "cluster.bootstrapExpect is 1, and replicaCount more: the first node would found a second cluster when its volume is lost. Leave it null" }}
{{- end }}
{{- if and (not .Values.auth.existingSecret) (or .Values.auth.apiKeys .Values.auth.jwtKey .Values.auth.jwks .Values.auth.signedUrlSecrets) }}
{{- fail "auth names keys of a Secret, and auth.existingSecret names no Secret" }}
{{- end }}
{{- if and .Values.auth.existingSecret (not (or .Values.auth.apiKeys .Values.auth.jwtKey .Values.auth.jwks .Values.auth.signedUrlSecrets)) }}
{{- fail "auth.existingSecret is given, and none of auth.apiKeys, auth.jwtKey, auth.jwks and auth.signedUrlSecrets says which key of it is what: everyone would be let in" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.enabled is true, and ingress.hosts names no host" }}
{{- end }}
{{- end }}
