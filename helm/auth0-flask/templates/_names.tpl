{{/* The name of all objects; components add a suffix, hence 52 of the 63 characters. */}}
{{- define "auth0-flask.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What a component's pods are found by; it never changes. Takes (dict "root" $ "component" "app"). */}}
{{- define "auth0-flask.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "auth0-flask.labels" -}}
{{ include "auth0-flask.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: {{ .root.Chart.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
The metadata of an object: root, component, and perhaps suffix, labels and annotations of its own. Names are in quotes, here
and elsewhere: a namespace may be called 2024 and a release "on", which would be a number and a truth.
*/}}
{{- define "auth0-flask.metadata" -}}
name: "{{ include "auth0-flask.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}"
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- merge (dict) (default dict .labels) (include "auth0-flask.labels" . | fromYaml) | toYaml | nindent 2 }}
{{- with merge (dict) (default dict .annotations) (default dict .root.Values.commonAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image's full name. Takes (dict "image" .Values.image "root" $). */}}
{{- define "auth0-flask.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .root.Chart.AppVersion .image.tag }}
{{- end -}}
{{- end -}}

{{/* Redis' StatefulSet: its pods have a label of this name and eleven characters more. */}}
{{- define "auth0-flask.redisStatefulSet" -}}
{{- include "auth0-flask.fullname" . | trunc 46 | trimSuffix "-" }}-redis
{{- end -}}

{{- define "auth0-flask.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "auth0-flask.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What leads here, the app's own name first, as an array: what certificate, Ingress and routes are for. */}}
{{- define "auth0-flask.names" -}}
{{- prepend (default list .Values.nginx.extraServerNames) .Values.host | toYaml -}}
{{- end -}}

{{/* Where people go. */}}
{{- define "auth0-flask.publicPort" -}}
{{- .Values.publicPort | default (ternary 8443 443 (eq .Values.host "localhost")) | int -}}
{{- end -}}

{{- define "auth0-flask.origin" -}}
{{- $port := include "auth0-flask.publicPort" . | int -}}
https://{{ .Values.host }}{{ if ne $port 443 }}:{{ $port }}{{ end }}
{{- end -}}
