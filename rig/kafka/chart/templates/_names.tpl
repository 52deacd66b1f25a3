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

{{/* The name other brokers and clients inside the cluster are told. */}}
{{- define "host" -}}
kafka-controller-0.kafka-controller-headless.{{ .Release.Namespace }}.svc.cluster.local
{{- end }}

{{- define "sasl" -}}
{{- if eq .Values.protocol "SASL_PLAINTEXT" }}yes{{ end }}
{{- end }}
