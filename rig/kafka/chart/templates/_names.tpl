{{/* The chart's labels, as the Bitnami chart's helpers render them for a release called kafka. */}}
{{- define "labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/name: kafka
app.kubernetes.io/version: {{ .Values.kafkaVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/part-of: kafka
{{- end }}

{{- define "selector" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/name: kafka
app.kubernetes.io/part-of: kafka
{{- end }}

{{/* The domain of the pods' names, which other brokers and clients inside the cluster are told. */}}
{{- define "domain" -}}
kafka-controller-headless.{{ .Release.Namespace }}.svc.cluster.local
{{- end }}

{{/* Where the one controller listens. */}}
{{- define "controller" -}}
kafka-controller-0.{{ include "domain" . }}:9093
{{- end }}

{{- define "sasl" -}}
{{- if eq .Values.protocol "SASL_PLAINTEXT" }}yes{{ end }}
{{- end }}
