{{- define "ottla.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "ottla.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "ottla.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "ottla.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "ottla.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ottla.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- /* Labels of everything but the selector's component. */ -}}
{{- define "ottla.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "ottla.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: ottla
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "ottla.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "ottla.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* Takes a list: the image's values, the root. */ -}}
{{- define "ottla.image" -}}
{{- $image := index . 0 }}
{{- $root := index . 1 }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- define "ottla.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "ottla.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* What the operator may do wherever it watches. */ -}}
{{- define "ottla.rules" -}}
- apiGroups: [ottla.dev]
  resources: [kafkaclusters, kafkatopics, kafkatopicpurges, kafkaproducers, kafkaconsumers]
  verbs: [get, list, watch]
- apiGroups: [ottla.dev]
  resources: [kafkaclusters, kafkatopics, kafkatopicpurges] # their finalizers, and the record of purges on a topic
  verbs: [patch]
- apiGroups: [ottla.dev]
  resources: [kafkatopicpurges] # those whose time to live has passed
  verbs: [delete]
- apiGroups: [ottla.dev]
  resources: [kafkaclusters/status, kafkatopics/status, kafkatopicpurges/status, kafkaproducers/status, kafkaconsumers/status]
  verbs: [patch]
- apiGroups: [ottla.dev]
  resources: [kafkaproducers/finalizers, kafkaconsumers/finalizers] # to own children that block their deletion
  verbs: [update]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [configmaps] # the configuration of workload pods; others' are not looked at
  verbs: [list, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [secrets] # by name, as objects refer to them; never listed, never watched
  verbs: [get]
{{- end }}

{{- /* What stripping finalizers needs, wherever the operator watched. */ -}}
{{- define "ottla.releaseRules" -}}
- apiGroups: [ottla.dev]
  resources: [kafkaclusters, kafkatopics, kafkatopicpurges, kafkaproducers, kafkaconsumers]
  verbs: [get, list, patch]
{{- end }}
