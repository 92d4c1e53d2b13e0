{{/* What no container of the release may do. */}}
{{- define "auth0-flask.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* An exporter's container, but for its name and arguments. Takes values, port, number and root. */}}
{{- define "auth0-flask.exporter" -}}
image: {{ include "auth0-flask.image" (dict "root" .root "image" .values.image) }}
imagePullPolicy: {{ .values.image.pullPolicy }}
ports:
  - {name: {{ .port }}, containerPort: {{ .number }}}
# No probes: not being ready, or started again, it would take its pod out of service. An alert says that it does not answer.
securityContext:
  {{- include "auth0-flask.securityContext" .root | nindent 2 }}
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- end -}}

{{/* What all pods have in common. */}}
{{- define "auth0-flask.pod" -}}
automountServiceAccountToken: false
# The app would take their variables, AUTH0_FLASK_…, for misspelt settings.
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
How many pods to ask for; nothing where an autoscaler alone says it. A number that is left out of a release that had one
becomes 1, so the one that there is stays, unless Helm applies on the server, which knows that another has written it.
*/}}
{{- define "auth0-flask.replicas" -}}
{{- if not .Values.autoscaling.enabled -}}
{{- .Values.replicaCount -}}
{{- else -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace (include "auth0-flask.fullname" .) -}}
{{- $scaled := false -}}
{{- $applied := false -}}
{{- range .metadata.managedFields -}}
{{- $scaled = or $scaled (eq (default "" .subresource) "scale") -}}
{{- $applied = or $applied (and (eq .manager "helm") (eq .operation "Apply")) -}}
{{- end -}}
{{- if not (and $scaled $applied) -}}
{{- .spec.replicas -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The app's settings, as a map by name. Secrets are named by file. */}}
{{- define "auth0-flask.settings" -}}
{{- $v := .Values -}}
{{- $settings := dict
  "APP_ENV" "production"
  "AUTH0_DOMAIN" $v.auth0.domain
  "AUTH0_CLIENT_ID_FILE" "/run/secrets/auth0/client-id"
  "AUTH0_SECRET_FILE" "/run/secrets/auth0/secret"
  "AUTH0_REDIRECT_URI" (printf "%s/callback" (include "auth0-flask.origin" .))
  "AUTH0_SCOPE" $v.auth0.scope
  "SESSION_BACKEND" $v.session.backend
  "SERVER_BIND" "unix:/run/app/app.sock"
  "SERVER_WORKERS" $v.server.workers
  "SERVER_GRACE_SECONDS" $v.shutdown.graceSeconds
  "SERVER_DRAIN_SECONDS" 0
  "SERVER_MAX_BODY_BYTES" $v.nginx.maxBodyBytes
  "METRICS_BIND" "[::]:9464"
  "TRUSTED_PROXIES" "unix"
-}}
{{- if $v.auth0.keys.assertionKey -}}
{{- $_ := set $settings "AUTH0_CLIENT_ASSERTION_KEY_FILE" "/run/secrets/auth0/assertion-key" -}}
{{- else if $v.auth0.keys.certificate -}}
{{- $_ := set $settings "AUTH0_CLIENT_CERTIFICATE" "/run/secrets/auth0/tls.crt" -}}
{{- $_ := set $settings "AUTH0_CLIENT_CERTIFICATE_KEY" "/run/secrets/auth0/tls.key" -}}
{{- else -}}
{{- $_ := set $settings "AUTH0_CLIENT_SECRET_FILE" "/run/secrets/auth0/client-secret" -}}
{{- end -}}
{{- if $v.auth0.keys.proxyUrl -}}{{- $_ := set $settings "AUTH0_PROXY_URL_FILE" "/run/secrets/auth0/proxy-url" -}}{{- end -}}
{{- if $v.auth0.audience -}}{{- $_ := set $settings "AUTH0_AUDIENCE" $v.auth0.audience -}}{{- end -}}
{{- if $v.tracing.endpoint -}}{{- $_ := set $settings "OTEL_EXPORTER_OTLP_ENDPOINT" $v.tracing.endpoint -}}{{- end -}}
{{- if $v.pages.module -}}{{- $_ := set $settings "APP_PAGES" $v.pages.module -}}{{- end -}}
{{- if eq $v.session.backend "redis" -}}{{- $_ := set $settings "REDIS_URL_FILE" "/run/secrets/redis/url" -}}{{- end -}}
{{- if include "auth0-flask.redisCaSecret" . -}}{{- $_ := set $settings "REDIS_TLS_CA" "/run/secrets/redis-ca/ca.crt" -}}{{- end -}}
{{- range $name, $value := $v.settings -}}{{- $_ := set $settings $name $value -}}{{- end -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* nginx' variables, as a map by name; nginx/README.md has the table. */}}
{{- define "auth0-flask.nginxVariables" -}}
{{- $v := .Values -}}
{{- $timeout := dig "SERVER_REQUEST_TIMEOUT_SECONDS" 30 (default dict $v.settings) | float64 | ceil | int -}}
{{- $variables := dict
  "NGINX_UPSTREAM" "unix:/run/app/app.sock"
  "NGINX_SERVER_NAMES" $v.host
  "NGINX_CERTIFICATE" "/run/secrets/tls/tls.crt"
  "NGINX_CERTIFICATE_KEY" "/run/secrets/tls/tls.key"
  "NGINX_PUBLIC_PORT" (include "auth0-flask.publicPort" .)
  "NGINX_WORKERS" $v.nginx.workers
  "NGINX_RELOAD_SECONDS" $v.nginx.reloadSeconds
  "NGINX_MAX_BODY_BYTES" $v.nginx.maxBodyBytes
  "NGINX_CLIENT_REQUESTS" $v.nginx.clientRequests
  "NGINX_LOGIN_RATE" $v.nginx.loginRate
  "NGINX_UPSTREAM_TIMEOUT_SECONDS" (add $timeout 5)
-}}
{{- if $v.nginx.extraServerNames -}}{{- $_ := set $variables "NGINX_REDIRECTED_NAMES" (join " " $v.nginx.extraServerNames) -}}{{- end -}}
{{- if $v.expose.trustedProxies -}}{{- $_ := set $variables "NGINX_TRUSTED_PROXIES" (join " " $v.expose.trustedProxies) -}}{{- end -}}
{{- if $v.nginx.deniedClients -}}{{- $_ := set $variables "NGINX_DENIED_CLIENTS" (join " " $v.nginx.deniedClients) -}}{{- end -}}
{{- if $v.expose.proxyProtocol -}}{{- $_ := set $variables "NGINX_PROXY_PROTOCOL" "on" -}}{{- end -}}
{{- toYaml $variables -}}
{{- end -}}

{{/* A container's env of such a map. Numbers as they were written: 1048576, never 1.048576e+06. */}}
{{- define "auth0-flask.env" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ ternary (toString $value) (ternary (toJson $value) (toString $value) (kindIs "float64" $value)) (kindIs "string" $value) | quote }}
{{- end -}}
{{- end -}}

{{- define "auth0-flask.spread" -}}
{{- if .Values.topologySpreadConstraints -}}
{{- toYaml .Values.topologySpreadConstraints -}}
{{- else -}}
{{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "auth0-flask.selector" (dict "root" $ "component" "app") | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}
{{- end -}}
