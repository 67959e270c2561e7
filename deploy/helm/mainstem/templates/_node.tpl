{{/* What a node is told. Names come before what is made of them. */}}
{{- define "mainstem.nodeEnv" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: DS_CLUSTER__NODE_ID
  value: $(POD_NAME)
- name: DS_CLUSTER__ADVERTISE_HOST
  value: $(POD_NAME).{{ include "mainstem.peers" . }}.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
- name: DS_CLUSTER__JOIN
  value: {{ include "mainstem.join" . }}
- name: DS_CLUSTER__BOOTSTRAP_EXPECT
  value: {{ include "mainstem.expect" . | quote }}
- name: DS_CLUSTER__PEER_ADDRESS
  value: 0.0.0.0:4438
- name: DS_CLUSTER__GOSSIP_ADDRESS
  value: 0.0.0.0:4439
- name: DS_CLUSTER__ADMIN_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "mainstem.adminSecret" . }}
      key: {{ .Values.cluster.adminToken.key }}
- name: DS_SERVER__BIND_ADDRESS
  value: 0.0.0.0:4437
- name: DS_SERVER__ADMIN_ADDRESS
  value: 0.0.0.0:4440
- name: DS_URL
  value: http://127.0.0.1:4440
- name: DS_SERVER__SHUTDOWN_TIMEOUT
  value: {{ .Values.shutdown.timeoutSeconds }}s
- name: DS_SERVER__DRAIN_SPREAD
  value: {{ .Values.shutdown.drainSpreadSeconds }}s
- name: DS_STORAGE__DATA_DIR
  value: /data/mainstem
{{- if ne .Values.tls.client.mode "http" }}
- name: DS_TRANSPORT__MODE
  value: {{ .Values.tls.client.mode }}
- name: DS_TRANSPORT__TLS__CERT_PATH
  value: /etc/mainstem/tls/tls.crt
- name: DS_TRANSPORT__TLS__KEY_PATH
  value: /etc/mainstem/tls/tls.key
{{- end }}
{{- if eq .Values.tls.client.mode "mtls" }}
- name: DS_TRANSPORT__TLS__CLIENT_CA_PATH
  value: /etc/mainstem/tls/{{ .Values.tls.client.caKey }}
{{- end }}
{{- if ne .Values.tls.peer.mode "off" }}
- name: DS_CLUSTER__TLS__MODE
  value: {{ .Values.tls.peer.mode }}
- name: DS_CLUSTER__TLS__CERT_PATH
  value: /etc/mainstem/peer-tls/tls.crt
- name: DS_CLUSTER__TLS__KEY_PATH
  value: /etc/mainstem/peer-tls/tls.key
- name: DS_CLUSTER__TLS__CA_PATH
  value: /etc/mainstem/peer-tls/{{ .Values.tls.peer.caKey }}
{{- end }}
{{- if ne .Values.gossip.encryption "off" }}
- name: DS_CLUSTER__GOSSIP_ENCRYPTION
  value: {{ .Values.gossip.encryption }}
- name: DS_CLUSTER__GOSSIP_KEY_PATH
  value: /etc/mainstem/gossip/{{ .Values.gossip.key }}
{{- end }}
{{- with .Values.auth.apiKeys }}
- name: DS_AUTH__API_KEYS_PATH
  value: /etc/mainstem/auth/{{ . }}
{{- end }}
{{- with .Values.auth.jwtKey }}
- name: DS_AUTH__JWT__KEY_PATH
  value: /etc/mainstem/auth/{{ . }}
{{- end }}
{{- with .Values.auth.jwks }}
- name: DS_AUTH__JWT__JWKS_PATH
  value: /etc/mainstem/auth/{{ . }}
{{- end }}
{{- with .Values.auth.signedUrlSecrets }}
- name: DS_AUTH__SIGNED_URL__SECRET_PATH
  value: /etc/mainstem/auth/{{ . }}
{{- end }}
{{- if .Values.webhooks.keyEncryptionKey.existingSecret }}
- name: DS_WEBHOOKS__KEY_ENCRYPTION_KEY_FILE
  value: /etc/mainstem/webhooks/{{ .Values.webhooks.keyEncryptionKey.key }}
{{- end }}
{{- include "mainstem.settings" (dict "prefix" "DS_" "settings" .Values.config) }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Whole Secrets as directories, never a single file by subPath: that would not follow a change. */}}
{{- define "mainstem.nodeMounts" -}}
- name: data
  mountPath: /data
- name: tmp
  mountPath: /tmp
{{- if ne .Values.tls.client.mode "http" }}
- name: tls
  mountPath: /etc/mainstem/tls
  readOnly: true
{{- end }}
{{- if ne .Values.tls.peer.mode "off" }}
- name: peer-tls
  mountPath: /etc/mainstem/peer-tls
  readOnly: true
{{- end }}
{{- if ne .Values.gossip.encryption "off" }}
- name: gossip
  mountPath: /etc/mainstem/gossip
  readOnly: true
{{- end }}
{{- if .Values.auth.existingSecret }}
- name: auth
  mountPath: /etc/mainstem/auth
  readOnly: true
{{- end }}
{{- if .Values.webhooks.keyEncryptionKey.existingSecret }}
- name: webhooks
  mountPath: /etc/mainstem/webhooks
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "mainstem.nodeVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if ne .Values.tls.client.mode "http" }}
- name: tls
  secret:
    secretName: {{ .Values.tls.client.secretName }}
    defaultMode: 0440
{{- end }}
{{- if ne .Values.tls.peer.mode "off" }}
- name: peer-tls
  secret:
    secretName: {{ .Values.tls.peer.secretName }}
    defaultMode: 0440
{{- end }}
{{- if ne .Values.gossip.encryption "off" }}
- name: gossip
  secret:
    secretName: {{ .Values.gossip.keySecret }}
    defaultMode: 0440
{{- end }}
{{- if .Values.auth.existingSecret }}
- name: auth
  secret:
    secretName: {{ .Values.auth.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if .Values.webhooks.keyEncryptionKey.existingSecret }}
- name: webhooks
  secret:
    secretName: {{ .Values.webhooks.keyEncryptionKey.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
